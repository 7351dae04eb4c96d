//! Every column type with its edge values, compared with what the server itself computes from the row.

use std::collections::HashMap;

use super::*;
use crate::binlog::table::ColumnKind;
use crate::binlog::value::{epoch_millis, is_showable, write_value};

/// (table, id) → hex of the value's text, and the column's type for messages.
fn oracle() -> HashMap<(String, i32), (String, String)> {
    let text = fixture_text("types");
    let line = |line: &str| {
        let part: Vec<_> = line.split('\t').map(str::to_owned).collect();
        ((part[0].clone(), part[1].parse().unwrap()), (part[2].clone(), part[3].clone()))
    };
    text.lines().map(line).collect()
}

fn unhex(text: &str) -> String {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    String::from_utf8((0..text.len()).step_by(2).map(byte).collect()).unwrap()
}

#[test]
fn every_type_reads_as_the_server_shows_it() {
    let mut oracle = oracle();
    each_row("types", |table, cells| {
        let (expected, kind_text) = oracle.remove(&(table.table.to_string(), id(cells[0]))).unwrap();
        let kind = &table.columns[1].kind;
        assert!(is_showable(kind), "{kind:?}");
        let Cell::Value(raw) = cells[1] else {
            assert_eq!(cells[1], Cell::Null);
            return assert_eq!(expected, "NULL", "{kind_text}");
        };
        let mut out = b"kept".to_vec();
        write_value(kind, raw, &mut out).unwrap();
        let got = out.strip_prefix(b"kept").unwrap();
        match kind {
            // Java's text differs from MySQL's; the number must be the same. `java_float` has the texts.
            ColumnKind::Double => {
                let expected: f64 = unhex(&expected).parse().unwrap();
                assert_eq!(shown(got).parse::<f64>().unwrap(), expected);
            }
            ColumnKind::Float => {
                // MySQL shows six digits of a FLOAT.
                let (got, expected): (f64, f64) = (shown(got).parse().unwrap(), unhex(&expected).parse().unwrap());
                assert!((got - expected).abs() <= expected.abs() * 1e-5, "{got} {expected}");
            }
            // Debezium prints the same digits, with an exponent where they are small.
            ColumnKind::Decimal { .. } if got.contains(&b'E') => {
                let (got, expected): (f64, f64) = (shown(got).parse().unwrap(), unhex(&expected).parse().unwrap());
                assert_eq!(got, expected);
            }
            _ => assert_eq!(hex(got), expected, "{kind_text}: {}", shown(got)),
        }
    });
    assert!(oracle.is_empty(), "not seen: {:?}", oracle.keys());
}

#[test]
fn timestamp_columns_give_milliseconds() {
    let mut seen = 0;
    let oracle = oracle();
    each_row("types", |table, cells| {
        let (kind, Cell::Value(raw)) = (&table.columns[1].kind, cells[1]) else { return };
        let ColumnKind::DateTime { fsp } = *kind else { return };
        let expected: i64 = unhex(&oracle[&(table.table.to_string(), id(cells[0]))].0).parse().unwrap();
        let expected = if fsp > 3 { expected / 1000 } else { expected };
        assert_eq!(epoch_millis(kind, raw), Ok(expected));
        seen += 1;
    });
    assert_eq!(seen, 7 * 7);
}
