//! The source: groups with rows, written while the relay reads, and the same ones again after a restart.

use rand::Rng;
use rand::rngs::StdRng;

use super::broker::OUTPUTS;
use super::truth::{Row, Truth};
use crate::batch::Batcher;
use crate::binlog::testing::{at, fingerprint};
use crate::checkpoint::{Checkpoint, Counters, Owner, SourceIdentity};
use crate::outbox::SourceTransaction;
use crate::position::{FilePosition, Flavour, GroupPosition};
use crate::record::Record;

/// Bytes of a group in the log.
const LENGTH: u64 = 100;

#[derive(Debug)]
pub(super) struct Source {
    groups: Vec<Vec<(usize, usize)>>,
    transaction: Vec<SourceTransaction>,
    /// So many can be read.
    pub(super) written: usize,
}

impl Source {
    /// So many groups of no to five rows each. The truth knows them as well.
    pub(super) fn new(count: usize, truth: &mut Truth, chance: &mut StdRng) -> Self {
        let mut groups = Vec::new();
        for _ in 0..count {
            truth.starts.push(truth.rows.len());
            let mut rows = Vec::new();
            for _ in 0..chance.random_range(0..=5_usize) {
                let partition = chance.random_range(0..OUTPUTS);
                rows.push((partition, truth.rows.len()));
                truth.rows.push(Row { partition });
            }
            groups.push(rows);
        }
        let transaction = (0..count).map(transaction).collect();
        Self { groups, transaction, written: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// What the reader does with a group.
    pub(super) fn read(&self, group: usize, batcher: &mut Batcher) {
        for (partition, row) in &self.groups[group] {
            let row = u32::try_from(*row).unwrap();
            batcher.records().push(i32::try_from(*partition).unwrap(), &row.to_be_bytes());
        }
        batcher.add(&self.transaction[group]).unwrap();
    }
}

fn transaction(number: usize) -> SourceTransaction {
    let end = (number as u64 + 1) * LENGTH;
    let mut fingerprint = fingerprint(number as u64 + 1);
    fingerprint.gtid = None;
    SourceTransaction {
        group: GroupPosition::File(at(end)),
        gtid: None,
        end: at(end),
        fingerprint,
        // Clocks jump, also back.
        committed_at_us: i64::try_from(number * 7 % 5).unwrap(),
        rows: Vec::new(),
        xa: None,
    }
}

/// Partition and number of a row.
pub(super) fn place(record: &Record<'_>) -> (usize, usize) {
    let value = record.value.and_then(|value| value.try_into().ok()).map(u32::from_be_bytes).unwrap();
    (usize::try_from(record.partition).unwrap(), value as usize)
}

pub(super) fn groups_before(position: &FilePosition) -> usize {
    usize::try_from(position.offset / LENGTH).unwrap()
}

pub(super) fn identity() -> SourceIdentity {
    SourceIdentity { flavour: Flavour::Mysql, server_uuid: String::new(), server_version: String::new() }
}

/// The checkpoint of a first start.
pub(super) fn first(owner: Owner) -> Checkpoint {
    Checkpoint {
        relay: "orders".into(),
        owner,
        taken_over_from: None,
        replaced: Vec::new(),
        sequence: 1,
        previous: 0,
        cluster_id: String::new(),
        source: identity(),
        position: at(0),
        executed: None,
        terminator: None,
        xa_pending: Vec::new(),
        committed_at_us: 0,
        counters: Counters { groups: 0, records: 0 },
        config: String::new(),
    }
}
