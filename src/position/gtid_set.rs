//! Exact GTID-set algebra: intervals with holes and tags, never collapsed to a maximum.

use super::Sid;
use std::collections::BTreeMap;

/// Numbers `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// First number in it, at least 1.
    pub first: u64,
    /// Last number in it.
    pub last: u64,
}

/// An exact set of GTIDs. Per source the intervals are sorted, disjoint and not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    sids: BTreeMap<Sid, Vec<Interval>>,
}
