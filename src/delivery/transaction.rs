//! A Kafka transaction between its begin and its clean commit.

use std::time::{Duration, Instant, SystemTime};

use super::{Delivery, now_ms};
use crate::batch::Batch;
use crate::channel::Permit;
use crate::checkpoint::CheckpointDelta;
use crate::config::BatchConfig;
use crate::error::Result;
use crate::record::Record;
use crate::telemetry::metrics::TopicMetrics;
use crate::telemetry::status::time_of;
use crate::telemetry::{Metrics, Status};

/// A large source transaction is sent in parts of `max_bytes` divided by this: what librdkafka holds of a record is larger
/// than the record, and the next parts wait in the channel.
const PARTS: usize = 8;

/// What one Kafka transaction carries.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Which producer's it is.
    pub(crate) turn: usize,
    /// The step over all its groups.
    pub(super) delta: CheckpointDelta,
    /// The step over those that came after its last checkpoint.
    pub(super) unrecorded: Option<CheckpointDelta>,
    /// The last checkpoint that it carries.
    pub(super) checkpoint: Option<Delivery>,
    /// Ends within a large source transaction, so it cannot be committed yet.
    pub(super) open: bool,
    records: usize,
    bytes: usize,
    /// Records and bytes of them that are not known to be acknowledged.
    pub(super) unsent: (usize, usize),
    pub(super) tally: Tally,
    pub(super) began: Instant,
    /// Commit time of its first source transaction with records.
    oldest: Option<SystemTime>,
    permits: Vec<Permit>,
}

impl Transaction {
    /// Begins with `batch`, whose records are still to be enqueued.
    pub(super) fn new(turn: usize, batch: &Batch, permit: Permit, now: Instant) -> Self {
        Self {
            turn,
            delta: batch.delta.clone(),
            unrecorded: Some(batch.delta.clone()),
            checkpoint: None,
            open: batch.open,
            records: batch.records.len(),
            bytes: batch.records.weight(),
            unsent: (batch.records.len(), batch.records.weight()),
            tally: Tally::default(),
            began: now,
            oldest: oldest(batch),
            permits: vec![permit],
        }
    }

    /// Takes in the batch that follows directly.
    ///
    /// # Errors
    /// `Internal` if it does not (I2).
    pub(super) fn join(&mut self, batch: &Batch, permit: Permit) -> Result<()> {
        let (records, bytes) = (batch.records.len(), batch.records.weight());
        self.open = batch.open;
        self.records += records;
        self.bytes += bytes;
        self.unsent = (self.unsent.0 + records, self.unsent.1 + bytes);
        self.oldest = self.oldest.or_else(|| oldest(batch));
        self.permits.push(permit);
        self.delta.join(batch.delta.clone())?;
        match &mut self.unrecorded {
            Some(unrecorded) => unrecorded.join(batch.delta.clone()),
            None => {
                self.unrecorded = Some(batch.delta.clone());
                Ok(())
            }
        }
    }

    /// Whether it may take another batch before it is sent.
    pub(super) fn has_room(&self, limits: &BatchConfig) -> bool {
        let max_bytes = if self.open { limits.max_bytes / PARTS } else { limits.max_bytes };
        self.unsent.0 < limits.max_records && self.unsent.1 < max_bytes
    }

    /// Whether sending it would send anything, or lead to its commit.
    pub(super) fn is_worth_sending(&self) -> bool {
        !self.open || self.unsent.0 > 0
    }

    /// Whether it ends within a source transaction that is split, and carries records: it may be committed there.
    pub(super) fn is_piece(&self) -> bool {
        self.open && self.records > 0 && self.delta.begun.is_some()
    }

    /// Whether it carries so many bytes.
    pub(super) fn has_bytes(&self, bytes: u64) -> bool {
        self.bytes as u64 >= bytes
    }

    /// What it took so far is acknowledged, and more is to come: nothing of it is held any more.
    pub(super) fn part_acknowledged(&mut self) {
        self.unsent = (0, 0);
        self.permits.clear();
    }

    /// Whether it carries any record.
    pub(super) fn has_records(&self) -> bool {
        self.records > 0
    }

    /// Commit time of its first source transaction with records.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.oldest
    }

    /// Shows it as committed.
    pub(super) fn observe(&self, metrics: &Metrics, status: &Status) {
        metrics.kafka_transaction_records.observe(self.records);
        metrics.kafka_transaction_bytes.observe(self.bytes);
        metrics.kafka_transaction_seconds.observe(self.began.elapsed());
        if self.records > 0 {
            let latency = now_ms().saturating_sub(self.delta.committed_at_us / 1_000);
            metrics.end_to_end_latency.observe(Duration::from_millis(u64::try_from(latency).unwrap_or(0)));
        }
        if self.delta.begun.is_some() {
            metrics.kafka_split.inc();
        }
        let groups = self.delta.to.groups - self.delta.from.groups;
        status.delivered(self.delta.records, self.delta.records, groups);
    }
}

/// A transaction whose commit had been asked for when its run ended. The next run learns what became of it.
#[derive(Debug)]
pub struct Unsettled {
    transaction: Transaction,
    topics: Vec<TopicMetrics>,
}

impl Unsettled {
    pub(super) fn new(mut transaction: Transaction, topics: Vec<TopicMetrics>) -> Self {
        transaction.permits.clear();
        Self { transaction, topics }
    }

    /// It was committed: counts it as any other.
    pub fn committed(&self, metrics: &Metrics, status: &Status) {
        self.transaction.observe(metrics, status);
        self.transaction.tally.add_to(&self.topics);
        metrics.checkpoint_commits.inc();
    }
}

fn oldest(batch: &Batch) -> Option<SystemTime> {
    (!batch.records.is_empty()).then(|| time_of(batch.delta.committed_at_us))
}

/// Records and bytes by topic; counted when they are committed.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(u64, u64)>);

impl Tally {
    pub(super) fn count(&mut self, topic: usize, record: &Record<'_>) {
        if self.0.len() <= topic {
            self.0.resize(topic + 1, (0, 0));
        }
        let (records, bytes) = &mut self.0[topic];
        *records += 1;
        *bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
    }

    pub(super) fn add_to(&self, topics: &[TopicMetrics]) {
        for ((records, bytes), topic) in self.0.iter().zip(topics) {
            topic.records.add(*records);
            topic.bytes.add(*bytes);
        }
    }
}
