//! What is fed. An answer of any kind is right; what a decoder promises about its answer is asserted.

use mysql_async::binlog::events::{BinlogEventFooter, Event, FormatDescriptionEvent};
use mysql_async::binlog::{BinlogChecksumAlg, BinlogVersion};
use outboxd::binlog::interpret::{Contiguity, Interpreter, TableFilter};
use outboxd::binlog::jsonb::write_json;
use outboxd::binlog::rows::{Cell, Projection, RowsVersion, WriteRows};
use outboxd::binlog::table::{TableMap, table_id_and_name};
use outboxd::binlog::value::{epoch_millis, is_zero_date, write_header_value, write_value};
use outboxd::checkpoint::codec;
use outboxd::position::{FilePosition, GtidSet};

const FORMAT_DESCRIPTION: u8 = 15;

pub(super) fn table_map(input: &[u8]) {
    let _ = table_id_and_name(input);
    if let Ok(table) = TableMap::decode(input) {
        assert!(table.columns.len() <= input.len());
    }
}

/// A table map behind its length, then a row event.
pub(super) fn rows(input: &[u8]) {
    let Some((len, rest)) = input.split_first_chunk::<2>() else { return };
    let Some((map, body)) = rest.split_at_checked(u16::from_le_bytes(*len).into()) else { return };
    let Ok(table) = TableMap::decode(map) else { return };
    for version in [RowsVersion::V1, RowsVersion::V2] {
        let Ok(mut rows) = WriteRows::decode(body, version, &table) else { continue };
        let all = Projection::new(&(0..table.columns.len()).collect::<Vec<_>>());
        let (mut cells, mut out, mut count) = (Vec::new(), Vec::new(), 0);
        while let Ok(true) = rows.next_row(&all, &mut cells) {
            count += 1;
            assert!(count <= body.len(), "more rows than bytes");
            for (column, cell) in table.columns.iter().zip(&cells) {
                let Cell::Value(raw) = cell else { continue };
                out.clear();
                let written = write_value(&column.kind, raw, &mut out);
                assert!(written.is_ok() || out.is_empty(), "an error leaves something");
                let _ = write_header_value(&column.kind, raw, &mut out);
                let _ = is_zero_date(&column.kind, raw);
                let _ = epoch_millis(&column.kind, raw);
            }
        }
    }
}

pub(super) fn jsonb(input: &[u8]) {
    let mut out = Vec::new();
    let written = write_json(input, &mut out);
    assert!(written.is_ok() || out.is_empty(), "an error leaves something");
    assert!(std::str::from_utf8(&out).is_ok());
}

/// Events as in a log file. Their checksums are made right, so that damage gets behind the first guard.
pub(super) fn groups(input: &[u8]) {
    let footer = BinlogEventFooter::new(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
    let format = FormatDescriptionEvent::new(BinlogVersion::Version4).with_footer(footer);
    let filter = TableFilter::new([("fz".to_owned(), "outbox".to_owned())]);
    let position = FilePosition { file: "mysql-bin.000001".into(), offset: 4 };
    let mut interpreter = Interpreter::new(filter, Contiguity::Gaps, position);
    let mut rest = input;
    while let Some(header) = rest.get(..19) {
        let size = u32::from_le_bytes([header[9], header[10], header[11], header[12]]) as usize;
        // The driver's own framing is not the target: it panics on events that are shorter than their fixed parts, and
        // the relay takes a panic for a lost connection.
        let shortest = if header[4] == FORMAT_DESCRIPTION { 100 } else { 23 };
        let Some((event, behind)) = rest.split_at_checked(size).filter(|(event, _)| event.len() >= shortest) else {
            return;
        };
        rest = behind;
        let mut event = event.to_vec();
        let end = event.len() - 4;
        let crc = crc32fast::hash(&event[..end]);
        event[end..].copy_from_slice(&crc.to_le_bytes());
        let Ok(event) = Event::read(&format, &*event) else { return };
        if interpreter.interpret(event).is_err() {
            return;
        }
    }
}

pub(super) fn gtid_set(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(set) = text.parse::<GtidSet>() else { return };
    assert_eq!(set.to_string().parse::<GtidSet>(), Ok(set.clone()));
    assert!(set.is_subset(&set) && set.subtract(&set).is_empty());
    let _ = set.count();
}

pub(super) fn checkpoint(input: &[u8]) {
    if let Ok((checkpoint, _)) = codec::decode(input) {
        let (again, _) = codec::encode(&checkpoint).unwrap();
        let (decoded, _) = codec::decode(&again).unwrap();
        assert_eq!(format!("{decoded:?}"), format!("{checkpoint:?}"));
    }
}
