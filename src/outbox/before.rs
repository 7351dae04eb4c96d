//! What earlier runs knew or published of the groups that come next.

use std::sync::Arc;

use super::kept::Kept;
use super::large::{Again, Large, Survivors};
use crate::binlog::begun::Begun;
use crate::binlog::event::GroupStart;
use crate::binlog::xa::PreparedXa;
use crate::error::Result;
use crate::position::GroupPosition;

/// What was read or published before.
#[derive(Debug, Default)]
pub struct Before {
    /// Distributed transactions that the checkpoint names.
    pub prepared: Vec<PreparedXa>,
    /// The group behind the checkpoint, if some of its records are published.
    pub begun: Option<Box<Begun>>,
    /// The checkpoint was taken on the log that is read.
    pub same_log: bool,
    /// A large group that was read before.
    pub large: Option<Arc<Large>>,
}

impl Before {
    /// How the group that begins there is read.
    ///
    /// # Errors
    /// As [`Before::ensure_is_begun`].
    pub(super) fn keep(&self, start: &GroupStart) -> Result<Kept> {
        let begun = self.begun.as_ref().filter(|begun| begun.is_at(start));
        Ok(match self.large.as_ref().filter(|large| large.is_at(start)) {
            Some(large) => {
                if begun.is_some() {
                    self.ensure_is_begun(large)?;
                }
                Kept::Passed(Again::of(large, begun.map_or(0, |begun| begun.published)))
            }
            // However large it is: what is published of it is stepped over at the second reading.
            None if begun.is_some() => Kept::Counted(Survivors::default()),
            None => Kept::NOTHING,
        })
    }

    /// Nothing else may come before the group that is published in part.
    ///
    /// # Errors
    /// `HistoryChanged`, `SplitSelection`.
    pub(super) fn ensure_is_begun(&self, large: &Large) -> Result<()> {
        self.begun.as_ref().map_or(Ok(()), |begun| begun.ensure_is(&large.published(0), self.same_log))
    }

    /// The group that began there is read to its end, for the second time.
    pub(super) fn complete(&mut self, start: &GroupStart) {
        self.begun.take_if(|begun| begun.is_at(start));
    }

    /// A group has ended: it must not be one that comes instead of the group that is published in part.
    ///
    /// # Errors
    /// `HistoryChanged`.
    pub(super) fn ensure_none_begun(&self, ended: &GroupPosition) -> Result<()> {
        self.begun.as_ref().map_or(Ok(()), |begun| Err(begun.replaced_by(&ended.to_string())))
    }
}
