//! The algebra of one source: sorted, disjoint, non-adjacent intervals.
//!
//! Total over all of `u64`: numbers beyond a GTID's range give no wrong answer and no overflow.

use super::Interval;

/// Adds a non-empty interval, merging what it overlaps or touches.
pub(super) fn insert(intervals: &mut Vec<Interval>, new: Interval) {
    if let Some(last) = intervals.last_mut()
        && last.first <= new.first
        && touches(last.last, new.first)
    {
        // The usual case: the next number of a source.
        last.last = last.last.max(new.last);
        return;
    }
    let start = intervals.partition_point(|interval| !touches(interval.last, new.first));
    let end = intervals.partition_point(|interval| touches(new.last, interval.first));
    let merged = intervals
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .fold(new, |merged, old| Interval { first: merged.first.min(old.first), last: merged.last.max(old.last) });
    intervals.splice(start..end.max(start), [merged]);
}

/// Takes one number out; whether it was there.
pub(super) fn remove(intervals: &mut Vec<Interval>, number: u64) -> bool {
    let index = intervals.partition_point(|interval| interval.last < number);
    let Some(&found) = intervals.get(index).filter(|interval| interval.first <= number) else { return false };
    let before = (found.first < number).then(|| Interval { first: found.first, last: number - 1 });
    let after = (number < found.last).then(|| Interval { first: number + 1, last: found.last });
    intervals.splice(index..=index, before.into_iter().chain(after));
    true
}

/// Whether `number` is in one of them.
pub(super) fn contains(intervals: &[Interval], number: u64) -> bool {
    let index = intervals.partition_point(|interval| interval.last < number);
    intervals.get(index).is_some_and(|interval| interval.first <= number)
}

/// What is in `left` or in `right`: a merge by first number.
pub(super) fn union(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    let mut all = [left, right].concat();
    // A stable sort of two sorted runs is a merge.
    all.sort();
    all.dedup_by(|next, kept| {
        let merge = touches(kept.last, next.first);
        if merge {
            kept.last = kept.last.max(next.last);
        }
        merge
    });
    all
}

/// What is in `left` and not in `right`.
pub(super) fn subtract(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    let mut rest = Vec::new();
    let mut holes = right;
    for interval in left {
        while let Some((hole, later)) = holes.split_first()
            && hole.last < interval.first
        {
            holes = later;
        }
        cut(*interval, holes, &mut rest);
    }
    rest
}

/// Pushes what `holes` leave of `interval`; `holes` may go on beyond it.
fn cut(interval: Interval, holes: &[Interval], rest: &mut Vec<Interval>) {
    let mut first = interval.first;
    for hole in holes.iter().take_while(|hole| hole.first <= interval.last) {
        if first < hole.first {
            rest.push(Interval { first, last: hole.first - 1 });
        }
        match hole.last.checked_add(1) {
            Some(next) => first = next,
            None => return,
        }
    }
    if first <= interval.last {
        rest.push(Interval { first, last: interval.last });
    }
}

/// Whether an interval that begins at `first` overlaps or continues one that ends at `last`.
fn touches(last: u64, first: u64) -> bool {
    first <= last.saturating_add(1)
}
