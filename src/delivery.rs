//! Batches → Kafka transactions. A [`Delivery`] can only be had from a clean commit, and only a [`Delivery`] moves the
//! checkpoint.
//!
//! Promised: records and checkpoint commit together (I4), in order (I3), and after anything but a clean commit this
//! incarnation sends nothing more (I8): the run ends, and the next one fences, reads the checkpoint and goes on from
//! there. Not promised here: that a run survives; `relay::supervise` sees to that.
//!
//! ```text
//! incarnation ── two producers behind one fence, in turn
//! exactly_once ─ filling ▸ sending ▸ acknowledged ▸ committing        at_least_once ─ sending ▸ checkpoint
//! ```

pub mod at_least_once;
pub mod classify;
pub mod events;
pub mod exactly_once;
pub mod incarnation;
pub mod librdkafka;
pub mod producer;
pub mod published;
pub mod survey;
pub mod topics;
pub mod transaction;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::channel::Receiver;
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointId, Owner, SourceIdentity, codec};
use crate::config::{BatchConfig, DeliveryMode};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::record::Record;
use crate::telemetry::metrics::TopicMetrics;
use crate::telemetry::status::CheckpointFacts;
use crate::telemetry::{Metrics, Status};
use classify::InDoubt;
use incarnation::Incarnation;
use topics::TopicNames;
use transaction::Transaction;

/// A checkpoint in the order of the log; as [`Deliverer::last`] it is committed for good.
#[derive(Clone, Debug)]
pub struct Delivery {
    checkpoint: Checkpoint,
    id: CheckpointId,
}

impl Delivery {
    /// Its contents.
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
    /// Who wrote the checkpoint that this process found, while it has written none itself.
    pub predecessor: Option<String>,
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
    /// Whose turn it is to open the next Kafka transaction.
    turn: usize,
    mode: DeliveryMode,
    limits: BatchConfig,
    checkpoint_topic: Arc<str>,
    checkpoint_partition: i32,
    names: Arc<TopicNames>,
    topics: Vec<TopicMetrics>,
    /// Behind the last clean commit.
    last: Delivery,
    /// The newest one that was handed to a producer.
    tip: Delivery,
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

impl Deliverer {
    /// Takes over a fenced incarnation. Unless the newest checkpoint is this process's own, the first one of this run is
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
        let first = Delivery { checkpoint: start.checkpoint, id };
        let mut deliverer = Self {
            incarnation,
            turn: 0,
            mode,
            limits,
            checkpoint_topic: store.topic().into(),
            checkpoint_partition: store.partition(),
            names: shared.names,
            topics: Vec::new(),
            last: first.clone(),
            tip: first,
            metrics: shared.metrics,
            status: shared.status,
        };
        // The checkpoint topic is topic number 0 of every producer; output topics follow.
        deliverer.incarnation.add_topic(store.topic())?;
        if start.in_charge {
            deliverer.show_checkpoint();
            return Ok(deliverer);
        }
        memory.in_doubt = Some(InDoubt { previous: start.previous, attempted: Some(deliverer.tip.id.clone()) });
        match mode {
            DeliveryMode::ExactlyOnce => exactly_once::take_charge(&mut deliverer, &bytes).await?,
            DeliveryMode::AtLeastOnce => at_least_once::take_charge(&mut deliverer, &bytes).await?,
        }
        memory.in_doubt = None;
        deliverer.metrics.checkpoint_commits.inc();
        deliverer.show_checkpoint();
        Ok(deliverer)
    }

    /// The source was found to be this one, read by this owner's present incarnation: the next checkpoint says so.
    pub fn adopt(&mut self, source: SourceIdentity, owner: Owner) {
        for delivery in [&mut self.last, &mut self.tip] {
            delivery.checkpoint.source = source.clone();
            delivery.checkpoint.owner = owner.clone();
        }
    }

    /// The checkpoint that Kafka holds.
    pub fn last(&self) -> &Delivery {
        &self.last
    }

    /// Delivers until the channel closes (drained: everything received is committed) or something ends the run.
    ///
    /// # Errors
    /// `DeliveryFailed`, `ProducerRenewed`, `Fenced`; `memory` then says what is in doubt.
    pub async fn run(mut self, batches: Receiver<Batch>, abort: CancellationToken, memory: &mut Memory) -> Result<()> {
        match self.mode {
            DeliveryMode::ExactlyOnce => exactly_once::run(&mut self, batches, abort, memory).await,
            DeliveryMode::AtLeastOnce => at_least_once::run(&mut self, batches, abort, memory).await,
        }
    }

    /// Makes every topic that was looked up by now known to the producers.
    fn ensure_topics(&mut self) -> Result<()> {
        while let Some(name) = self.names.get(self.incarnation.topics() - 1) {
            self.incarnation.add_topic(&name)?;
            self.topics.push(self.metrics.topic(&name));
        }
        Ok(())
    }

    /// Hands a batch's records to the producer whose turn it is.
    fn enqueue(&mut self, batch: &Batch, transaction: &mut Transaction) -> Result<()> {
        self.ensure_topics()?;
        let producer = self.incarnation.producer(transaction.turn);
        for record in batch.records.iter() {
            let topic = record.topic.0 as usize;
            producer.enqueue(topic + 1, &record)?;
            failpoint::hit("first_produced")?;
            transaction.tally.count(topic, &record);
        }
        Ok(())
    }

    /// Hands the checkpoint over what came since the transaction's last one to the same producer, unless it is too large
    /// to be held back now; it is the tip from now on.
    fn record(&mut self, transaction: &mut Transaction) -> Result<()> {
        let Some(delta) = &transaction.unrecorded else { return Ok(()) };
        let checkpoint = self.tip.checkpoint.advance(&self.tip.id, delta)?;
        let (bytes, id) = codec::encode(&checkpoint)?;
        if !self.incarnation.producer(transaction.turn).can_hold(1, checkpoint.relay.len() + bytes.len()) {
            return Ok(());
        }
        self.enqueue_encoded(transaction.turn, &bytes)?;
        self.tip = Delivery { checkpoint, id };
        transaction.unrecorded = None;
        transaction.checkpoint = Some(self.tip.clone());
        failpoint::hit("checkpoint_produced")
    }

    fn enqueue_encoded(&mut self, turn: usize, bytes: &[u8]) -> Result<()> {
        let key = self.tip.checkpoint.relay.clone();
        let record = Record::plain(self.checkpoint_partition, now_ms(), key.as_bytes(), bytes);
        self.incarnation.producer(turn).enqueue(0, &record)
    }

    /// Only now the in-memory position and the metrics move.
    fn committed(&mut self, transaction: Transaction, memory: &mut Memory) -> Result<()> {
        failpoint::hit("commit_ok")?;
        memory.delivered += 1;
        transaction.observe(&self.metrics, &self.status);
        transaction.tally.add_to(&self.topics);
        self.metrics.checkpoint_commits.inc();
        self.last = transaction.checkpoint.ok_or_else(|| Error::new(Code::Internal, "I4: no checkpoint was sent"))?;
        self.show_checkpoint();
        failpoint::hit("position_advanced")
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
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
