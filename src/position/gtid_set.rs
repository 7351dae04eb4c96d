//! MySQL: exact GTID-set algebra: intervals with holes and tags, never collapsed to a maximum.
//!
//! The text form is MySQL's (manual, "GTID Format and Storage", section "GTID Sets").

use super::{MysqlGtid, Sid};
use std::collections::BTreeMap;

mod intervals;
mod text;

/// Numbers `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// First number in it, at least 1.
    pub first: u64,
    /// Last number in it.
    pub last: u64,
}

impl Interval {
    fn is_empty(self) -> bool {
        self.first > self.last
    }
}

/// An exact set of GTIDs. Per source the intervals are sorted, disjoint and not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// No entry is empty, so that equal sets compare equal.
    sids: BTreeMap<Sid, Vec<Interval>>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one GTID. Constant time for the next number of its source, which is nearly every call.
    pub fn insert(&mut self, gtid: &MysqlGtid) {
        self.insert_interval(&gtid.sid, Interval { first: gtid.number, last: gtid.number });
    }

    /// Adds `interval` of one source; an interval that ends before it begins adds nothing.
    pub fn insert_interval(&mut self, sid: &Sid, interval: Interval) {
        if interval.is_empty() {
            return;
        }
        match self.sids.get_mut(sid) {
            Some(present) => intervals::insert(present, interval),
            None => drop(self.sids.insert(sid.clone(), vec![interval])),
        }
    }

    /// Takes one GTID out; whether it was there.
    pub fn remove(&mut self, gtid: &MysqlGtid) -> bool {
        let Some(present) = self.sids.get_mut(&gtid.sid) else { return false };
        let removed = intervals::remove(present, gtid.number);
        if present.is_empty() {
            self.sids.remove(&gtid.sid);
        }
        removed
    }

    /// Whether the GTID is in the set.
    pub fn contains(&self, gtid: &MysqlGtid) -> bool {
        intervals::contains(self.of(&gtid.sid), gtid.number)
    }

    /// Whether every GTID of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.sids().all(|(sid, mine)| intervals::subtract(mine, other.of(sid)).is_empty())
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.union_with(other);
        union
    }

    /// Adds what is in `other`.
    pub fn union_with(&mut self, other: &Self) {
        for (sid, theirs) in other.sids() {
            match self.sids.get_mut(sid) {
                Some(mine) => *mine = intervals::union(mine, theirs),
                None => drop(self.sids.insert(sid.clone(), theirs.to_vec())),
            }
        }
    }

    /// What is in `self` and not in `other` (MySQL's `GTID_SUBTRACT`).
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let left = self.sids().map(|(sid, mine)| (sid.clone(), intervals::subtract(mine, other.of(sid))));
        Self { sids: left.filter(|(_, left)| !left.is_empty()).collect() }
    }

    /// What did not come from the server with this UUID.
    #[must_use]
    pub fn without(&self, uuid: &str) -> Self {
        let left = self.sids.iter().filter(|(sid, _)| !sid.uuid.to_string().eq_ignore_ascii_case(uuid));
        Self { sids: left.map(|(sid, intervals)| (sid.clone(), intervals.clone())).collect() }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.subtract(&self.subtract(other))
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.sids.is_empty()
    }

    /// How many GTIDs are in it, `u64::MAX` at most.
    pub fn count(&self) -> u64 {
        let intervals = self.sids.values().flatten();
        intervals.fold(0, |sum: u64, interval| sum.saturating_add((interval.last - interval.first).saturating_add(1)))
    }

    /// The sources, in order, each with its intervals.
    pub fn sids(&self) -> impl Iterator<Item = (&Sid, &[Interval])> {
        self.sids.iter().map(|(sid, intervals)| (sid, intervals.as_slice()))
    }

    fn of(&self, sid: &Sid) -> &[Interval] {
        self.sids.get(sid).map_or(&[], Vec::as_slice)
    }
}

impl Extend<MysqlGtid> for GtidSet {
    fn extend<I: IntoIterator<Item = MysqlGtid>>(&mut self, gtids: I) {
        gtids.into_iter().for_each(|gtid| self.insert(&gtid));
    }
}

#[cfg(test)]
mod tests;
