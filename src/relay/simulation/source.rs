//! The source: groups with rows, written while the relay reads, and the same ones again after a restart. Some of them are
//! large, and read in parts.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;

use super::broker::OUTPUTS;
use super::truth::{Row, Truth};
use crate::batch::Batcher;
use crate::binlog::testing::{at, fingerprint};
use crate::checkpoint::{Checkpoint, Counters, Owner, Place, SourceIdentity};
use crate::outbox::{Large, Part, SourceTransaction};
use crate::position::{FilePosition, Flavour, GroupPosition};
use crate::record::Record;

/// Bytes of a group in the log.
const LENGTH: u64 = 100;

#[derive(Debug)]
pub(super) struct Source {
    groups: Vec<Vec<(usize, usize)>>,
    transaction: Vec<SourceTransaction>,
    /// Those that are read in parts; some of them are split.
    large: Vec<Option<Arc<Large>>>,
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
        let mut large = Vec::new();
        for (number, rows) in groups.iter().enumerate() {
            let split = chance.random_bool(0.7);
            let many = !rows.is_empty() && chance.random_bool(0.3);
            truth.split.push(many && split);
            large.push(many.then(|| Arc::new(Large::new(number as u64 + 1, rows.len() as u64, split))));
        }
        Self { groups, transaction, large, written: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether anything is written behind this place.
    pub(super) fn has(&self, place: Place) -> bool {
        place.groups < self.written as u64
    }

    /// What the reader does with the next group, or with the next row of a large one; how far it has come then.
    pub(super) fn read(&self, from: Place, batcher: &mut Batcher) -> Place {
        let group = usize::try_from(from.groups).unwrap();
        let rest = &self.groups[group][usize::try_from(from.records).unwrap()..];
        let large = self.large[group].as_ref().filter(|_| !rest.is_empty());
        for (partition, row) in &rest[..if large.is_some() { 1 } else { rest.len() }] {
            let row = u32::try_from(*row).unwrap();
            batcher.records().push(i32::try_from(*partition).unwrap(), &row.to_be_bytes());
        }
        let Some(large) = large else {
            batcher.add(&self.transaction[group]).unwrap();
            return Place::between(from.groups + 1);
        };
        let (committed_at_us, large) = (self.transaction[group].committed_at_us, Arc::clone(large));
        let (before, records, published) = (from.records, 1, 0);
        batcher.add_part(&Part { rows: Vec::new(), committed_at_us, before, records, published, large });
        Place { records: before + records, ..from }
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

/// Groups that end at or before a position.
fn groups_before(position: &FilePosition) -> u64 {
    position.offset / LENGTH
}

/// Where to go on behind a checkpoint, which must say so in two ways.
pub(super) fn resume(checkpoint: &Checkpoint) -> Place {
    let place = checkpoint.place();
    assert_eq!(groups_before(&checkpoint.position), place.groups);
    place
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
        begun: None,
        committed_at_us: 0,
        counters: Counters { groups: 0, records: 0 },
        config: String::new(),
    }
}
