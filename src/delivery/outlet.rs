//! The producers of an incarnation with what they need to take records: topics by number, counters, a place for
//! checkpoints.

use std::sync::Arc;

use super::flight::Producers;
use super::incarnation::Incarnation;
use super::now_ms;
use super::topics::TopicNames;
use super::transaction::{Tally, Transaction, Unsettled};
use crate::batch::Batch;
use crate::error::Result;
use crate::failpoint;
use crate::record::Record;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::TopicMetrics;

/// Takes records for librdkafka.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) incarnation: Incarnation,
    names: Arc<TopicNames>,
    topics: Vec<TopicMetrics>,
    checkpoint_partition: i32,
    metrics: Arc<Metrics>,
}

impl Outlet {
    /// Checkpoints go to this partition of topic number 0; output topics follow.
    pub(super) fn new(
        mut incarnation: Incarnation,
        (checkpoint_topic, checkpoint_partition): (&str, i32),
        names: Arc<TopicNames>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        incarnation.add_topics(&[checkpoint_topic.into()])?;
        Ok(Self { incarnation, names, topics: Vec::new(), checkpoint_partition, metrics })
    }

    /// Counts what is committed.
    pub(super) fn count(&self, tally: &Tally) {
        tally.add_to(&self.topics);
    }

    /// What is to be counted once the transaction is known to be committed.
    pub(super) fn unsettled(&self, transaction: Transaction) -> Unsettled {
        Unsettled::new(transaction, self.topics.clone())
    }

    /// Makes every topic that was looked up by now known to the producers.
    fn ensure_topics(&mut self) -> Result<()> {
        let new = self.names.since(self.topics.len());
        if new.is_empty() {
            return Ok(());
        }
        self.topics.extend(new.iter().map(|name| self.metrics.topic(name)));
        self.incarnation.add_topics(&new)
    }
}

impl Producers for Outlet {
    fn open(&mut self, turn: usize, held: bool) -> Result<()> {
        let producer = self.incarnation.producer(turn);
        producer.open()?;
        if held { Ok(()) } else { producer.release() }
    }

    fn release(&mut self, turn: usize) -> Result<()> {
        self.incarnation.producer(turn).release()
    }

    fn can_hold(&mut self, turn: usize, records: usize, bytes: usize) -> bool {
        self.incarnation.producer(turn).can_hold(records, bytes)
    }

    fn enqueue(&mut self, batch: &Batch, transaction: &mut Transaction) -> Result<()> {
        self.ensure_topics()?;
        let producer = self.incarnation.producer(transaction.turn);
        for (number, record) in batch.records.iter().enumerate() {
            let topic = record.topic.0 as usize;
            producer.enqueue(topic + 1, &record)?;
            failpoint::hit(if number == 0 { "first_produced" } else { "mid_produced" })?;
            transaction.tally.count(topic, &record);
        }
        Ok(())
    }

    fn enqueue_checkpoint(&mut self, turn: usize, relay: &str, checkpoint: &[u8]) -> Result<()> {
        let record = Record::plain(self.checkpoint_partition, now_ms(), relay.as_bytes(), checkpoint);
        self.incarnation.producer(turn).enqueue(0, &record)
    }
}
