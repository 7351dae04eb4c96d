//! What is kept of the present group's rows until its end, and of a prepared one's until its decision.

use std::sync::Arc;

use super::large::{Again, Group, Large, Mark, Survivors};
use super::savepoints::Savepoints;
use super::updates::Updates;
use crate::binlog::event::{GroupStart, OutboxRows, Terminator};
use crate::error::{Code, Error, Result};

/// By how large the group is, and whether it was read before.
#[derive(Debug)]
pub(super) enum Kept {
    /// All of them.
    Held(Vec<OutboxRows>, Mark),
    /// Which of them survive.
    Counted(Survivors),
    /// None: it is known which of them survive.
    Passed(Again),
}

impl Kept {
    pub(super) const NOTHING: Self = Self::Held(Vec::new(), Mark { events: 0, records: 0, bytes: 0 });

    /// What survives by now; unknown where a savepoint changes nothing any more.
    pub(super) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Held(_, mark) => Some(*mark),
            Self::Counted(survivors) => Some(survivors.total()),
            Self::Passed(_) => None,
        }
    }

    /// Takes the next row event, and hands it back if it is known to be committed, with the reading that knows it.
    ///
    /// # Errors
    /// `EventUndecodable`; `SourceTransactionTooLarge` if what has to be known of the group takes more than `limit` bytes.
    pub(super) fn take(
        &mut self,
        rows: OutboxRows,
        updates: &Updates,
        limit: usize,
    ) -> Result<Option<(&mut Again, OutboxRows)>> {
        match self {
            Self::Held(held, mark) => {
                mark.add(&rows, 0);
                held.push(rows);
                Ok(None)
            }
            Self::Counted(survivors) => {
                updates.count(&rows, survivors)?;
                if survivors.size() > limit {
                    let what = format!("{}: too many parts of one source transaction were rolled back", rows.at);
                    return Err(Error::new(Code::SourceTransactionTooLarge, what));
                }
                Ok(None)
            }
            Self::Passed(again) => Ok(again.next_survives().then_some((again, rows))),
        }
    }

    /// Lets go of rows that are held: from here on they are counted.
    ///
    /// # Errors
    /// `EventUndecodable`.
    pub(super) fn count(&mut self, updates: &Updates, savepoints: &mut Savepoints) -> Result<()> {
        let Self::Held(rows, _) = self else { return Ok(()) };
        let mut survivors = Survivors::default();
        let mut records = vec![0];
        for rows in rows {
            updates.count(rows, &mut survivors)?;
            records.push(survivors.total().records);
        }
        savepoints.count(&records);
        *self = Self::Counted(survivors);
        Ok(())
    }

    /// The group ends.
    ///
    /// # Errors
    /// `EventUndecodable` if it was read before, and was another one.
    pub(super) fn end(self, start: &GroupStart, terminator: &Terminator) -> Result<Ended> {
        Ok(match self {
            Self::Held(rows, _) => Ended::Held(rows),
            Self::Counted(survivors) if survivors.total().events == 0 => Ended::NOTHING,
            Self::Counted(survivors) => {
                let group = Group { start: start.clone(), fingerprint: terminator.fingerprint.clone() };
                Ended::Counted(Box::new((survivors, group)))
            }
            Self::Passed(again) => Ended::Sent(again.complete(terminator)?),
        })
    }

    /// Forgets what came behind `mark`.
    pub(super) fn roll_back_to(&mut self, mark: Mark) {
        match self {
            Self::Held(rows, total) => {
                rows.truncate(mark.events);
                *total = mark;
            }
            Self::Counted(survivors) => survivors.roll_back_to(mark),
            Self::Passed(_) => {}
        }
    }
}

/// The rows of a group that was read to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// All of them.
    Held(Vec<OutboxRows>),
    /// Which of them survive, and where they stand.
    Counted(Box<(Survivors, Group)>),
    /// They have left: it was known that they are committed.
    Sent(Arc<Large>),
}

impl Ended {
    pub(super) const NOTHING: Self = Self::Held(Vec::new());

    /// Forgets them; but what was sent must be committed.
    pub(super) fn rolled_back(self) -> Self {
        match self {
            Self::Held(_) | Self::Counted(_) => Self::NOTHING,
            sent @ Self::Sent(_) => sent,
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Held(rows) if rows.is_empty())
    }

    /// Bytes of held row events.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Held(rows) => rows.iter().map(|rows| rows.event.data().len()).sum(),
            Self::Counted(_) | Self::Sent(_) => 0,
        }
    }
}
