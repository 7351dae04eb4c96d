//! Nanoseconds a row for decoding inserted rows, and for the text of a JSON payload.
//!
//! `cargo bench --bench decode`. The rows are those of a usual outbox: id CHAR(36), three VARCHAR, a JSON payload; the
//! payload's storage comes from a real server (`tests/fixtures/binlog/payload.bin`).
#![expect(clippy::unwrap_used, reason = "a benchmark may stop on any surprise")]

use std::hint::black_box;
use std::time::Instant;

use outboxd::binlog::rows::{Cell, Projection, RowsVersion, WriteRows};
use outboxd::binlog::table::TableMap;
use outboxd::binlog::value::write_value;

/// One TABLE_MAP and one WRITE_ROWS event, framed as `make.py` says.
fn fixture() -> (TableMap, Vec<u8>) {
    let data = include_bytes!("../tests/fixtures/binlog/payload.bin");
    let frame = |rest: &'static [u8]| {
        let (head, rest) = rest.split_at(5);
        rest.split_at(usize::try_from(u32::from_le_bytes(head[1..].try_into().unwrap())).unwrap())
    };
    let (map, rest) = frame(data);
    (TableMap::decode(map).unwrap(), frame(rest).0.to_vec())
}

/// Median of nanoseconds a row over several runs; `work` returns how many rows it did.
fn measure(name: &str, mut work: impl FnMut() -> usize) {
    let mut runs: Vec<f64> = (0..15)
        .map(|_| {
            let (start, mut rows) = (Instant::now(), 0);
            while start.elapsed().as_millis() < 100 {
                rows += (0..50).map(|_| work()).sum::<usize>();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(rows).unwrap())
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:<44} {:7.1} ns/row   (min {:.1}, max {:.1})", runs[7], runs[0], runs[14]);
}

fn main() {
    let (table, body) = fixture();
    let all = Projection::new(&[0, 1, 2, 3, 4]);
    let payload = table.column_index("payload").unwrap();
    let mut cells: Vec<Cell<'_>> = Vec::new();
    let mut out = Vec::with_capacity(4096);

    let mut rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
    let count = rows.count_rows().unwrap();
    rows.next_row(&all, &mut cells).unwrap();
    let Cell::Value(document) = cells[payload] else { panic!("no payload") };
    write_value(&table.columns[payload].kind, document, &mut out).unwrap();
    println!("{count} rows of {} bytes, JSON text of {} bytes", body.len() / count, out.len());

    measure("decode rows, five columns", || {
        let mut rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
        let (mut cells, mut n) = (Vec::with_capacity(5), 0);
        while rows.next_row(&all, &mut cells).unwrap() {
            black_box(&cells);
            n += 1;
        }
        n
    });
    measure("count rows", || WriteRows::decode(&body, RowsVersion::V2, &table).unwrap().count_rows().unwrap());
    measure("JSON text alone", || {
        out.clear();
        write_value(&table.columns[payload].kind, black_box(document), &mut out).unwrap();
        black_box(&out);
        1
    });
    measure("decode rows and write all five values", || {
        let mut rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
        let (mut cells, mut n) = (Vec::with_capacity(5), 0);
        while rows.next_row(&all, &mut cells).unwrap() {
            out.clear();
            for (column, cell) in table.columns.iter().zip(&cells) {
                if let Cell::Value(raw) = cell {
                    write_value(&column.kind, raw, &mut out).unwrap();
                }
            }
            black_box(&out);
            n += 1;
        }
        n
    });
}
