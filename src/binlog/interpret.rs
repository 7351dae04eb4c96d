//! Raw events → [`BinlogEvent`]. No I/O. Positions, checksums, the table filter and compressed payloads are judged here.
//!
//! Event layout and types: MySQL source documentation, "Replication Protocol"; GTID events: WL#3584, WL#15294; payload
//! compression: WL#3549.

use std::sync::Arc;

use mysql_async::binlog::events::{AnonymousGtidEvent, Event, GtidEvent};
use mysql_async::binlog::{EventFlags, EventType};
use uuid::Uuid;

use super::bytes::uint_le;
use super::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxRows, Terminator};
use super::history::FIRST_EVENT;
use super::rows::{Images, RowsVersion, WriteRows};
use super::xa::XaPrepare;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Gtid, GtidPosition, GtidState, MysqlGtid, Sid, Tag};

mod cursor;
mod inflate;
mod mariadb;
mod payload;
mod statements;
mod tables;

pub use cursor::Contiguity;
pub use tables::TableFilter;

use cursor::Cursor;
use mariadb::Kind;
use payload::Payload;
use tables::GroupTables;

/// Event types that mysql_common does not name. Heartbeat version 2 carries a 64-bit position (MySQL 8.0.26).
pub(super) const HEARTBEAT_EVENT_V2: u8 = 0x29;

/// Where a format description says when the server was started, if this is its first file: behind the version of the log
/// and that of the server.
const CREATED: std::ops::Range<usize> = 52..56;

/// Turns raw events into [`BinlogEvent`]s and keeps the position.
#[derive(Debug)]
pub struct Interpreter {
    cursor: Cursor,
    tables: GroupTables,
    gtid: Option<Gtid>,
    /// The last transaction of each domain (MariaDB), this group's not yet among them.
    domains: GtidPosition,
    /// The transaction before this group's in its domain (MariaDB).
    previous: Option<Gtid>,
    /// Inside a group, before its terminator.
    in_group: bool,
    /// The group began with `BEGIN` or `XA START`.
    in_transaction: bool,
    /// The group holds DDL, and rows that come of it (MariaDB).
    has_ddl: bool,
    payload: Option<Payload>,
}

impl Interpreter {
    /// `position`: where the dump was asked to begin; the first rotate event corrects it.
    pub fn new(filter: TableFilter, contiguity: Contiguity, position: FilePosition) -> Self {
        Self {
            cursor: Cursor::new(contiguity, position),
            tables: GroupTables::new(filter),
            gtid: None,
            domains: GtidPosition::default(),
            previous: None,
            in_group: false,
            in_transaction: false,
            has_ddl: false,
            payload: None,
        }
    }

    /// What was executed up to here: by it a MariaDB's group knows the one before it in its domain.
    pub fn stand_behind(&mut self, executed: &GtidState) {
        if let GtidState::Mariadb(position) = executed {
            self.domains = position.clone();
        }
    }

    /// End of the last outer event.
    pub fn position(&self) -> &FilePosition {
        self.cursor.position()
    }

    /// Whether an event group has begun and not ended.
    pub fn in_group(&self) -> bool {
        self.in_group
    }

    /// Interprets the next raw event in stream order.
    ///
    /// # Errors
    /// `EventCorrupt` for a checksum or structure that is wrong, `EventUndecodable` and `EventUnsupported` for what
    /// must not be skipped, `CompressedPayload` when inner events do not add up.
    pub fn interpret(&mut self, event: Event) -> Result<BinlogEvent> {
        match self.payload.take() {
            Some(payload) => self.inner(payload, event),
            None => self.outer(event),
        }
    }

    fn outer(&mut self, event: Event) -> Result<BinlogEvent> {
        let kind = event.header().event_type_raw();
        if kind == EventType::ROTATE_EVENT as u8 {
            return Ok(if self.cursor.rotate(&event)? { BinlogEvent::Rotated } else { BinlogEvent::Passed });
        }
        if kind == EventType::HEARTBEAT_EVENT as u8 || kind == HEARTBEAT_EVENT_V2 {
            // A changed type byte would turn rows into a heartbeat.
            self.cursor.ensure_checksum(&event)?;
            return Ok(BinlogEvent::Heartbeat);
        }
        let (gtid, previous) = (self.gtid.clone(), self.previous.clone());
        let fingerprint = Fingerprint { gtid, previous, ..self.cursor.pass(&event)? };
        if kind == EventType::TRANSACTION_PAYLOAD_EVENT as u8 {
            self.payload = Some(Payload::open(&event, fingerprint, self.cursor.position())?);
            return Ok(BinlogEvent::Passed);
        }
        self.act(event, fingerprint)
    }

    /// An event inside a compressed payload: it has no position of its own and no checksum.
    fn inner(&mut self, mut payload: Payload, event: Event) -> Result<BinlogEvent> {
        let fingerprint = payload.enter(&event, self.cursor.position())?;
        let result = self.act(event, fingerprint)?;
        if !payload.is_complete(&result, self.cursor.position())? {
            self.payload = Some(payload);
        }
        Ok(result)
    }

    fn act(&mut self, event: Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let kind = event.header().event_type_raw();
        if let Some(kind) = Kind::of(kind) {
            return self.act_on_mariadb(kind, event, fingerprint);
        }
        match EventType::try_from(kind) {
            Ok(EventType::GTID_EVENT | EventType::GTID_TAGGED_LOG_EVENT) => {
                self.group_start(&event, &fingerprint, true)
            }
            Ok(EventType::ANONYMOUS_GTID_EVENT) => self.group_start(&event, &fingerprint, false),
            Ok(EventType::QUERY_EVENT) => self.query(&event, fingerprint),
            Ok(EventType::XID_EVENT) => self.terminate(GroupEnd::Commit, fingerprint),
            Ok(EventType::XA_PREPARE_LOG_EVENT) => self.xa_prepare(&event, fingerprint),
            Ok(EventType::TABLE_MAP_EVENT) => self.table_map(&event),
            Ok(EventType::WRITE_ROWS_EVENT) => self.rows(event, RowsVersion::V2, Images::Inserted),
            Ok(EventType::WRITE_ROWS_EVENT_V1) => self.rows(event, RowsVersion::V1, Images::Inserted),
            Ok(EventType::UPDATE_ROWS_EVENT) => self.rows(event, RowsVersion::V2, Images::Updated),
            Ok(EventType::UPDATE_ROWS_EVENT_V1) => self.rows(event, RowsVersion::V1, Images::Updated),
            Ok(EventType::PARTIAL_UPDATE_ROWS_EVENT) => self.rows(event, RowsVersion::V2, Images::PartiallyUpdated),
            Ok(EventType::DELETE_ROWS_EVENT | EventType::DELETE_ROWS_EVENT_V1) => self.deleted(&event),
            Ok(EventType::FORMAT_DESCRIPTION_EVENT) => self.file_head(&event, fingerprint),
            Ok(
                EventType::PREVIOUS_GTIDS_EVENT
                | EventType::STOP_EVENT
                | EventType::ROWS_QUERY_EVENT
                | EventType::IGNORABLE_EVENT
                | EventType::TRANSACTION_CONTEXT_EVENT
                | EventType::VIEW_CHANGE_EVENT
                | EventType::INTVAR_EVENT
                | EventType::RAND_EVENT
                | EventType::USER_VAR_EVENT,
            ) => Ok(BinlogEvent::Passed),
            Ok(EventType::INCIDENT_EVENT) => Err(self.incident()),
            _ if event.header().flags().contains(EventFlags::LOG_EVENT_IGNORABLE_F) => Ok(BinlogEvent::Passed),
            _ => Err(Error::new(
                Code::EventUnsupported,
                format!("event of type {kind} before {}: it may hold rows of an outbox table", self.position()),
            )),
        }
    }

    fn ensure_between_groups(&self) -> Result<()> {
        if !self.in_group {
            return Ok(());
        }
        Err(Error::new(
            Code::EventUndecodable,
            format!("a new event group begins before {} while the last one has no end", self.position()),
        ))
    }

    fn group_starts(&mut self, fingerprint: &Fingerprint, committed_at_us: i64, in_transaction: bool) -> BinlogEvent {
        self.in_group = true;
        self.in_transaction = in_transaction;
        self.tables.forget_ids();
        BinlogEvent::GroupStart(GroupStart {
            gtid: self.gtid.clone(),
            committed_at_us,
            start: FilePosition { file: self.position().file.clone(), offset: fingerprint.start },
        })
    }

    fn group_start(&mut self, event: &Event, fingerprint: &Fingerprint, has_gtid: bool) -> Result<BinlogEvent> {
        self.ensure_between_groups()?;
        let gtid_event = if has_gtid {
            event.read_event::<GtidEvent>()
        } else {
            event.read_event::<AnonymousGtidEvent>().map(|anonymous| anonymous.0)
        }
        .map_err(|e| self.cursor.undecodable("GTID event", &e))?;
        self.gtid = if has_gtid { Some(gtid(&gtid_event, self.position())?) } else { None };
        let micros = match gtid_event.original_commit_timestamp() {
            0 => u64::from(event.header().timestamp()) * 1_000_000,
            micros => micros,
        };
        Ok(self.group_starts(fingerprint, i64::try_from(micros).unwrap_or(i64::MAX), false))
    }

    /// Where a stream begins inside a file, the server makes up a head, which stands nowhere in the log.
    fn file_head(&mut self, event: &Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        if fingerprint.start != FIRST_EVENT || fingerprint.end == FIRST_EVENT {
            return Ok(BinlogEvent::Passed);
        }
        // A server that crashed within a group begins another file when it comes back, and says so by the time in it. Replicas
        // drop what they have of the group (Format_description_log_event::do_apply_event); its GTID is given anew.
        if self.in_group && uint_le(event.data().get(CREATED).unwrap_or_default()) == 0 {
            self.ensure_between_groups()?;
        }
        if let (true, Some(Gtid::Mariadb(lost))) = (self.in_group, &self.gtid) {
            let before = match &self.previous {
                Some(Gtid::Mariadb(previous)) => Some(*previous),
                _ => None,
            };
            self.domains = self.domains.with_domain_at(lost.domain, before);
        }
        (self.in_group, self.in_transaction, self.has_ddl) = (false, false, false);
        Ok(BinlogEvent::FileHead(Fingerprint { gtid: None, previous: None, ..fingerprint }))
    }

    /// The server itself says that its log has a hole, e.g. because a statement did not fit its cache.
    fn incident(&self) -> Error {
        let what = format!("incident event before {}: the server could not log all changes", self.position());
        Error::new(Code::EventUnsupported, what).with_fix(
            "Compare the outbox table with its topics: rows may be missing from the log for good. Then start over behind \
             the incident under a new `name`.",
        )
    }

    fn xa_prepare(&mut self, event: &Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let prepare = XaPrepare::decode(event.data()).map_err(|e| self.cursor.undecodable("XA prepare event", &e))?;
        let end = if prepare.one_phase { GroupEnd::Commit } else { GroupEnd::Prepare(prepare.xid) };
        self.terminate(end, fingerprint)
    }

    fn table_map(&mut self, event: &Event) -> Result<BinlogEvent> {
        self.tables.add(event.data()).map_err(|e| self.cursor.undecodable("table map", &e))?;
        Ok(BinlogEvent::Passed)
    }

    fn rows(&self, event: Event, version: RowsVersion, images: Images) -> Result<BinlogEvent> {
        let id = WriteRows::table_id(event.data()).map_err(|e| self.cursor.undecodable("row event", &e))?;
        Ok(match self.tables.find(id) {
            None => BinlogEvent::Passed,
            Some((outbox, table)) => BinlogEvent::Rows(OutboxRows {
                outbox,
                table: Arc::clone(table),
                version,
                images,
                event,
                at: self.position().clone(),
            }),
        })
    }

    fn deleted(&self, event: &Event) -> Result<BinlogEvent> {
        let id = WriteRows::table_id(event.data()).map_err(|e| self.cursor.undecodable("row event", &e))?;
        Ok(match self.tables.find(id) {
            None => BinlogEvent::Passed,
            Some((outbox, _)) => BinlogEvent::Deleted(outbox),
        })
    }

    fn terminate(&mut self, end: GroupEnd, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        if !self.in_group {
            // A dump in file mode begins at the terminator of the last processed group, in the middle of that group.
            if !self.cursor.may_begin_inside() {
                return Err(Error::new(
                    Code::EventUndecodable,
                    format!("an event group ends before {} without having begun", self.position()),
                ));
            }
        }
        self.in_group = false;
        self.in_transaction = false;
        self.has_ddl = false;
        Ok(BinlogEvent::Terminator(Terminator { end, fingerprint, emptied: Vec::new() }))
    }
}

fn gtid(event: &GtidEvent, at: &FilePosition) -> Result<Gtid> {
    let tag = event
        .tag()
        .map(|tag| tag.as_str().parse::<Tag>())
        .transpose()
        .map_err(|e| Error::new(Code::EventUndecodable, format!("GTID event before {at}: {e}")))?;
    Ok(Gtid::Mysql(MysqlGtid { sid: Sid { uuid: Uuid::from_bytes(event.sid()), tag }, number: event.gno() }))
}

#[cfg(test)]
mod tests;
