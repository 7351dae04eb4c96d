//! Every checkpoint record against the truth.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::truth::Row;
use super::{Defect, Verdict, position};
use crate::Observed;

/// What the checkpoints of one relay say, in their order.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// For each process that wrote one: the number of rows that its first one covered.
    pub began_at: BTreeMap<String, usize>,
    /// The number of rows that each one covered.
    pub ends: BTreeSet<usize>,
    /// The process that wrote the newest.
    pub newest_owner: Option<String>,
}

impl Verdict {
    /// Compares the checkpoint records of `relay` with the rows. The relay must have begun at the beginning of the log, and
    /// the topic must still hold all of its records.
    pub fn add_checkpoints(&mut self, rows: &[Row], records: &[Observed], relay: &str) -> Checkpoints {
        let mut found = Checkpoints::default();
        let mut before: Option<(Link, usize)> = None;
        let mut ordered: Vec<&Observed> =
            records.iter().filter(|record| record.key.as_deref() == Some(relay.as_bytes())).collect();
        ordered.sort_by_key(|record| (record.partition, record.offset));
        for record in ordered {
            self.checkpoints += 1;
            let what = || format!("{}[{}]@{}", record.topic, record.partition, record.offset);
            let bytes = record.value.as_deref().unwrap_or_default();
            let Some(read) = Read::parse(bytes) else {
                self.add(Defect::CheckpointOrder, || format!("{}: cannot be read", what()));
                continue;
            };
            let (last, covered) = before.unwrap_or_default();
            let follows = read.sequence == last.sequence + 1 && read.previous == last.crc32 && read.records >= covered;
            if !follows {
                self.add(Defect::CheckpointOrder, || format!("{}: {read:?} behind {last:?}, {covered} rows", what()));
            }
            if let Err(why) = read.covers(rows) {
                self.add(Defect::CheckpointCover, || format!("{}: {why}", what()));
            }
            before = Some((Link { sequence: read.sequence, crc32: crc32(bytes) }, read.records));
            found.ends.insert(read.records);
            found.began_at.entry(read.owner.clone()).or_insert(read.records);
            found.newest_owner = Some(read.owner);
        }
        let covered = before.map_or(0, |(_, covered)| covered);
        if covered != rows.len() {
            self.add(Defect::CheckpointCover, || format!("the newest covers {covered} rows of {}", rows.len()));
        }
        found
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    sequence: u64,
    crc32: u32,
}

struct Read {
    sequence: u64,
    previous: u32,
    records: usize,
    owner: String,
    value: Value,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sequence {}, previous {}, {} rows", self.sequence, self.previous, self.records)
    }
}

impl Read {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            sequence: value.get("sequence")?.as_u64()?,
            previous: u32::try_from(value.get("previous")?.as_u64()?).ok()?,
            records: usize::try_from(value.pointer("/counters/records")?.as_u64()?).ok()?,
            owner: value.pointer("/owner/instance")?.as_str()?.to_owned(),
            value,
        })
    }

    /// It ends between two source transactions: behind the first and before the second; or, if it says so, within one.
    fn covers(&self, rows: &[Row]) -> Result<(), String> {
        if self.records > rows.len() {
            return Err(format!("covers {} rows of {}", self.records, rows.len()));
        }
        let (passed, ahead) = rows.split_at(self.records);
        let next = ahead.first();
        let within = next.filter(|next| passed.last().is_some_and(|last| last.transaction == next.transaction));
        let begun = within.map_or(0, |next| next.ordinal);
        if !self.says_begun(within) {
            let says = self.value.get("begun");
            return Err(match within {
                Some(row) => format!("ends inside {} behind {begun} rows, but says {says:?}", row.transaction),
                None => format!("ends between transactions, but says {says:?}"),
            });
        }
        let last = passed[..self.records - begun].last();
        for (row, expected) in [(last, true), (next, false)] {
            let covers = row.map(|row| position::covers(&self.value, &row.transaction, &row.end));
            if row.is_some() && covers != Some(Some(expected)) {
                return Err(format!("{} rows, but its position does not agree: {row:?}", self.records));
            }
        }
        Ok(())
    }
}

impl Read {
    /// Whether it names the transaction of this row as published up to it, or none if there is none.
    fn says_begun(&self, next: Option<&Row>) -> bool {
        let (Some(next), Some(begun)) = (next, self.value.get("begun")) else {
            return next.is_none() && self.value.get("begun").is_none();
        };
        let number = |path| begun.pointer(path).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        let text = |path| begun.pointer(path).and_then(Value::as_str);
        let by_file =
            text("/terminator/file").zip(number("/terminator/end")).map(|(file, end)| format!("{file}:{end}"));
        let same_gtid = text("/terminator/gtid").is_none_or(|gtid| gtid == next.transaction);
        (number("/published"), number("/records")) == (Some(next.ordinal), Some(next.count))
            && same_gtid
            && by_file.as_deref() == Some(&next.end)
    }
}

/// As in Ethernet, bit by bit.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_the_usual_check_string() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
