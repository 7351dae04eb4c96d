//! Batches → Kafka transactions. A [`Delivery`] can only be had from a clean commit, and only a [`Delivery`] moves the
//! checkpoint.
//!
//! Promised: records and checkpoint commit together (I4), in order (I3), and after anything but a clean commit this
//! incarnation sends nothing more (I8): the run ends, and the next one fences, reads the checkpoint and goes on from
//! there. Not promised here: that a run survives; `relay::supervise` sees to that.
//!
//! ```text
//! incarnation ── two producers behind one fence, in turn
//! flight ─────── filling ▸ sending ▸ acknowledged ▸ committing: what is done next; pure
//! exactly_once ─ does it                                              at_least_once ─ sending ▸ checkpoint
//! ```

pub mod at_least_once;
pub(crate) mod chain;
pub mod classify;
pub mod events;
pub mod exactly_once;
pub(crate) mod flight;
pub(crate) mod hold;
pub mod incarnation;
pub mod librdkafka;
mod outlet;
pub mod producer;
pub mod published;
pub mod survey;
pub mod topics;
pub(crate) mod transaction;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::batch::Batch;
use crate::channel::Receiver;
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointId, Owner, SourceIdentity, codec};
use crate::config::{BatchConfig, DeliveryMode};
use crate::error::Result;
use crate::failpoint;
use crate::telemetry::status::CheckpointFacts;
use crate::telemetry::{Metrics, Status};
use chain::Chain;
use classify::InDoubt;
use incarnation::Incarnation;
use outlet::Outlet;
use topics::TopicNames;
use transaction::{Transaction, Unsettled};

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
    /// The same transaction, to be counted if it was committed.
    pub unsettled: Option<Unsettled>,
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

impl Memory {
    /// Another process may write from now on: nothing that this one remembers of the topics holds any more.
    pub fn resign(&mut self) {
        *self = Self { incarnations: self.incarnations, delivered: self.delivered, ..Self::default() };
    }
}

/// Delivers batches through one incarnation.
#[derive(Debug)]
pub struct Deliverer {
    outlet: Outlet,
    /// Whose turn it is to open the first Kafka transaction.
    first_turn: usize,
    mode: DeliveryMode,
    limits: BatchConfig,
    checkpoint_topic: Arc<str>,
    checkpoint_partition: i32,
    chain: Chain,
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

/// The record that says who is in charge from now on.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub(crate) bytes: Vec<u8>,
    /// What is unknown until it is committed.
    pub(crate) in_doubt: InDoubt,
}

impl StartingPoint {
    /// Goes on behind the checkpoint `id` that Kafka holds, as `owner`.
    pub(crate) fn behind((checkpoint, id): (Checkpoint, CheckpointId), owner: Owner) -> Self {
        let in_charge = checkpoint.owner.instance == owner.instance;
        let checkpoint = if in_charge { checkpoint } else { checkpoint.taken_over(&id, owner) };
        Self { checkpoint, previous: Some(id), in_charge }
    }

    /// The chain that begins here, and what is to be written before anything else.
    pub(crate) fn begin(self) -> Result<(Chain, Option<Announcement>)> {
        let (bytes, id) = codec::encode(&self.checkpoint)?;
        if let (true, Some(id)) = (self.in_charge, self.previous.clone()) {
            return Ok((Chain::new(Delivery { checkpoint: self.checkpoint, id }), None));
        }
        let in_doubt = InDoubt { previous: self.previous, attempted: Some(id.clone()) };
        let chain = Chain::new(Delivery { checkpoint: self.checkpoint, id });
        Ok((chain, Some(Announcement { bytes, in_doubt })))
    }
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
        let (chain, announcement) = start.begin()?;
        let place = (store.topic(), store.partition());
        let mut deliverer = Self {
            outlet: Outlet::new(incarnation, place, shared.names, Arc::clone(&shared.metrics))?,
            first_turn: 0,
            mode,
            limits,
            checkpoint_topic: store.topic().into(),
            checkpoint_partition: store.partition(),
            chain,
            metrics: shared.metrics,
            status: shared.status,
        };
        let Some(Announcement { bytes, in_doubt }) = announcement else {
            deliverer.show_checkpoint(deliverer.chain.last());
            return Ok(deliverer);
        };
        memory.in_doubt = Some(in_doubt);
        match mode {
            DeliveryMode::ExactlyOnce => exactly_once::take_charge(&mut deliverer, &bytes).await?,
            DeliveryMode::AtLeastOnce => at_least_once::take_charge(&mut deliverer, &bytes).await?,
        }
        memory.in_doubt = None;
        deliverer.metrics.checkpoint_commits.inc();
        deliverer.show_checkpoint(deliverer.chain.last());
        Ok(deliverer)
    }

    /// The source was found to be this one, read by this owner's present incarnation, with the configuration of this hash:
    /// the next checkpoint says so.
    pub fn adopt(&mut self, source: SourceIdentity, owner: Owner, config: &str) {
        self.chain.adopt(source, owner, config);
    }

    /// The checkpoint that Kafka holds.
    pub fn last(&self) -> &Delivery {
        self.chain.last()
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

    /// The checkpoint has moved to `last`; only now the metrics do.
    fn committed(&self, transaction: &Transaction, last: &Delivery, memory: &mut Memory) -> Result<()> {
        memory.delivered += 1;
        transaction.observe(&self.metrics, &self.status);
        self.outlet.count(&transaction.tally);
        self.metrics.checkpoint_commits.inc();
        self.show_checkpoint(last);
        failpoint::hit("position_advanced")
    }

    fn show_checkpoint(&self, last: &Delivery) {
        self.status.checkpoint(CheckpointFacts {
            topic: Arc::clone(&self.checkpoint_topic),
            partition: self.checkpoint_partition,
            sequence: last.id.sequence,
            time: SystemTime::now(),
            position: Some(last.checkpoint.position.clone()),
            executed: last.checkpoint.executed.clone(),
        });
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
