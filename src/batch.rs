//! Decided source transactions → batches: consecutive whole source transactions with the step that they move the
//! checkpoint by.
//!
//! The reader closes a batch when no further event is waiting or it has grown to [`BATCH_BYTES`]; a Kafka transaction
//! takes as many batches as are waiting, within `[batch]`. So batching needs no timer: under load groups grow by
//! themselves while the previous Kafka transaction commits ("natural group commit").

use std::sync::Arc;

use crate::binlog::begun::Begun;
use crate::binlog::event::Fingerprint;
use crate::checkpoint::{Checkpoint, CheckpointDelta, Place};
use crate::outbox::{Part, SourceTransaction};
use crate::position::{FilePosition, GtidState, MixedGtids};
use crate::record::Records;

/// A batch is handed on at this size even if more is waiting: small enough to keep the delivery busy meanwhile.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Consecutive whole source transactions, mapped; or a part of a large one.
#[derive(Debug)]
pub struct Batch {
    /// Their records in source order; none for a mere progress step.
    pub records: Records,
    /// The step over them.
    pub delta: CheckpointDelta,
    /// Ends within a large source transaction: the rest belongs into the same Kafka transaction, unless the step says that
    /// a checkpoint may be taken there.
    pub open: bool,
}

/// Collects source transactions into the open batch.
#[derive(Debug)]
pub struct Batcher {
    /// Where the open batch begins.
    from: Place,
    records: Records,
    delta: Option<CheckpointDelta>,
    /// The last thing added was a part of a large group.
    open: bool,
    /// The group that is published in part up to the open batch.
    begun: Option<Box<Begun>>,
    /// Whether a sign of life is wanted where nothing happens.
    beats: bool,
    /// The step that stays behind the last closed batch.
    rest: Option<CheckpointDelta>,
}

impl Batcher {
    /// `from`: how far the source is processed (I2).
    pub fn new(from: Place) -> Self {
        Self { from, records: Records::default(), delta: None, open: false, begun: None, beats: false, rest: None }
    }

    /// Begins within a group that is published in part.
    #[must_use]
    pub fn within(self, begun: Option<Box<Begun>>) -> Self {
        Self { begun, ..self }
    }

    /// From now on [`Batcher::beat`] gives a step; the first one stays at `checkpoint`. Not behind one that has seen no
    /// group: there is nothing to stay at.
    pub fn rest_at(&mut self, checkpoint: &Checkpoint) {
        self.beats = true;
        self.rest = checkpoint.terminator.as_ref().map(|terminator| CheckpointDelta {
            from: self.from,
            to: self.from,
            gtids: None,
            end: checkpoint.position.clone(),
            terminator: terminator.clone(),
            xa: Vec::new(),
            committed_at_us: checkpoint.committed_at_us,
            records: 0,
            begun: checkpoint.begun.clone(),
        });
    }

    /// Unless a group waits, the next batch is a step over nothing: a sign of life in the checkpoint topic.
    pub fn beat(&mut self) {
        if self.delta.is_none() && !self.open {
            self.delta.clone_from(&self.rest);
        }
    }

    /// How far the source is processed behind what was added.
    pub fn place(&self) -> Place {
        self.delta.as_ref().map_or(self.from, |delta| delta.to)
    }

    /// Where the records of the next source transaction are appended.
    pub fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    /// Adds a decided group; its records, if any, were appended before.
    ///
    /// # Errors
    /// If GTIDs of two products come in one stream, which no server sends.
    pub fn add(&mut self, transaction: &SourceTransaction) -> Result<(), MixedGtids> {
        let SourceTransaction { end, fingerprint, committed_at_us, .. } = transaction;
        let delta = self.step(end, fingerprint, *committed_at_us);
        delta.to = Place::between(delta.to.groups + 1);
        delta.begun = None;
        match (&mut delta.gtids, &transaction.gtid) {
            (Some(gtids), Some(gtid)) => gtids.insert(gtid)?,
            (None, Some(gtid)) => delta.gtids = Some(GtidState::of(gtid)),
            (_, None) => {}
        }
        if let Some(step) = &transaction.xa {
            step.clone().append(&mut delta.xa);
        }
        delta.end = transaction.end.clone();
        delta.terminator.clone_from(&transaction.fingerprint);
        delta.committed_at_us = transaction.committed_at_us;
        self.open = false;
        Ok(())
    }

    /// A log file begins behind the groups so far: the step ends there, be it one over no group. So a server that is idle,
    /// rotates its log and purges it leaves the checkpoint's place in the log.
    pub fn begin_file(&mut self, head: &Fingerprint) {
        let end = FilePosition { file: Arc::clone(&head.file), offset: head.end };
        let delta = self.step(&end, head, i64::from(head.timestamp) * 1_000_000);
        (delta.end, delta.terminator) = (end, head.clone());
    }

    /// Adds a part of a large group, whose records were appended before. It moves no position.
    pub fn add_part(&mut self, part: &Part) {
        let delta = self.step(&part.large.ends(), part.large.fingerprint(), part.committed_at_us);
        delta.to.records = part.before + part.records;
        delta.begun = part.large.begun(delta.to.records);
        self.open = true;
    }

    /// The step over the open batch; one that ends there if it is the first.
    fn step(&mut self, end: &FilePosition, terminator: &Fingerprint, committed_at_us: i64) -> &mut CheckpointDelta {
        let (from, records, begun) = (self.from, self.records.len() as u64, &self.begun);
        let delta = self.delta.get_or_insert_with(|| CheckpointDelta {
            from,
            to: from,
            gtids: None,
            end: end.clone(),
            terminator: terminator.clone(),
            xa: Vec::new(),
            committed_at_us,
            records,
            begun: begun.clone(),
        });
        delta.records = records;
        delta
    }

    /// Whether records wait to be handed on.
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether the batch has grown enough.
    pub fn is_full(&self) -> bool {
        self.records.weight() >= BATCH_BYTES
    }

    /// Closes the open batch; `None` if no group was added.
    pub fn close(&mut self) -> Option<Batch> {
        let delta = self.delta.take()?;
        (self.from, self.begun) = (delta.to, delta.begun.clone());
        // Within a group there is no place to rest at.
        let rests = self.beats && !self.open;
        self.rest =
            rests.then(|| CheckpointDelta { from: delta.to, gtids: None, xa: Vec::new(), records: 0, ..delta.clone() });
        Some(Batch { records: std::mem::take(&mut self.records), delta, open: self.open })
    }
}

#[cfg(test)]
mod tests;
