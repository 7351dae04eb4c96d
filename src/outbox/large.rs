//! Groups whose rows are too many to be held: read twice (ADR 12).
//!
//! The first reading keeps no row, only which row events survive: `Survivors`. At the commit they become a [`Large`], with
//! which the group is read again: rows that are known to be committed leave at once, as [`Part`]s, but those that were
//! published already. Of a distributed transaction it is the group that prepared it that is read again, and the group that
//! commits it has to follow at once.

use std::ops::Range;
use std::sync::Arc;

use crate::binlog::begun::Begun;
use crate::binlog::event::{Fingerprint, GroupEnd, GroupStart, OutboxRows, Terminator};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GroupPosition};

/// How much of a group survives up to some place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Row events.
    pub(super) events: usize,
    /// Records that they become; unknown (0) as long as the events themselves are held.
    pub(super) records: u64,
    /// Bytes of row events.
    pub(super) bytes: u64,
}

impl Mark {
    pub(super) fn add(&mut self, rows: &OutboxRows, records: u64) {
        *self = Self {
            events: self.events + 1,
            records: self.records + records,
            bytes: self.bytes + rows.event.data().len() as u64,
        };
    }
}

/// An event group that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) start: GroupStart,
    /// Its terminator.
    pub(super) fingerprint: Fingerprint,
}

impl Group {
    fn is_at(&self, start: &GroupStart) -> bool {
        self.start.gtid == start.gtid && self.start.start.agrees_with(&start.start)
    }
}

/// Which row events of a group survive, by their ordinal among its row events.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    seen: usize,
    kept: Vec<Range<usize>>,
    total: Mark,
    /// How many row events survive before the first one that stops the relay, and the error.
    refused: Option<(usize, Error)>,
}

impl Survivors {
    /// The next row event, which becomes so many records.
    pub(super) fn add(&mut self, rows: &OutboxRows, records: u64) {
        match self.kept.last_mut() {
            Some(range) if range.end == self.seen => range.end += 1,
            _ => self.kept.push(self.seen..self.seen + 1),
        }
        self.seen += 1;
        self.total.add(rows, records);
    }

    /// The next row event stops the relay if it survives.
    pub(super) fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert((self.total.events, error));
    }

    /// What survives by now.
    pub(super) fn total(&self) -> Mark {
        self.total
    }

    /// Forgets what came behind `mark`.
    pub(super) fn roll_back_to(&mut self, mark: Mark) {
        let mut surplus = self.total.events.saturating_sub(mark.events);
        while surplus > 0
            && let Some(last) = self.kept.last_mut()
        {
            let gone = surplus.min(last.len());
            last.end -= gone;
            surplus -= gone;
            if last.start == last.end {
                self.kept.pop();
            }
        }
        self.total = mark;
        self.refused.take_if(|(before, _)| *before >= mark.events);
    }

    /// Memory that they take, bytes.
    pub(super) fn size(&self) -> usize {
        self.kept.len() * size_of::<Range<usize>>()
    }

    /// What the second reading needs to know of the group that they stand in; `committed_by` is the same one, or decides it.
    /// `selection`: what decided which rows become records.
    ///
    /// # Errors
    /// `RowUpdated`: before any of its rows is published.
    pub(super) fn committed(
        self,
        rows_in: Group,
        committed_by: Group,
        group: GroupPosition,
        selection: &Arc<str>,
    ) -> Result<Large> {
        let Self { seen, kept, total, refused } = self;
        if let Some((_, error)) = refused {
            return Err(error);
        }
        let (records, bytes) = (total.records, total.bytes);
        let selection = Arc::clone(selection);
        Ok(Large { rows_in, committed_by, group, behind: 0, seen, kept, records, bytes, selection, split: false })
    }
}

/// A committed group that was read once and not held.
#[derive(Debug, PartialEq, Eq)]
pub struct Large {
    rows_in: Group,
    /// The same, or the group that commits what `rows_in` prepared.
    committed_by: Group,
    /// Identity of the group that commits it.
    pub group: GroupPosition,
    /// Event groups before that one, counted as a checkpoint does.
    pub behind: u64,
    /// Row events, survivors or not.
    seen: usize,
    kept: Vec<Range<usize>>,
    /// How many records it becomes.
    pub records: u64,
    /// Bytes of its committed row events.
    pub bytes: u64,
    /// What decided which of its rows become records.
    selection: Arc<str>,
    /// It is more than one Kafka transaction may carry, and travels in several.
    pub split: bool,
}

impl Large {
    /// Where the group with its rows begins.
    pub fn begins(&self) -> &FilePosition {
        &self.rows_in.start.start
    }

    /// Where it is committed.
    pub fn ends(&self) -> FilePosition {
        FilePosition { file: Arc::clone(&self.fingerprint().file), offset: self.fingerprint().end }
    }

    /// Terminator of the group that commits it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.committed_by.fingerprint
    }

    /// Whether it was prepared in a group of its own: a distributed transaction.
    pub fn is_prepared(&self) -> bool {
        self.rows_in != self.committed_by
    }

    /// Whether a run that begins behind so many event groups can carry it. Rows that were prepared are read before what
    /// comes next, so that has to be the group that commits them, in the log in which it was found.
    pub fn can_follow(&self, groups: u64, same_log: bool) -> bool {
        !self.is_prepared() || (same_log && self.behind == groups)
    }

    /// Whether its rows are in the group that begins there.
    pub(super) fn is_at(&self, start: &GroupStart) -> bool {
        self.rows_in.is_at(start)
    }

    /// What ends so has to be the group that commits it.
    ///
    /// # Errors
    /// `HistoryChanged`; nothing of it is visible yet.
    pub(super) fn ensure_committed_by(&self, found: &Terminator) -> Result<()> {
        let (found, decides) = (&found.fingerprint, matches!(found.end, GroupEnd::Commit | GroupEnd::XaCommit(_)));
        if decides && self.fingerprint().is_same_event(found) {
            return Ok(());
        }
        let (begins, ends) = (self.begins(), self.ends());
        let what = format!(
            "source history changed: what begins at {begins} was committed at {ends}, now {}:{} decides it",
            found.file, found.end
        );
        Err(Error::new(Code::HistoryChanged, what))
    }

    /// What the checkpoint says of it when so many of its records are published.
    pub(super) fn published(&self, records: u64) -> Begun {
        Begun {
            start: self.committed_by.start.start.offset,
            terminator: self.fingerprint().clone(),
            published: records,
            records: self.records,
            selection: self.selection.to_string(),
        }
    }

    /// The same if a checkpoint may be taken there.
    pub fn begun(&self, records: u64) -> Option<Box<Begun>> {
        self.split.then(|| Box::new(self.published(records)))
    }

    /// The group of that number, which becomes so many records.
    #[cfg(test)]
    pub(crate) fn new(number: u64, records: u64, split: bool) -> Self {
        use crate::binlog::testing::{at, fingerprint};
        let start = GroupStart { gtid: None, committed_at_us: 0, start: at(100 * number) };
        let group = Group { start, fingerprint: fingerprint(number) };
        let at_end = GroupPosition::File(at(100 * number + 100));
        Survivors::default()
            .committed(group.clone(), group, at_end, &"".into())
            .map(|large| Self { records, split, ..large })
            .unwrap()
    }
}

/// Committed rows of a large group, whose end is still to be read.
#[derive(Debug)]
pub struct Part {
    /// Row events in log order; none if they publish nothing.
    pub rows: Vec<OutboxRows>,
    /// Commit time on the origin, microseconds since the epoch.
    pub committed_at_us: i64,
    /// Records of the group before these.
    pub before: u64,
    /// How many these become.
    pub records: u64,
    /// How many of them, the first ones, are published already.
    pub published: u64,
    /// The group.
    pub large: Arc<Large>,
}

/// The second reading of a large group.
#[derive(Debug)]
pub(super) struct Again {
    large: Arc<Large>,
    seen: usize,
    /// Index of the range that is next or under way.
    range: usize,
    records: u64,
    /// So many records are published already.
    published: u64,
}

impl Again {
    /// Of a group of which so many records are published already.
    pub(super) fn of(large: &Arc<Large>, published: u64) -> Self {
        Self { large: Arc::clone(large), seen: 0, range: 0, records: 0, published }
    }

    /// Whether the next row event survives.
    pub(super) fn next_survives(&mut self) -> bool {
        let ordinal = self.seen;
        self.seen += 1;
        let kept = &self.large.kept;
        while kept.get(self.range).is_some_and(|range| range.end <= ordinal) {
            self.range += 1;
        }
        kept.get(self.range).is_some_and(|range| range.contains(&ordinal))
    }

    /// Passes over surviving rows that become so many records; true if they are published already.
    pub(super) fn step_over(&mut self, records: u64) -> bool {
        let is_published = self.records < self.published && self.records + records <= self.published;
        if is_published {
            self.records += records;
        }
        is_published
    }

    /// Surviving rows, which become so many records.
    pub(super) fn part(&mut self, rows: Vec<OutboxRows>, records: u64) -> Part {
        let committed_at_us = self.large.committed_by.start.committed_at_us;
        let before = self.records;
        self.records += records;
        let published = self.published.saturating_sub(before).min(records);
        Part { rows, committed_at_us, before, records, published, large: Arc::clone(&self.large) }
    }

    /// The group ends: it must do so as it did, with as many rows.
    ///
    /// # Errors
    /// `EventUndecodable`; nothing of it is visible yet.
    pub(super) fn complete(self, terminator: &Terminator) -> Result<Arc<Large>> {
        let Large { seen, records, rows_in: Group { fingerprint, .. }, .. } = &*self.large;
        let same = fingerprint.is_same_event(&terminator.fingerprint);
        if same && (*seen, *records) == (self.seen, self.records) {
            return Ok(self.large);
        }
        let what = format!(
            "{}: a large group has {} row events and {} records at its second reading, {seen} and {records} at the \
             first, and ends at {} instead of {}",
            self.large.begins(),
            self.seen,
            self.records,
            terminator.fingerprint.end,
            fingerprint.end
        );
        Err(Error::new(Code::EventUndecodable, what))
    }
}
