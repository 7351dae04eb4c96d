//! Raw events for unit tests, made byte by byte as the server does.

use std::sync::Arc;

use mysql_async::binlog::events::{BinlogEventFooter, Event, FormatDescriptionEvent};
use mysql_async::binlog::{BinlogChecksumAlg, BinlogVersion};

use super::Charset;
use super::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxId, OutboxRows, Terminator};
use super::rows::{Images, RowsVersion};
use super::server::{Server, Settings};
use super::table::{Column, ColumnKind, Storage, TableMap};
use super::xa::{PreparedXa, Xid};
use crate::position::{FilePosition, GtidSet, PositionMode};

pub(crate) const FILE: &str = "mysql-bin.000001";
pub(crate) const UUID: &str = "37c4df8a-e6bc-11f1-b392-02fc00000001";

/// A server that outboxd is content with: GTIDs on, nothing executed, no logs.
pub(crate) fn sound_server() -> Server {
    Server {
        version: "9.7.4".into(),
        mode: PositionMode::Gtid,
        mariadb: None,
        uuid: UUID.into(),
        id: 1,
        gtid_mode: "ON".into(),
        executed: GtidSet::default(),
        purged: GtidSet::default(),
        end: at(5000),
        logs: Vec::new(),
        settings: Settings {
            log_bin: true,
            binlog_format: "ROW".into(),
            binlog_row_image: "FULL".into(),
            binlog_row_metadata: "FULL".into(),
            binlog_error_action: "ABORT_SERVER".into(),
            binlog_checksum: "CRC32".into(),
            binlog_expire_seconds: 2_592_000,
            sync_binlog: 1,
            flush_log_at_commit: 1,
            log_replica_updates: true,
            replica_workers: 4,
            replica_preserves_order: true,
            ..Settings::default()
        },
        replicas: Vec::new(),
        account: "outboxd@%".into(),
        refused: Vec::new(),
    }
}

/// A raw event with CRC32 that ends at `log_pos`.
pub(crate) fn raw(kind: u8, flags: u16, data: &[u8], log_pos: u32) -> Vec<u8> {
    let size = u32::try_from(19 + data.len() + 4).unwrap();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&1_700_000_000_u32.to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&log_pos.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(data);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads raw bytes as the stream does.
pub(crate) fn read(bytes: &[u8]) -> Event {
    let footer = BinlogEventFooter::new(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
    let format = FormatDescriptionEvent::new(BinlogVersion::Version4).with_footer(footer);
    Event::read(&format, bytes).unwrap()
}

/// Body of a query event without status variables.
pub(crate) fn query(schema: &str, text: &str) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.push(u8::try_from(schema.len()).unwrap());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(schema.as_bytes());
    body.push(0);
    body.extend_from_slice(text.as_bytes());
    body
}

/// Body of a GTID event (or, with number 0, of an anonymous one).
pub(crate) fn gtid(number: u64) -> Vec<u8> {
    let mut body = vec![0];
    body.extend_from_slice(uuid::Uuid::parse_str(UUID).unwrap().as_bytes());
    body.extend_from_slice(&number.to_le_bytes());
    body.push(2);
    body.extend_from_slice(&[0; 16]);
    body
}

pub(crate) fn at(offset: u64) -> FilePosition {
    FilePosition { file: FILE.into(), offset }
}

pub(crate) fn group_start(number: u64) -> BinlogEvent {
    let gtid = Some(format!("{UUID}:{number}").parse().unwrap());
    BinlogEvent::GroupStart(GroupStart { gtid, committed_at_us: 7_000_000, start: at(100 * number) })
}

pub(crate) fn fingerprint(number: u64) -> Fingerprint {
    Fingerprint {
        file: FILE.into(),
        start: 100 * number + 69,
        end: 100 * number + 100,
        event_type: 16,
        timestamp: 1_700_000_000,
        server_id: 1,
        size: 31,
        crc32: 42,
        gtid: Some(format!("{UUID}:{number}").parse().unwrap()),
        previous: None,
    }
}

/// The group of that number, which prepared a distributed transaction.
pub(crate) fn prepared(number: u64, rows: bool) -> PreparedXa {
    PreparedXa {
        xid: xid(number),
        gtid: Some(format!("{UUID}:{number}").parse().unwrap()),
        file: FILE.into(),
        start: 100 * number,
        end: 100 * number + 100,
        rows,
    }
}

pub(crate) fn xid(number: u64) -> Xid {
    Xid::parse(format!("X'{number:02x}',X'',1").as_bytes()).unwrap()
}

pub(crate) fn terminator(number: u64, end: GroupEnd) -> BinlogEvent {
    BinlogEvent::Terminator(Terminator { end, fingerprint: fingerprint(number), emptied: Vec::new() })
}

/// Undecoded rows of outbox 0; `mark` tells them apart.
pub(crate) fn inserted(mark: u8) -> BinlogEvent {
    let table = TableMap { table_id: 7, database: "shop".into(), table: "outbox".into(), columns: Vec::new() };
    BinlogEvent::Rows(OutboxRows {
        outbox: OutboxId(0),
        table: Arc::new(table),
        version: RowsVersion::V2,
        images: Images::Inserted,
        event: read(&raw(30, 0, &[mark; 10], 0)),
        at: at(1),
    })
}

/// The columns of [`rows`]: five VARCHAR(50), nullable.
pub(crate) const COLUMNS: [&str; 5] = ["id", "aggregatetype", "aggregateid", "type", "payload"];

/// Rows of outbox 0 as MySQL logs them.
pub(crate) fn rows(rows: &[[Option<&str>; 5]]) -> OutboxRows {
    let column = |name: &&str| Column {
        name: Some((*name).into()),
        kind: ColumnKind::VarChar { max_bytes: 200, charset: Charset::Utf8 },
        nullable: true,
        visible: true,
        storage: Storage::Prefixed(1),
    };
    let columns = COLUMNS.iter().map(column).collect();
    let table = TableMap { table_id: 7, database: "shop".into(), table: "outbox".into(), columns };
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5, 0xff];
    for row in rows {
        let nulls = row.iter().enumerate().filter(|(_, cell)| cell.is_none()).map(|(i, _)| 1_u8 << i).sum::<u8>();
        body.push(nulls);
        for cell in row.iter().flatten() {
            body.push(u8::try_from(cell.len()).unwrap());
            body.extend_from_slice(cell.as_bytes());
        }
    }
    OutboxRows {
        outbox: OutboxId(0),
        table: Arc::new(table),
        version: RowsVersion::V2,
        images: Images::Inserted,
        event: read(&raw(30, 0, &body, 0)),
        at: at(1),
    }
}

/// The head of a binlog file, made `seconds` later than the usual events.
pub(crate) fn file_head(file: &str, seconds: u32) -> Fingerprint {
    Fingerprint {
        file: file.into(),
        start: 4,
        end: 126,
        event_type: 15,
        timestamp: 1_700_000_000 + seconds,
        server_id: 1,
        size: 122,
        crc32: seconds,
        gtid: None,
        previous: None,
    }
}
