//! The same events through other decoders: `mysql_common`'s and, where it can read, `mysql_cdc`'s.

use std::collections::HashMap;
use std::io::Cursor;

use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::{row_events::write_rows_event, table_map_event};
use mysql_common::binlog::BinlogCtx;
use mysql_common::binlog::consts::BinlogVersion;
use mysql_common::binlog::events::{FormatDescriptionEvent, TableMapEvent, WriteRowsEvent};
use mysql_common::binlog::value::BinlogValue;
use mysql_common::io::ParseBuf;
use mysql_common::value::Value;
use serde_json::Value as Json;

use super::*;
use crate::binlog::charset::Charset;
use crate::binlog::table::ColumnKind;
use crate::binlog::value::write_value;

const FIXTURES: [&str; 4] = ["types", "json", "golden", "shapes"];

/// Our rows of one fixture, as owned texts: None for NULL.
fn ours(name: &str) -> Vec<Vec<(ColumnKind, Option<Vec<u8>>)>> {
    let mut rows = Vec::new();
    each_row(name, |table, cells| {
        let text = |kind: &ColumnKind, cell: &Cell<'_>| match cell {
            Cell::Value(raw) => {
                let mut out = Vec::new();
                // What we cannot show is compared as bytes.
                write_value(kind, raw, &mut out).unwrap_or_else(|_| out = raw.to_vec());
                Some(out)
            }
            _ => None,
        };
        rows.push(table.columns.iter().zip(cells).map(|(c, cell)| (c.kind.clone(), text(&c.kind, cell))).collect());
    });
    rows
}

fn number(json: &Json) -> Option<f64> {
    json.as_f64()
}

fn same_json(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        (Json::Number(_), Json::Number(_)) => number(ours) == number(theirs),
        // Opaque values: their text differs by design (dates, base64 with its type in front, DECIMAL as a string).
        (_, Json::String(text)) if ours != theirs => {
            text.starts_with("base64:") || text.contains([':', '-', '.']) || text.parse::<f64>().is_ok()
        }
        _ => ours == theirs,
    }
}

fn compare(kind: &ColumnKind, ours: &[u8], theirs: &BinlogValue<'_>) -> bool {
    let text = || shown(ours);
    match (kind, theirs) {
        (ColumnKind::Json { .. }, BinlogValue::Jsonb(value)) => {
            let theirs: Json = value.clone().parse().unwrap().into();
            // serde_json gives up on the 309 digits of the largest double.
            let Ok(ours) = serde_json::from_slice(ours) else {
                assert!(theirs.to_string().contains("e+308"));
                return false;
            };
            assert!(same_json(&ours, &theirs), "{} {theirs}", text());
        }
        (ColumnKind::Enum { .. } | ColumnKind::Set { .. } | ColumnKind::Bit { .. }, _) => return false,
        (ColumnKind::Decimal { .. }, BinlogValue::Value(Value::Bytes(bytes))) => {
            assert_eq!(text().parse::<f64>().unwrap(), shown(bytes).parse::<f64>().unwrap());
        }
        (
            ColumnKind::Char { charset, .. } | ColumnKind::VarChar { charset, .. } | ColumnKind::Text { charset, .. },
            _,
        ) if *charset != Charset::Utf8 => {
            return false;
        }
        // They keep the log's trimmed form.
        (ColumnKind::Binary { .. }, BinlogValue::Value(Value::Bytes(bytes))) => {
            assert!(ours.starts_with(bytes) && ours[bytes.len()..].iter().all(|&b| b == 0));
        }
        (
            ColumnKind::Timestamp { .. } | ColumnKind::Date | ColumnKind::DateTime { .. } | ColumnKind::Time { .. },
            _,
        ) => {
            return false;
        }
        // It does not extend the sign of MEDIUMINT; the server's own text is compared in `types`.
        (ColumnKind::MediumInt { .. }, BinlogValue::Value(Value::Int(_))) if ours.starts_with(b"-") => return false,
        (_, BinlogValue::Value(Value::Int(n))) => assert_eq!(text(), n.to_string(), "{kind:?}"),
        (_, BinlogValue::Value(Value::UInt(n))) => assert_eq!(text(), n.to_string(), "{kind:?}"),
        (_, BinlogValue::Value(Value::Float(n))) => assert_eq!(text().parse::<f32>().unwrap(), *n),
        (_, BinlogValue::Value(Value::Double(n))) => assert_eq!(text().parse::<f64>().unwrap(), *n),
        (ColumnKind::Year, BinlogValue::Value(Value::Bytes(bytes))) => assert_eq!(text(), shown(bytes)),
        (_, BinlogValue::Value(Value::Bytes(bytes))) => assert_eq!(ours, bytes, "{kind:?}"),
        (kind, other) => panic!("{kind:?} {other:?}"),
    }
    true
}

/// How many rows the event has, if its table has a TIME column, else 0.
fn rows_of_time_table(body: &[u8], events: &[(u8, Vec<u8>)]) -> usize {
    let id = WriteRows::table_id(body).unwrap();
    let maps = events.iter().filter(|(kind, _)| *kind == TABLE_MAP).map(|(_, body)| TableMap::decode(body).unwrap());
    let table = maps.into_iter().find(|table| table.table_id == id).unwrap();
    if !table.columns.iter().any(|c| matches!(c.kind, ColumnKind::Time { .. })) {
        return 0;
    }
    WriteRows::decode(body, RowsVersion::V2, &table).unwrap().count_rows().unwrap()
}

#[test]
fn mysql_common_reads_the_same_rows() {
    let fde = FormatDescriptionEvent::new(BinlogVersion::Version4);
    for name in FIXTURES {
        let (mut ours, mut compared) = (ours(name).into_iter(), 0);
        let events = fixture_events(name);
        let mut table = None;
        for (kind, body) in &events {
            let ctx = BinlogCtx::new(body.len() + 19, &fde, *kind);
            if *kind == TABLE_MAP {
                table = Some(ParseBuf(body).parse::<TableMapEvent<'_>>(ctx).unwrap());
                continue;
            }
            let event: WriteRowsEvent<'_> = ParseBuf(body).parse(ctx).unwrap();
            // Its reading of a negative TIME overflows, which is a panic in a debug build.
            let table = table.as_ref().unwrap();
            let count = rows_of_time_table(body, &events);
            if count > 0 {
                ours.by_ref().take(count).for_each(drop);
                continue;
            }
            for theirs in event.rows(table) {
                let theirs = theirs.unwrap().1.unwrap();
                let ours = ours.next().unwrap();
                assert_eq!(ours.len(), theirs.len());
                for (index, (kind, text)) in ours.iter().enumerate() {
                    let value = theirs.as_ref(index).unwrap();
                    let Some(text) = text else {
                        assert_eq!(*value, BinlogValue::Value(Value::NULL));
                        continue;
                    };
                    compared += usize::from(compare(kind, text, value));
                }
            }
        }
        assert!(ours.next().is_none());
        assert!(compared >= 30, "{name} {compared}");
    }
}

#[test]
fn mysql_cdc_reads_the_same_rows() {
    let (mut ours, mut compared) = (ours("types").into_iter(), 0);
    let mut tables = HashMap::new();
    for (kind, body) in fixture_events("types") {
        let mut cursor = Cursor::new(body.as_slice());
        if kind == TABLE_MAP {
            // It does not know VECTOR, and does not read every metadata.
            if let Ok(table) = table_map_event::TableMapEvent::parse(&mut cursor) {
                tables.insert(table.table_id, table);
            }
            continue;
        }
        let count = {
            let table = fixture_events("types").into_iter().filter(|(k, _)| *k == TABLE_MAP);
            let id = WriteRows::table_id(&body).unwrap();
            let table = table.map(|(_, b)| TableMap::decode(&b).unwrap()).find(|t| t.table_id == id).unwrap();
            WriteRows::decode(&body, RowsVersion::V2, &table).unwrap().count_rows().unwrap()
        };
        let ours: Vec<_> = ours.by_ref().take(count).collect();
        let Ok(theirs) = write_rows_event::WriteRowsEvent::parse(&mut cursor, &tables, 2) else { continue };
        assert_eq!(theirs.rows.len(), count);
        for (ours, theirs) in ours.iter().zip(&theirs.rows) {
            let (kind, text) = &ours[1];
            let theirs = &theirs.cells[1];
            assert_eq!(text.is_none(), theirs.is_none());
            let (Some(text), Some(theirs)) = (text, theirs) else { continue };
            match (kind, theirs) {
                (ColumnKind::TinyInt { unsigned: Some(true) }, MySqlValue::TinyInt(n)) => {
                    assert_eq!(shown(text), n.to_string());
                }
                (ColumnKind::BigInt { unsigned: Some(true) }, MySqlValue::BigInt(n)) => {
                    assert_eq!(shown(text), n.to_string());
                }
                (ColumnKind::Double, MySqlValue::Double(n)) => assert_eq!(shown(text).parse::<f64>().unwrap(), *n),
                (ColumnKind::Decimal { .. }, MySqlValue::Decimal(n)) => {
                    assert_eq!(shown(text).parse::<f64>().unwrap(), n.parse::<f64>().unwrap());
                }
                (ColumnKind::Year, MySqlValue::Year(n)) => assert_eq!(shown(text), n.to_string()),
                (ColumnKind::Blob { .. } | ColumnKind::Text { .. }, MySqlValue::Blob(bytes)) => {
                    if !matches!(kind, ColumnKind::Text { charset, .. } if *charset != Charset::Utf8) {
                        assert_eq!(text, bytes);
                    }
                }
                _ => continue,
            }
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}
