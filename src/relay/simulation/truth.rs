//! What must hold whenever a commit is decided, whoever asked for it. It sees everything and tells the relays nothing.

use super::broker::{CHECKPOINTS, OUTPUTS, PARTITIONS, Partition, Value};
use crate::checkpoint::{CheckpointId, codec};

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
    /// Source transactions whose rows are committed.
    pub(super) groups: u64,
    newest: Option<CheckpointId>,
    /// Per partition: where the last committed row stands.
    ends: [Option<usize>; OUTPUTS],
    pub(super) commits: u64,
}

impl Truth {
    /// The open transaction of `id` is committed with what it holds now: exactly the rows between the newest checkpoint
    /// and its own, whole source transactions, each once, in the log's order in every partition.
    pub(super) fn decide(&mut self, id: usize, partitions: &[Partition; PARTITIONS]) -> Result<(), Violation> {
        let before = self.groups;
        let carried = partitions.iter().any(|partition| !partition.open[id].is_empty());
        self.checkpoints(id, &partitions[CHECKPOINTS])?;
        if carried {
            self.commits += 1;
        }
        let span = self.start(before)..self.start(self.groups);
        for (number, partition) in partitions[..OUTPUTS].iter().enumerate() {
            let expected = span.clone().filter(|row| self.rows[*row].partition == number);
            let found = partition.open[id].iter().filter_map(|offset| match &partition.entries[*offset].value {
                Some(Value::Row(row)) => Some(*row),
                _ => None,
            });
            if !expected.clone().eq(found.clone()) {
                let (expected, found): (Vec<_>, Vec<_>) = (expected.collect(), found.collect());
                return Err(Violation(format!(
                    "partition {number}: rows {found:?} are committed with a checkpoint over groups {before}..{}, whose rows are {expected:?}",
                    self.groups
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

    fn start(&self, group: u64) -> usize {
        usize::try_from(group).ok().and_then(|group| self.starts.get(group)).copied().unwrap_or(self.rows.len())
    }

    /// They follow the newest committed one and each other.
    fn checkpoints(&mut self, id: usize, log: &Partition) -> Result<(), Violation> {
        for offset in &log.open[id] {
            let Some(Value::Checkpoint(bytes)) = &log.entries[*offset].value else { continue };
            let (checkpoint, found) = codec::decode(bytes).map_err(|error| Violation(error.chain()))?;
            let follows = self.newest.as_ref().map_or((1, 0), |newest| (newest.sequence + 1, newest.crc32));
            if (checkpoint.sequence, checkpoint.previous) != follows || checkpoint.counters.groups < self.groups {
                return Err(Violation(format!(
                    "checkpoint {} over {} groups is committed behind {:?} over {}",
                    checkpoint.sequence, checkpoint.counters.groups, self.newest, self.groups
                )));
            }
            self.groups = checkpoint.counters.groups;
            self.newest = Some(found);
        }
        Ok(())
    }
}
