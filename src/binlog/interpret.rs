//! Raw events → [`BinlogEvent`]. No I/O. Positions, checksums, the table filter and compressed payloads are judged here.
//!
//! Event layout and types: MySQL source documentation, "Replication Protocol"; GTID events: WL#3584, WL#15294; payload
//! compression: WL#3549.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::binlog::BinlogChecksumAlg;
use mysql_async::binlog::EventFlags;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{
    AnonymousGtidEvent, Event, GtidEvent, QueryEvent, RotateEvent, TransactionPayloadEvent,
};
use uuid::Uuid;

use super::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxId, OutboxRows, RowChange, Terminator};
use super::rows::{RowsVersion, WriteRows};
use super::statement::{self, Statement};
use super::table::{self, TableMap};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Gtid, Sid, Tag};

/// Event types that mysql_common does not name. Heartbeat version 2 carries a 64-bit position (MySQL 8.0.26).
const HEARTBEAT_EVENT_V2: u8 = 0x29;

/// Inner size that a compressed payload may claim. Above it the relay stops instead of trusting the number.
const MAX_UNCOMPRESSED: u64 = 1 << 30;

/// The configured outbox tables, looked up by name at each table map.
#[derive(Clone, Debug)]
pub struct TableFilter {
    tables: Arc<[(String, String)]>,
}

impl TableFilter {
    /// `tables`: (schema, table) in configuration order.
    pub fn new(tables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { tables: tables.into_iter().collect() }
    }

    fn find(&self, database: &[u8], table: &[u8]) -> Option<OutboxId> {
        self.tables.iter().position(|(d, t)| d.as_bytes() == database && t.as_bytes() == table).map(OutboxId)
    }

    /// (schema, table) pairs in configuration order.
    pub fn tables(&self) -> &[(String, String)] {
        &self.tables
    }
}

/// How positions in the stream relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contiguity {
    /// File mode: the server sends every byte; a gap is an error.
    Exact,
    /// GTID mode: the server leaves out groups that were already executed.
    Gaps,
}

/// A compressed transaction whose inner events are being read.
#[derive(Debug)]
struct Payload {
    remaining: u64,
    fingerprint: Fingerprint,
}

/// Turns raw events into [`BinlogEvent`]s and keeps the position.
#[derive(Debug)]
pub struct Interpreter {
    filter: TableFilter,
    contiguity: Contiguity,
    position: FilePosition,
    tables: HashMap<u64, (OutboxId, Arc<TableMap>)>,
    /// The last table map of each outbox, raw and decoded: most groups repeat it byte for byte.
    decoded: HashMap<OutboxId, (Box<[u8]>, Arc<TableMap>)>,
    gtid: Option<Gtid>,
    /// Inside a group, before its terminator.
    in_group: bool,
    /// The group began with `BEGIN` or `XA START`.
    in_transaction: bool,
    payload: Option<Payload>,
}

impl Interpreter {
    /// `position`: where the dump was asked to begin; the first rotate event corrects it.
    pub fn new(filter: TableFilter, contiguity: Contiguity, position: FilePosition) -> Self {
        Self {
            filter,
            contiguity,
            position,
            tables: HashMap::new(),
            decoded: HashMap::new(),
            gtid: None,
            in_group: false,
            in_transaction: false,
            payload: None,
        }
    }

    /// End of the last outer event.
    pub fn position(&self) -> &FilePosition {
        &self.position
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
        if self.payload.is_some() { self.inner(event) } else { self.outer(event) }
    }

    fn outer(&mut self, event: Event) -> Result<BinlogEvent> {
        let crc32 = self.ensure_checksum(&event)?;
        let header = event.header();
        let kind = header.event_type_raw();
        if kind == EventType::ROTATE_EVENT as u8 {
            return self.rotate(&event);
        }
        if kind == EventType::HEARTBEAT_EVENT as u8 || kind == HEARTBEAT_EVENT_V2 {
            return Ok(BinlogEvent::Heartbeat);
        }
        let start = self.position.offset;
        if header.log_pos() != 0 && !header.flags().contains(EventFlags::LOG_EVENT_ARTIFICIAL_F) {
            self.advance(header.log_pos(), header.event_size())?;
        }
        let fingerprint = Fingerprint {
            file: Arc::clone(&self.position.file),
            start: self.position.offset.saturating_sub(u64::from(header.event_size())).max(start),
            end: self.position.offset,
            event_type: kind,
            timestamp: header.timestamp(),
            server_id: header.server_id(),
            size: header.event_size(),
            crc32,
            gtid: self.gtid.clone(),
        };
        if kind == EventType::TRANSACTION_PAYLOAD_EVENT as u8 {
            return self.payload_start(&event, fingerprint);
        }
        self.act(event, fingerprint)
    }

    /// An event inside a compressed payload: it has no position of its own and no checksum.
    fn inner(&mut self, event: Event) -> Result<BinlogEvent> {
        let at = self.position.clone();
        let broken =
            |what: &str| Error::new(Code::CompressedPayload, format!("compressed transaction ending at {at}: {what}"));
        let size = u64::from(event.header().event_size());
        let kind = event.header().event_type_raw();
        let Some(payload) = self.payload.as_mut() else {
            return Err(Error::new(Code::Internal, "inner event without a payload"));
        };
        if is_never_inner(kind) || size > payload.remaining {
            return Err(broken("its inner events do not add up to the declared size"));
        }
        payload.remaining -= size;
        let (done, fingerprint) = (payload.remaining == 0, payload.fingerprint.clone());
        let result = self.act(event, fingerprint)?;
        if !done {
            return if matches!(result, BinlogEvent::Terminator(_)) {
                Err(broken("it goes on behind its terminator"))
            } else {
                Ok(result)
            };
        }
        self.payload = None;
        if matches!(result, BinlogEvent::Terminator(_)) { Ok(result) } else { Err(broken("it has no terminator")) }
    }

    fn act(&mut self, event: Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let kind = event.header().event_type_raw();
        match EventType::try_from(kind) {
            Ok(EventType::GTID_EVENT | EventType::GTID_TAGGED_LOG_EVENT) => {
                self.group_start(&event, &fingerprint, true)
            }
            Ok(EventType::ANONYMOUS_GTID_EVENT) => self.group_start(&event, &fingerprint, false),
            Ok(EventType::QUERY_EVENT) => self.query(&event, fingerprint),
            Ok(EventType::XID_EVENT) => self.terminate(GroupEnd::Commit, fingerprint),
            Ok(EventType::XA_PREPARE_LOG_EVENT) => {
                let one_phase = event.data().first().is_some_and(|flag| *flag != 0);
                self.terminate(if one_phase { GroupEnd::Commit } else { GroupEnd::Prepare }, fingerprint)
            }
            Ok(EventType::TABLE_MAP_EVENT) => self.table_map(&event),
            Ok(EventType::WRITE_ROWS_EVENT) => self.rows(event, RowsVersion::V2),
            Ok(EventType::WRITE_ROWS_EVENT_V1) => self.rows(event, RowsVersion::V1),
            Ok(
                EventType::UPDATE_ROWS_EVENT | EventType::UPDATE_ROWS_EVENT_V1 | EventType::PARTIAL_UPDATE_ROWS_EVENT,
            ) => self.changed(&event, RowChange::Update),
            Ok(EventType::DELETE_ROWS_EVENT | EventType::DELETE_ROWS_EVENT_V1) => {
                self.changed(&event, RowChange::Delete)
            }
            Ok(
                EventType::FORMAT_DESCRIPTION_EVENT
                | EventType::PREVIOUS_GTIDS_EVENT
                | EventType::STOP_EVENT
                | EventType::ROWS_QUERY_EVENT
                | EventType::IGNORABLE_EVENT
                | EventType::TRANSACTION_CONTEXT_EVENT
                | EventType::VIEW_CHANGE_EVENT
                | EventType::INTVAR_EVENT
                | EventType::RAND_EVENT
                | EventType::USER_VAR_EVENT,
            ) => Ok(BinlogEvent::Passed),
            _ if event.header().flags().contains(EventFlags::LOG_EVENT_IGNORABLE_F) => Ok(BinlogEvent::Passed),
            _ => Err(Error::new(
                Code::EventUnsupported,
                format!("event of type {kind} before {}: it may hold rows of an outbox table", self.position),
            )),
        }
    }

    fn group_start(&mut self, event: &Event, fingerprint: &Fingerprint, has_gtid: bool) -> Result<BinlogEvent> {
        if self.in_group {
            return Err(Error::new(
                Code::EventUndecodable,
                format!("a new event group begins before {} while the last one has no end", self.position),
            ));
        }
        let gtid_event = if has_gtid {
            event.read_event::<GtidEvent>()
        } else {
            event.read_event::<AnonymousGtidEvent>().map(|anonymous| anonymous.0)
        }
        .map_err(|e| self.undecodable("GTID event", &e))?;
        self.gtid = if has_gtid { Some(gtid(&gtid_event, &self.position)?) } else { None };
        self.in_group = true;
        self.in_transaction = false;
        self.tables.clear();
        let micros = match gtid_event.original_commit_timestamp() {
            0 => u64::from(event.header().timestamp()) * 1_000_000,
            micros => micros,
        };
        Ok(BinlogEvent::GroupStart(GroupStart {
            gtid: self.gtid.clone(),
            committed_at_us: i64::try_from(micros).unwrap_or(i64::MAX),
            start: FilePosition { file: self.position.file.clone(), offset: fingerprint.start },
        }))
    }

    fn query(&mut self, event: &Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let query = event.read_event::<QueryEvent<'_>>().map_err(|e| self.undecodable("query event", &e))?;
        let text = query.query_raw();
        match statement::classify(text) {
            Statement::Begin => {
                self.in_transaction = true;
                Ok(BinlogEvent::Begin)
            }
            Statement::XaStart => {
                self.in_transaction = true;
                Ok(BinlogEvent::XaStart)
            }
            Statement::XaEnd | Statement::ReleaseSavepoint => Ok(BinlogEvent::Passed),
            Statement::CreateTable if self.in_transaction => Ok(BinlogEvent::Passed),
            Statement::Commit => self.terminate(GroupEnd::Commit, fingerprint),
            Statement::Rollback => self.terminate(GroupEnd::Rollback, fingerprint),
            Statement::Savepoint(name) => Ok(BinlogEvent::Savepoint(name)),
            Statement::RollbackTo(name) => Ok(BinlogEvent::RollbackTo(name)),
            Statement::XaDecision => self.terminate(GroupEnd::Standalone, fingerprint),
            Statement::Other if self.in_transaction => Ok(self.logged_statement(&query)),
            Statement::CreateTable | Statement::Other => {
                let touched = statement::table_statement(text, query.schema_raw(), self.filter.tables());
                let end = self.terminate(GroupEnd::Standalone, fingerprint)?;
                if let Some((table, verb)) = touched {
                    tracing::warn!(table, verb, position = %self.position, "outbox table changed by a statement");
                }
                Ok(end)
            }
        }
    }

    /// A statement logged as text inside a transaction: harmless unless it may have written an outbox table.
    fn logged_statement(&self, query: &QueryEvent<'_>) -> BinlogEvent {
        match statement::written_table(query.query_raw(), query.schema_raw(), self.filter.tables()) {
            None => BinlogEvent::Passed,
            Some(table) => BinlogEvent::Statement { table, thread_id: query.thread_id(), at: self.position.clone() },
        }
    }

    fn table_map(&mut self, event: &Event) -> Result<BinlogEvent> {
        let (id, database, name) =
            table::table_id_and_name(event.data()).map_err(|e| self.undecodable("table map", &e))?;
        if let Some(outbox) = self.filter.find(database, name) {
            let map = self.outbox_table_map(outbox, event.data())?;
            self.tables.insert(id, (outbox, map));
        } else {
            self.tables.remove(&id);
        }
        Ok(BinlogEvent::Passed)
    }

    fn outbox_table_map(&mut self, outbox: OutboxId, data: &[u8]) -> Result<Arc<TableMap>> {
        if let Some((raw, map)) = self.decoded.get(&outbox)
            && **raw == *data
        {
            return Ok(Arc::clone(map));
        }
        let map = TableMap::decode(data).map_err(|e| self.undecodable("table map of an outbox", &e))?;
        let map = Arc::new(map);
        self.decoded.insert(outbox, (data.into(), Arc::clone(&map)));
        Ok(map)
    }

    fn rows(&mut self, event: Event, version: RowsVersion) -> Result<BinlogEvent> {
        let id = WriteRows::table_id(event.data()).map_err(|e| self.undecodable("row event", &e))?;
        Ok(match self.tables.get(&id) {
            None => BinlogEvent::Passed,
            Some((outbox, table)) => BinlogEvent::Inserted(OutboxRows {
                outbox: *outbox,
                table: Arc::clone(table),
                version,
                event,
                at: self.position.clone(),
            }),
        })
    }

    fn changed(&mut self, event: &Event, change: RowChange) -> Result<BinlogEvent> {
        let id = WriteRows::table_id(event.data()).map_err(|e| self.undecodable("row event", &e))?;
        Ok(match self.tables.get(&id) {
            None => BinlogEvent::Passed,
            Some((outbox, _)) => BinlogEvent::Changed { outbox: *outbox, change, at: self.position.clone() },
        })
    }

    fn terminate(&mut self, end: GroupEnd, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        if !self.in_group {
            // A dump in file mode begins at the terminator of the last processed group, in the middle of that group.
            if self.contiguity == Contiguity::Gaps {
                return Err(Error::new(
                    Code::EventUndecodable,
                    format!("an event group ends before {} without having begun", self.position),
                ));
            }
        }
        self.in_group = false;
        self.in_transaction = false;
        Ok(BinlogEvent::Terminator(Terminator { end, fingerprint }))
    }

    fn payload_start(&mut self, event: &Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let payload =
            event.read_event::<TransactionPayloadEvent<'_>>().map_err(|e| self.undecodable("payload event", &e))?;
        let remaining = payload.uncompressed_size();
        if remaining == 0 || remaining > MAX_UNCOMPRESSED {
            return Err(Error::new(
                Code::CompressedPayload,
                format!("compressed transaction ending at {} declares {remaining} bytes", self.position),
            ));
        }
        self.payload = Some(Payload { remaining, fingerprint });
        Ok(BinlogEvent::Passed)
    }

    fn rotate(&mut self, event: &Event) -> Result<BinlogEvent> {
        let rotate = event.read_event::<RotateEvent<'_>>().map_err(|e| self.undecodable("rotate event", &e))?;
        let file: Arc<str> = rotate.name().as_ref().into();
        let real = event.header().log_pos() != 0 && file != self.position.file;
        self.position = FilePosition { file, offset: rotate.position() };
        Ok(if real { BinlogEvent::Rotated } else { BinlogEvent::Passed })
    }

    /// Moves the position to the end of an event. The header carries only the low 32 bits of it.
    fn advance(&mut self, log_pos: u32, size: u32) -> Result<()> {
        let next = self.position.offset + u64::from(size);
        let gap = u64::from(log_pos.wrapping_sub(low32(next)));
        if gap != 0 && self.contiguity == Contiguity::Exact {
            return Err(Error::new(
                Code::EventCorrupt,
                format!("{}: the next event says it ends at {log_pos} (modulo 2^32), not at {next}", self.position),
            ));
        }
        self.position.offset = next + gap;
        Ok(())
    }

    fn ensure_checksum(&self, event: &Event) -> Result<u32> {
        let Ok(Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32)) = event.footer().get_checksum_alg() else {
            return Ok(0);
        };
        let Some(stored) = event.checksum().map(u32::from_le_bytes) else { return Ok(0) };
        let computed = event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        if stored == computed {
            return Ok(stored);
        }
        Err(Error::new(
            Code::EventCorrupt,
            format!(
                "event of {} bytes behind {}: checksum {computed:08x}, stored {stored:08x}",
                event.header().event_size(),
                self.position
            ),
        ))
    }

    fn undecodable(&self, what: &str, cause: &dyn std::fmt::Display) -> Error {
        Error::new(Code::EventUndecodable, format!("{what} before {}: {cause}", self.position))
    }
}

/// Types that the server never puts into a payload; meeting one there means that the payload was not decompressed.
fn is_never_inner(kind: u8) -> bool {
    kind == HEARTBEAT_EVENT_V2
        || matches!(
            EventType::try_from(kind),
            Ok(EventType::GTID_EVENT
                | EventType::GTID_TAGGED_LOG_EVENT
                | EventType::ANONYMOUS_GTID_EVENT
                | EventType::ROTATE_EVENT
                | EventType::FORMAT_DESCRIPTION_EVENT
                | EventType::PREVIOUS_GTIDS_EVENT
                | EventType::HEARTBEAT_EVENT
                | EventType::STOP_EVENT
                | EventType::TRANSACTION_PAYLOAD_EVENT)
        )
}

fn gtid(event: &GtidEvent, at: &FilePosition) -> Result<Gtid> {
    let tag = event
        .tag()
        .map(|tag| tag.as_str().parse::<Tag>())
        .transpose()
        .map_err(|e| Error::new(Code::EventUndecodable, format!("GTID event before {at}: {e}")))?;
    Ok(Gtid { sid: Sid { uuid: Uuid::from_bytes(event.sid()), tag }, number: event.gno() })
}

fn low32(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
