//! Batches → Kafka transactions. A [`Delivery`] can only be had from a clean commit, and only a [`Delivery`] moves the
//! checkpoint.
//!
//! Promised: records and checkpoint commit together (I4), in order (I3), and after anything but a clean commit this
//! incarnation sends nothing more (I8): the run ends, and the next one fences, reads the checkpoint and goes on from
//! there. Not promised here: that a run survives; `relay::supervise` sees to that.

pub mod classify;
pub mod librdkafka;
pub mod producer;
pub mod published;
pub mod survey;
pub mod topics;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::channel::{Permit, Receiver};
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointDelta, CheckpointId, Owner, SourceIdentity, codec};
use crate::config::{BatchConfig, DeliveryMode};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::record::Record;
use crate::telemetry::metrics::TopicMetrics;
use crate::telemetry::status::{CheckpointFacts, time_of};
use crate::telemetry::{Metrics, Status};
use classify::{InDoubt, Outcome};
use producer::{Incarnation, RETRY_BACKOFF};
use topics::TopicNames;

/// How long the coordinator takes to write a transaction's end markers, most often.
const MARKER_TIME: Duration = Duration::from_millis(2);

/// At least once: a checkpoint at most this often, so that it does not cost more than the records.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// What is committed for good: the checkpoint behind a clean commit.
#[derive(Debug)]
pub struct Delivery {
    checkpoint: Checkpoint,
    id: CheckpointId,
}

impl Delivery {
    /// The checkpoint that Kafka holds.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// What the next run has to know of this one.
#[derive(Debug, Default)]
pub struct Memory {
    /// The Kafka transaction whose outcome is unknown.
    pub in_doubt: Option<InDoubt>,
    /// This process has written a checkpoint: another owner's, if one appears, is a successor's.
    pub owned: bool,
    /// The last run ended with a fence by an unknown producer.
    pub fenced: bool,
    /// Another process is known to have taken over: this one is done.
    pub superseded: bool,
    /// Producers so far.
    pub incarnations: u64,
    /// Kafka transactions committed so far, the first one of each run not counted.
    pub delivered: u64,
}

/// Delivers batches through one incarnation.
#[derive(Debug)]
pub struct Deliverer {
    incarnation: Incarnation,
    mode: DeliveryMode,
    limits: BatchConfig,
    checkpoint_topic: Arc<str>,
    checkpoint_partition: i32,
    names: Arc<TopicNames>,
    topics: Vec<Sent>,
    last: Delivery,
    /// When the last Kafka transaction of this incarnation was committed.
    committed_at: Option<tokio::time::Instant>,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
}

/// The checkpoint that a run begins with.
#[derive(Debug)]
pub struct StartingPoint {
    /// It.
    pub checkpoint: Checkpoint,
    /// The one that Kafka holds, if any.
    pub previous: Option<CheckpointId>,
    /// Kafka holds `checkpoint` itself, written by this process: nobody has to be told who is in charge.
    pub in_charge: bool,
}

/// Parts of a [`Deliverer`] that outlive a run.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Names of output topics.
    pub names: Arc<TopicNames>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// State.
    pub status: Arc<Status>,
}

/// What the open Kafka transaction sends to one topic; counted when it is committed.
#[derive(Debug)]
struct Sent {
    metrics: TopicMetrics,
    records: u64,
    bytes: u64,
}

/// The open Kafka transaction.
struct Open {
    delta: CheckpointDelta,
    permits: Vec<Permit>,
    records: usize,
    bytes: usize,
    began: Instant,
}

impl Deliverer {
    /// Takes over a fenced producer. Unless the newest checkpoint is this process's own, the first one of this run is
    /// written at once: who is in charge from now on.
    ///
    /// # Errors
    /// `DeliveryFailed`, `ProducerRenewed`, `Fenced`.
    pub async fn begin(
        incarnation: Incarnation,
        start: StartingPoint,
        store: &Store,
        (mode, limits): (DeliveryMode, BatchConfig),
        shared: Shared,
        memory: &mut Memory,
    ) -> Result<Self> {
        let (bytes, id) = codec::encode(&start.checkpoint)?;
        let id = start.previous.clone().filter(|_| start.in_charge).unwrap_or(id);
        let mut deliverer = Self {
            incarnation,
            mode,
            limits,
            checkpoint_topic: store.topic().into(),
            checkpoint_partition: store.partition(),
            names: shared.names,
            topics: Vec::new(),
            last: Delivery { checkpoint: start.checkpoint.clone(), id: id.clone() },
            committed_at: None,
            metrics: shared.metrics,
            status: shared.status,
        };
        // The checkpoint topic is topic number 0 of every incarnation; output topics follow.
        deliverer.incarnation.add_topic(store.topic())?;
        if start.in_charge {
            deliverer.show_checkpoint();
            return Ok(deliverer);
        }
        memory.in_doubt = Some(InDoubt { previous: start.previous, attempted: Some(id.clone()) });
        deliverer.incarnation.open()?;
        deliverer.enqueue_checkpoint(&start.checkpoint, &bytes)?;
        deliverer.settle().await?;
        memory.in_doubt = None;
        deliverer.committed(Delivery { checkpoint: start.checkpoint, id });
        Ok(deliverer)
    }

    /// The source was found to be this one, read by this owner's present incarnation: the next checkpoint says so.
    pub fn adopt(&mut self, source: SourceIdentity, owner: Owner) {
        self.last.checkpoint.source = source;
        self.last.checkpoint.owner = owner;
    }

    /// The checkpoint that Kafka holds.
    pub fn last(&self) -> &Delivery {
        &self.last
    }

    /// Delivers until the channel closes (drained: everything received is committed) or something ends the run.
    ///
    /// # Errors
    /// `DeliveryFailed`, `ProducerRenewed`, `Fenced`; `memory` then says what is in doubt.
    pub async fn run(
        mut self,
        mut batches: Receiver<Batch>,
        abort: CancellationToken,
        memory: &mut Memory,
    ) -> Result<()> {
        let failed = self.incarnation.failed().clone();
        loop {
            let next = tokio::select! {
                biased;
                // 1. A second signal or a drain that takes too long: what is open dies with the producer.
                () = abort.cancelled() => return Ok(()),
                // 2. The client has given up, or was fenced while idle.
                () = failed.cancelled() => return Err(self.client_failed()),
                // 3. Work; the closed channel is the end of a drain.
                next = batches.recv() => next,
            };
            let Some((batch, permit)) = next else { return Ok(()) };
            self.let_markers_settle().await;
            self.transact(batch, permit, &mut batches, memory).await?;
        }
    }

    /// The coordinator answers a commit before its markers are written, and refuses a transaction begun meanwhile;
    /// librdkafka then waits 20 ms. Nothing tells when they are written, so the next transaction begins a little later.
    async fn let_markers_settle(&self) {
        if let Some(committed) = self.committed_at {
            tokio::time::sleep_until(committed + MARKER_TIME).await;
        }
    }

    async fn transact(
        &mut self,
        first: Batch,
        permit: Permit,
        batches: &mut Receiver<Batch>,
        memory: &mut Memory,
    ) -> Result<()> {
        memory.in_doubt = Some(InDoubt { previous: Some(self.last.id.clone()), attempted: None });
        self.incarnation.open()?;
        failpoint::hit("txn_begun")?;
        self.status.set_oldest_undelivered((!first.records.is_empty()).then(|| time_of(first.delta.committed_at_us)));
        let mut open = Open {
            delta: first.delta.clone(),
            permits: vec![permit],
            records: first.records.len(),
            bytes: first.records.weight(),
            began: Instant::now(),
        };
        self.enqueue(&first)?;
        self.fill(&mut open, batches).await?;
        failpoint::hit(if open.records > 0 { "all_produced" } else { "heartbeat_checkpoint" })?;
        let checkpoint = self.last.checkpoint.advance(&self.last.id, &open.delta)?;
        let (bytes, id) = codec::encode(&checkpoint)?;
        if self.mode == DeliveryMode::AtLeastOnce {
            // The checkpoint may only follow what it covers.
            self.status.ticking(self.incarnation.acknowledge()).await?;
        }
        memory.in_doubt = Some(InDoubt { previous: Some(self.last.id.clone()), attempted: Some(id.clone()) });
        self.enqueue_checkpoint(&checkpoint, &bytes)?;
        failpoint::hit("checkpoint_produced")?;
        self.show_queue(open.records, open.bytes);
        self.settle().await?;
        self.show_queue(0, 0);
        failpoint::hit("commit_ok")?;
        memory.in_doubt = None;
        memory.delivered += 1;
        self.observe(&open);
        self.committed(Delivery { checkpoint, id });
        failpoint::hit("position_advanced")
    }

    /// Takes what is waiting into the open Kafka transaction, within its limits.
    async fn fill(&mut self, open: &mut Open, batches: &mut Receiver<Batch>) -> Result<()> {
        let wait = match self.mode {
            DeliveryMode::ExactlyOnce => self.limits.linger,
            DeliveryMode::AtLeastOnce => CHECKPOINT_INTERVAL,
        };
        let deadline = tokio::time::Instant::now() + wait;
        while open.records < self.limits.max_records && open.bytes < self.limits.max_bytes {
            let next = match batches.try_recv() {
                Ok(next) => Some(next),
                Err(_) if wait.is_zero() => None,
                Err(_) => tokio::time::timeout_at(deadline, batches.recv()).await.ok().flatten(),
            };
            let Some((batch, permit)) = next else { break };
            self.enqueue(&batch)?;
            open.records += batch.records.len();
            open.bytes += batch.records.weight();
            open.permits.push(permit);
            open.delta.join(batch.delta)?;
        }
        Ok(())
    }

    fn enqueue(&mut self, batch: &Batch) -> Result<()> {
        for record in batch.records.iter() {
            let topic = record.topic.0 as usize;
            self.ensure_topic(topic)?;
            self.incarnation.enqueue(topic + 1, &record)?;
            failpoint::hit("first_produced")?;
            if let Some(sent) = self.topics.get_mut(topic) {
                sent.records += 1;
                sent.bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
            }
        }
        Ok(())
    }

    fn ensure_topic(&mut self, topic: usize) -> Result<()> {
        while self.incarnation.topics() <= topic + 1 {
            let Some(name) = self.names.get(self.incarnation.topics() - 1) else {
                return Err(Error::new(Code::Internal, "a record names a topic that was never looked up"));
            };
            self.incarnation.add_topic(&name)?;
            self.topics.push(Sent { metrics: self.metrics.topic(&name), records: 0, bytes: 0 });
        }
        Ok(())
    }

    fn enqueue_checkpoint(&self, checkpoint: &Checkpoint, bytes: &[u8]) -> Result<()> {
        let record = Record::plain(self.checkpoint_partition, now_ms(), checkpoint.relay.as_bytes(), bytes);
        self.incarnation.enqueue(0, &record)
    }

    /// Makes what was enqueued final: exactly once by a commit, at least once by acknowledgements.
    async fn settle(&self) -> Result<()> {
        if self.mode == DeliveryMode::AtLeastOnce {
            return self.status.ticking(self.incarnation.acknowledge()).await;
        }
        // Bounded by the timeouts of messages and transactions, so it may tick.
        let (seen, error) = self.status.ticking(self.incarnation.commit()).await?;
        let outcome = classify::classify(seen, RETRY_BACKOFF);
        match outcome {
            Outcome::Clean => self.metrics.kafka_committed.inc(),
            Outcome::Tainted => self.metrics.kafka_renewed.inc(),
            Outcome::Uncertain | Outcome::Fenced => self.metrics.kafka_uncertain.inc(),
        }
        let cause = error.map_or_else(String::new, |e| e.to_string());
        match outcome {
            Outcome::Clean => Ok(()),
            Outcome::Tainted => Err(Error::new(
                Code::ProducerRenewed,
                format!(
                    "a commit took {:?}{}",
                    seen.elapsed,
                    if seen.disturbed { ", with connection errors" } else { "" }
                ),
            )),
            Outcome::Uncertain => Err(Error::new(Code::DeliveryFailed, "committing").caused_by(cause)),
            Outcome::Fenced => Err(Error::new(Code::Fenced, "committing").caused_by(cause)),
        }
    }

    fn client_failed(&self) -> Error {
        if self.incarnation.is_fenced() {
            return Error::new(Code::Fenced, "a newer producer of this relay exists");
        }
        Error::new(Code::DeliveryFailed, "the Kafka producer failed")
    }

    fn observe(&self, open: &Open) {
        self.metrics.kafka_transaction_records.observe(open.records);
        self.metrics.kafka_transaction_bytes.observe(open.bytes);
        self.metrics.kafka_transaction_seconds.observe(open.began.elapsed());
        if open.records > 0 {
            let latency = now_ms().saturating_sub(open.delta.committed_at_us / 1_000);
            self.metrics.end_to_end_latency.observe(Duration::from_millis(u64::try_from(latency).unwrap_or(0)));
        }
        self.status.delivered(open.delta.records, open.delta.records, open.delta.to - open.delta.from);
    }

    /// Only now the in-memory position and the metrics move.
    fn committed(&mut self, delivery: Delivery) {
        self.status.set_oldest_undelivered(None);
        self.metrics.checkpoint_commits.inc();
        for sent in &mut self.topics {
            sent.metrics.records.add(std::mem::take(&mut sent.records));
            sent.metrics.bytes.add(std::mem::take(&mut sent.bytes));
        }
        self.last = delivery;
        self.committed_at = (self.mode == DeliveryMode::ExactlyOnce).then(tokio::time::Instant::now);
        self.show_checkpoint();
    }

    fn show_checkpoint(&self) {
        self.status.checkpoint(CheckpointFacts {
            topic: Arc::clone(&self.checkpoint_topic),
            partition: self.checkpoint_partition,
            sequence: self.last.id.sequence,
            time: SystemTime::now(),
            position: Some(self.last.checkpoint.position.clone()),
            executed: self.last.checkpoint.executed.clone(),
        });
    }

    fn show_queue(&self, records: usize, bytes: usize) {
        self.metrics.kafka_queue_messages.set(records);
        self.metrics.kafka_queue_bytes.set(bytes);
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
