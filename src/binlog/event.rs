//! What the relay acts on: a closed enum. Everything else in the log is counted and passed over by `interpret`.

use std::sync::Arc;

use mysql_async::binlog::EventType;
use mysql_async::binlog::events::Event;
use serde::{Deserialize, Serialize};

use super::rows::{Images, RowsVersion};
use super::table::TableMap;
use super::xa::Xid;
use crate::position::{FilePosition, Gtid};

/// Index of an `[outbox.NAME]` in configuration order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutboxId(pub usize);

/// One step of the source.
#[derive(Debug)]
pub enum BinlogEvent {
    /// An event group begins (GTID, ANONYMOUS_GTID).
    GroupStart(GroupStart),
    /// `BEGIN` or `XA START`: the group is a transaction, ended by [`BinlogEvent::Terminator`].
    Begin,
    /// `SAVEPOINT name`
    Savepoint(Vec<u8>),
    /// `ROLLBACK TO name`
    RollbackTo(Vec<u8>),
    /// Inserted or updated rows of an outbox table, undecoded.
    Rows(OutboxRows),
    /// Deleted rows of an outbox table: the tidy outbox.
    Deleted(OutboxId),
    /// A statement inside a transaction that may have written an outbox table without logging rows.
    Statement {
        /// The outbox table named, as `schema.table`.
        table: String,
        /// Connection that ran it.
        thread_id: u32,
        /// Where the event stands.
        at: FilePosition,
    },
    /// The event group ends.
    Terminator(Terminator),
    /// The log goes on in another file; a good moment for a checkpoint.
    Rotated,
    /// A log file begins, with its head. A group that had no end before it was lost with the server.
    FileHead(Fingerprint),
    /// The server is alive and has nothing new.
    Heartbeat,
    /// Nothing to act on.
    Passed,
}

/// The head of an event group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStart {
    /// `None` for an anonymous group.
    pub gtid: Option<Gtid>,
    /// Commit time on the origin, microseconds since the epoch (MySQL 8.0.1+; before: the event's seconds).
    pub committed_at_us: i64,
    /// Where the group begins.
    pub start: FilePosition,
}

/// A WRITE_ROWS or UPDATE_ROWS event of an outbox table, kept whole until its source transaction is decided.
#[derive(Debug)]
pub struct OutboxRows {
    /// Which outbox.
    pub outbox: OutboxId,
    /// The table map of the same event group.
    pub table: Arc<TableMap>,
    /// Row event version.
    pub version: RowsVersion,
    /// Whether the rows were inserted or updated.
    pub images: Images,
    /// The raw event.
    pub event: Event,
    /// Where the event ends (its outer event, if compressed).
    pub at: FilePosition,
}

/// The end of an event group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminator {
    /// How it ends.
    pub end: GroupEnd,
    /// Its identity, for "rewind one and verify".
    pub fingerprint: Fingerprint,
    /// Outbox tables that the group, a statement, empties or drops.
    pub emptied: Vec<OutboxId>,
}

/// How an event group ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEnd {
    /// XID, `COMMIT`, or XA one-phase commit.
    Commit,
    /// `ROLLBACK`: possible with mixed engines.
    Rollback,
    /// `XA PREPARE`: the outcome stands in a later group.
    Prepare(Xid),
    /// `XA COMMIT`: decides an earlier group.
    XaCommit(Xid),
    /// `XA ROLLBACK`: decides an earlier group.
    XaRollback(Xid),
    /// A statement that is its own group, such as DDL.
    Standalone,
}

/// Everything that identifies one event in the log: the terminator of the last processed group is stored in the
/// checkpoint and compared at the next start. By file position, the head of a file (FORMAT_DESCRIPTION_EVENT, with the
/// time when the file was made) stands for a terminator until the file has a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Binlog file.
    pub file: Arc<str>,
    /// Byte offset of the event.
    pub start: u64,
    /// Byte offset after it.
    pub end: u64,
    /// Event type code.
    pub event_type: u8,
    /// Header timestamp, seconds.
    pub timestamp: u32,
    /// Server id in the header.
    pub server_id: u32,
    /// Event size in bytes.
    pub size: u32,
    /// CRC32 of the event; 0 when the server writes none.
    pub crc32: u32,
    /// GTID of its group; absent for anonymous groups.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "gtid_text")]
    pub gtid: Option<Gtid>,
    /// GTID of the transaction before it in its domain (MariaDB), if there was one: a dump that begins there begins with
    /// this group.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "gtid_text")]
    pub previous: Option<Gtid>,
}

impl Fingerprint {
    /// Whether both are the same event of one log. In a file beyond 4 GiB a dump by GTID leaves the high bits of an offset
    /// open (the header carries 32), and what stands before the group depends on where a dump begins.
    pub fn is_same_event(&self, other: &Self) -> bool {
        let low = |offset: u64| offset & u64::from(u32::MAX);
        let same_place = low(self.start) == low(other.start) && low(self.end) == low(other.end);
        let (start, end, previous) = (self.start, self.end, self.previous.clone());
        same_place && Self { start, end, previous, ..other.clone() } == *self
    }

    /// Whether the event is the head of its file.
    pub fn is_file_head(&self) -> bool {
        self.event_type == EventType::FORMAT_DESCRIPTION_EVENT as u8
    }

    /// Whether the group was logged as one compressed payload.
    pub fn is_compressed(&self) -> bool {
        self.event_type == EventType::TRANSACTION_PAYLOAD_EVENT as u8
    }
}

/// A GTID as its text, which is how every tool prints it.
pub(super) mod gtid_text {
    use super::Gtid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::binlog) fn serialize<S: Serializer>(gtid: &Option<Gtid>, serializer: S) -> Result<S::Ok, S::Error> {
        match gtid {
            Some(gtid) => serializer.collect_str(gtid),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::binlog) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Gtid>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| text.parse().map_err(|e| D::Error::custom(format!("GTID: {e}"))))
            .transpose()
    }
}
