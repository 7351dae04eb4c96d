//! A source transaction of which some records are published and the others are not (`batch.oversize = "split"`).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{Fingerprint, GroupStart};
use crate::error::{Code, Error, Result};
use crate::position::FilePosition;

/// How far it is published, and which it is. It is kept in the checkpoint, whose position stands in front of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Where its group begins, in the file of its terminator.
    pub start: u64,
    /// Its terminator, found when the group was read for the first time.
    pub terminator: Fingerprint,
    /// So many of its records are published, the first ones.
    pub published: u64,
    /// All its records.
    pub records: u64,
    /// What decided which of its rows become records: see `config::selection`.
    pub selection: String,
}

impl Begun {
    /// Whether its group begins there.
    pub fn is_at(&self, start: &GroupStart) -> bool {
        match (&self.terminator.gtid, &start.gtid) {
            (Some(gtid), Some(other)) => gtid == other,
            _ => start.start.agrees_with(&FilePosition { file: Arc::clone(&self.terminator.file), offset: self.start }),
        }
    }

    /// Where its group ends.
    pub fn ends_at(&self) -> FilePosition {
        FilePosition { file: Arc::clone(&self.terminator.file), offset: self.terminator.end }
    }

    /// The group that was read has to be this one. On another server (`same_log` is false) its GTID says so, and its
    /// events stand elsewhere.
    ///
    /// # Errors
    /// `HistoryChanged` for another group; `SplitSelection` if other rows of it would become records now.
    pub fn ensure_is(&self, found: &Self, same_log: bool) -> Result<()> {
        let same_gtid = found.terminator.gtid.is_some() && found.terminator.gtid == self.terminator.gtid;
        let same = if same_log { self.terminator.is_same_event(&found.terminator) } else { same_gtid };
        if !same {
            return Err(self.replaced_by(&found.to_string()));
        }
        if self.selection != found.selection {
            return Err(Error::new(Code::SplitSelection, format!("{self}")));
        }
        if self.records != found.records {
            return Err(self.replaced_by(&format!("{} records in it", found.records)));
        }
        Ok(())
    }

    /// Something else stands where it stood.
    pub fn replaced_by(&self, found: &str) -> Error {
        Error::new(Code::HistoryChanged, format!("source history changed: expected {self}, found {found}"))
    }
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, terminator, published, records, .. } = self;
        write!(f, "the source transaction at {}:{start} to {}", terminator.file, terminator.end)?;
        terminator.gtid.as_ref().map_or(Ok(()), |gtid| write!(f, " ({gtid})"))?;
        write!(f, ", {published} of {records} records published")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binlog::testing::{FILE, at, fingerprint};

    fn begun() -> Begun {
        Begun { start: 200, terminator: fingerprint(2), published: 3, records: 9, selection: "s".into() }
    }

    #[test]
    fn it_is_known_by_its_gtid_or_by_its_place() {
        let start = |gtid: Option<&Fingerprint>, offset| GroupStart {
            gtid: gtid.and_then(|f| f.gtid.clone()),
            committed_at_us: 0,
            start: at(offset),
        };
        assert!(begun().is_at(&start(Some(&fingerprint(2)), 900)));
        assert!(!begun().is_at(&start(Some(&fingerprint(3)), 200)));
        let mut anonymous = begun();
        anonymous.terminator.gtid = None;
        assert!(anonymous.is_at(&start(None, 200)) && !anonymous.is_at(&start(None, 300)));
        assert!(begun().to_string().starts_with(&format!("the source transaction at {FILE}:200 to 300 (")));
    }

    #[test]
    fn another_group_in_its_place_is_refused() {
        let code = |found: &Begun, same_log| begun().ensure_is(found, same_log).unwrap_err().code();
        assert!(begun().ensure_is(&Begun { published: 0, ..begun() }, true).is_ok());
        let mut elsewhere = begun();
        elsewhere.terminator.crc32 += 1;
        assert_eq!(code(&elsewhere, true), Code::HistoryChanged);
        assert!(begun().ensure_is(&elsewhere, false).is_ok());
        elsewhere.terminator.gtid = None;
        assert_eq!(code(&elsewhere, false), Code::HistoryChanged);
        assert_eq!(code(&Begun { records: 8, ..begun() }, true), Code::HistoryChanged);
        assert_eq!(code(&Begun { selection: "t".into(), ..begun() }, true), Code::SplitSelection);
    }
}
