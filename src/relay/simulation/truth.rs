//! What must hold whenever a commit is decided, whoever asked for it. It sees everything and tells the relays nothing.

use super::broker::{CHECKPOINTS, OUTPUTS, PARTITIONS, Partition, Value};
use crate::checkpoint::{CheckpointId, Place, codec};

/// A broken promise.
#[derive(Debug)]
pub(super) struct Violation(pub(super) String);

/// A row of the outbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) partition: usize,
}

#[derive(Debug, Default)]
pub(super) struct Truth {
    /// All rows in the order of the source's log.
    pub(super) rows: Vec<Row>,
    /// Number of the first row of each source transaction, and the end.
    pub(super) starts: Vec<usize>,
    /// Which source transactions may be committed in pieces.
    pub(super) split: Vec<bool>,
    /// How far rows are committed.
    pub(super) place: Place,
    /// Commits within a source transaction.
    pub(super) pieces: u64,
    newest: Option<CheckpointId>,
    /// Per partition: where the last committed row stands.
    ends: [Option<usize>; OUTPUTS],
    pub(super) commits: u64,
}

impl Truth {
    /// The open transaction of `id` is committed with what it holds now: exactly the rows between the newest checkpoint
    /// and its own, whole source transactions or pieces of those that are split, each once, in the log's order in every
    /// partition.
    pub(super) fn decide(&mut self, id: usize, partitions: &[Partition; PARTITIONS]) -> Result<(), Violation> {
        let before = self.place;
        let carried = partitions.iter().any(|partition| !partition.open[id].is_empty());
        self.checkpoints(id, &partitions[CHECKPOINTS])?;
        if carried {
            self.commits += 1;
        }
        let within = usize::try_from(self.place.groups).ok().filter(|_| self.place.records > 0);
        if let Some(group) = within {
            self.pieces += 1;
            if !self.split[group] {
                return Err(Violation(format!("group {group} is committed in part: {}", self.place)));
            }
        }
        let span = self.start(before)..self.start(self.place);
        for (number, partition) in partitions[..OUTPUTS].iter().enumerate() {
            let expected = span.clone().filter(|row| self.rows[*row].partition == number);
            let found = partition.open[id].iter().filter_map(|offset| match &partition.entries[*offset].value {
                Some(Value::Row(row)) => Some(*row),
                _ => None,
            });
            if !expected.clone().eq(found.clone()) {
                let (expected, found): (Vec<_>, Vec<_>) = (expected.collect(), found.collect());
                return Err(Violation(format!(
                    "partition {number}: rows {found:?} are committed with a checkpoint that goes from {before} to {}, whose rows are {expected:?}",
                    self.place
                )));
            }
            let offsets = &partition.open[id];
            if let (Some(first), Some(end)) = (offsets.first(), self.ends[number])
                && *first < end
            {
                return Err(Violation(format!("partition {number}: offset {first} is committed behind offset {end}")));
            }
            self.ends[number] = offsets.last().copied().or(self.ends[number]);
        }
        Ok(())
    }

    /// Number of the first row behind a place.
    fn start(&self, place: Place) -> usize {
        let group = usize::try_from(place.groups).ok().and_then(|group| self.starts.get(group));
        group.copied().unwrap_or(self.rows.len()) + usize::try_from(place.records).unwrap()
    }

    /// They follow the newest committed one and each other.
    fn checkpoints(&mut self, id: usize, log: &Partition) -> Result<(), Violation> {
        for offset in &log.open[id] {
            let Some(Value::Checkpoint(bytes)) = &log.entries[*offset].value else { continue };
            let (checkpoint, found) = codec::decode(bytes).map_err(|error| Violation(error.chain()))?;
            let follows = self.newest.as_ref().map_or((1, 0), |newest| (newest.sequence + 1, newest.crc32));
            if (checkpoint.sequence, checkpoint.previous) != follows || checkpoint.place() < self.place {
                return Err(Violation(format!(
                    "checkpoint {} behind {} is committed behind {:?} behind {}",
                    checkpoint.sequence,
                    checkpoint.place(),
                    self.newest,
                    self.place
                )));
            }
            self.place = checkpoint.place();
            self.newest = Some(found);
        }
        Ok(())
    }
}
