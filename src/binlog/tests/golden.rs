//! What a Debezium connector wrote for the same rows.

use std::collections::HashMap;

use super::*;
use crate::binlog::value::{is_zero_date, write_header_value, write_value};

/// Where we mean to differ, with our text.
const DEVIATIONS: [(&str, usize, &str, &str); 2] = [
    // Debezium prints -1 for 2^64 - 1.
    ("g092", 1, "c_bigu", "18446744073709551615"),
    // Byte 0x81 of latin1: MySQL's U+0081, Java's U+FFFD.
    ("g211", 1, "payload", "€\u{81}Ÿ"),
];

#[test]
fn texts_are_those_of_debezium() {
    let text = fixture_text("golden");
    let mut expected: HashMap<(String, usize), Vec<Vec<String>>> = HashMap::new();
    for line in text.lines() {
        let part: Vec<_> = line.split('\t').map(str::to_owned).collect();
        expected.entry((part[0].clone(), part[1].parse().unwrap())).or_default().push(part);
    }
    let (mut row_of, mut compared) = (HashMap::<String, usize>::new(), 0);
    each_row("golden", |table, cells| {
        let database = table.database.to_string();
        let row = row_of.entry(database.clone()).or_default();
        for part in expected.remove(&(database.clone(), *row)).unwrap() {
            let (name, header, want) = (&part[2], part[3] == "header", part[4].to_uppercase());
            let index = table.column_index(name).unwrap();
            let column = &table.columns[index];
            let mut out = Vec::new();
            let got = match cells[index] {
                Cell::Value(raw) if column.nullable && is_zero_date(&column.kind, raw).unwrap() => "NULL".to_owned(),
                Cell::Value(raw) => {
                    match if header { write_header_value } else { write_value }(&column.kind, raw, &mut out) {
                        Ok(()) => hex(&out),
                        Err(e) => panic!("{database} {row} {name}: {e}"),
                    }
                }
                _ => "NULL".to_owned(),
            };
            let deviation = DEVIATIONS.iter().find(|d| d.0 == database && d.1 == *row && d.2 == name);
            let want = deviation.map_or(want, |d| hex(d.3.as_bytes()));
            assert_eq!(got, want, "{database} row {row} {name} {:?}: {}", column.kind, shown(&out));
            compared += 1;
        }
        *row += 1;
    });
    assert!(expected.is_empty(), "not seen: {:?}", expected.keys());
    assert!(compared > 400, "{compared}");
}
