//! What is kept of the present group's rows until its end.

use super::large::{Again, Mark, Survivors};
use super::savepoints::Savepoints;
use super::updates::Updates;
use crate::binlog::event::OutboxRows;
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
