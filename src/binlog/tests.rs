//! The decoders against real events and what MySQL and Debezium say about them.
//!
//! `tests/fixtures/binlog/make.py` made the fixtures; it says what their columns mean.

mod fuzz;
mod golden;
mod images;
mod json;
mod peers;
mod shapes;
mod types;

use std::collections::HashMap;

use super::rows::{Cell, Projection, RowsVersion, WriteRows};
use super::table::TableMap;

const TABLE_MAP: u8 = 19;
const WRITE_ROWS_V1: u8 = 23;

pub(super) fn fixture_text(name: &str) -> String {
    let path = format!("{}/tests/fixtures/binlog/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// Type and body of every event of a fixture.
pub(super) fn fixture_events(name: &str) -> Vec<(u8, Vec<u8>)> {
    let path = format!("{}/tests/fixtures/binlog/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    let data = std::fs::read(path).unwrap();
    let (mut rest, mut events) = (data.as_slice(), Vec::new());
    while let Some((head, tail)) = rest.split_first_chunk::<5>() {
        let len = u32::from_le_bytes(head[1..].try_into().unwrap()) as usize;
        events.push((head[0], tail[..len].to_vec()));
        rest = &tail[len..];
    }
    events
}

/// Calls `see` with the table and all cells of every row of a fixture.
pub(super) fn each_row(name: &str, mut see: impl FnMut(&TableMap, &[Cell<'_>])) {
    let mut tables = HashMap::new();
    for (kind, body) in fixture_events(name) {
        if kind == TABLE_MAP {
            let table = TableMap::decode(&body).unwrap();
            tables.insert(table.table_id, table);
            continue;
        }
        let version = if kind == WRITE_ROWS_V1 { RowsVersion::V1 } else { RowsVersion::V2 };
        let table = &tables[&WriteRows::table_id(&body).unwrap()];
        let all = Projection::new(&(0..table.columns.len()).collect::<Vec<_>>());
        let mut rows = WriteRows::decode(&body, version, table).unwrap();
        let (expected, mut seen, mut cells) = (rows.count_rows().unwrap(), 0, Vec::new());
        while rows.next_row(&all, &mut cells).unwrap() {
            see(table, &cells);
            seen += 1;
        }
        assert_eq!(seen, expected);
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A cell's INT, for the fixtures' `id` column.
pub(super) fn id(cell: Cell<'_>) -> i32 {
    let Cell::Value(raw) = cell else { panic!("no id") };
    i32::from_le_bytes(raw.try_into().unwrap())
}
