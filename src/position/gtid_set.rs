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

// Temporary: stands in for the real parser until it lands; knows no tags, no overlaps.
impl std::str::FromStr for GtidSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sids = BTreeMap::new();
        for element in text.split(',') {
            let mut parts = element.trim().split(':');
            let uuid = parts.next().and_then(|part| part.parse().ok()).ok_or("not a server UUID")?;
            let interval = |part: &str| {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                Some(Interval { first: first.parse().ok()?, last: last.parse().ok()? })
            };
            let intervals = parts.map(interval).collect::<Option<Vec<_>>>().ok_or("not an interval")?;
            sids.insert(Sid { uuid, tag: None }, intervals);
        }
        Ok(Self { sids })
    }
}
