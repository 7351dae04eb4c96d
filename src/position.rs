//! Where we are in the source: GTIDs, GTID sets, file positions.
//!
//! Pure: text and algebra only. "Offset" alone always means Kafka's; here it is a byte offset in a named binlog file.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod domain;
mod gtid;
mod gtid_set;
mod state;

pub use domain::{GtidList, GtidPosition, MariadbGtid};
pub use gtid::{MAX_NUMBER, MysqlGtid, ParseGtidError, Sid, Tag};
pub use gtid_set::{GtidSet, Interval};
pub use state::{Gtid, GtidState, MixedGtids};

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// MySQL, or a server that speaks as MySQL does.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl Flavour {
    /// Its name, wherever it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        }
    }
}

/// How positions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionMode {
    /// By GTIDs.
    Gtid,
    /// By binlog file and offset.
    File,
}

impl PositionMode {
    /// Its name, wherever it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gtid => "gtid",
            Self::File => "file",
        }
    }
}

/// A byte offset in a binlog file. Offsets are ours and 64 bits wide: the event header's `log_pos` wraps at 4 GiB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePosition {
    /// Binlog file name, e.g. `mysql-bin.000031`.
    pub file: Arc<str>,
    /// Byte offset, at an event boundary.
    pub offset: u64,
}

impl FilePosition {
    /// Whether both are the same place as far as can be told: in a file beyond 4 GiB a dump by GTID leaves the high bits of
    /// an offset open.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let low = |offset: u64| offset & u64::from(u32::MAX);
        self.file == other.file && low(self.offset) == low(other.offset)
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// The identity of one source transaction: its GTID, or the end of its event group where the server has none.
/// `Display` is the POSITION of the header `outboxd-source`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupPosition {
    /// The text of the server's GTIDs.
    Gtid(Gtid),
    /// `file:end_offset`
    File(FilePosition),
}

impl fmt::Display for GroupPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid(gtid) => gtid.fmt(f),
            Self::File(position) => position.fmt(f),
        }
    }
}
