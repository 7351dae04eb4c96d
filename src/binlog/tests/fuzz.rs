//! Any input is answered by a value or an error: no panic, no endless loop, no memory beyond a multiple of the input.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::binlog::jsonb::write_json;
use crate::binlog::rows::Images;
use crate::binlog::table::table_id_and_name;
use crate::binlog::value::{epoch_millis, is_zero_date, write_header_value, write_value};

/// A byte of a document prints at most: a double has 9 bytes with its type and up to 1,077 characters.
const GROWTH: usize = 130;

fn decode_json(raw: &[u8]) {
    let mut out = Vec::new();
    let result = write_json(raw, &mut out);
    assert!(out.len() <= raw.len() * GROWTH + 4);
    assert!(std::str::from_utf8(&out).is_ok());
    assert!(result.is_ok() || out.is_empty());
}

fn decode_rows(body: &[u8], table: &TableMap, version: RowsVersion) {
    for images in [Images::Inserted, Images::Updated, Images::PartiallyUpdated] {
        decode_images(body, table, version, images);
    }
}

fn decode_images(body: &[u8], table: &TableMap, version: RowsVersion, images: Images) {
    let all = Projection::new(&(0..table.columns.len()).collect::<Vec<_>>());
    let Ok(mut rows) = WriteRows::decode_images(body, version, images, table) else { return };
    let (mut cells, mut out, mut count) = (Vec::new(), Vec::new(), 0);
    while let Ok(true) = rows.next_row(&all, &mut cells) {
        count += 1;
        assert!(count <= body.len());
        for (column, cell) in table.columns.iter().zip(&cells) {
            let Cell::Value(raw) = cell else { continue };
            out.clear();
            let _ = write_value(&column.kind, raw, &mut out);
            let _ = write_header_value(&column.kind, raw, &mut out);
            let _ = is_zero_date(&column.kind, raw);
            let _ = epoch_millis(&column.kind, raw);
        }
    }
}

fn decode(kind: u8, body: &[u8], tables: &HashMap<u64, TableMap>) {
    if kind == TABLE_MAP {
        let _ = table_id_and_name(body);
        if let Ok(table) = TableMap::decode(body) {
            let labels = table.columns.len();
            assert!(labels <= body.len());
        }
        return;
    }
    if let Some(table) = WriteRows::table_id(body).ok().and_then(|id| tables.get(&id)) {
        decode_rows(body, table, RowsVersion::V2);
        decode_rows(body, table, RowsVersion::V1);
    }
}

type Events = Vec<(u8, Vec<u8>)>;

/// Real events up to a size that keeps the run short, and the tables that they name.
fn corpus() -> (Events, HashMap<u64, TableMap>) {
    let fixtures = ["types", "shapes", "images", "minimal_metadata", "golden"];
    let mut events: Vec<_> = fixtures.iter().flat_map(|name| fixture_events(name)).collect();
    let maps = events.iter().filter(|(kind, _)| *kind == TABLE_MAP).map(|(_, body)| TableMap::decode(body).unwrap());
    let tables = maps.map(|table| (table.table_id, table)).collect();
    events.retain(|(_, body)| body.len() < 4000);
    (events, tables)
}

/// JSON storage of all documents up to a size.
fn documents() -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    each_row("json", |_, cells| {
        if let Cell::Value(raw) = cells[1] {
            documents.push(raw.to_vec());
        }
    });
    documents.retain(|raw| raw.len() < 2000);
    documents
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let at = any::<prop::sample::Index>;
    let one = prop_oneof![
        8 => (at(), any::<u8>()).prop_map(|(i, b)| Damage::Flip(i, b)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..9u8).prop_map(|(i, n)| Damage::Drop(i, n)),
        1 => (at(), vec(any::<u8>(), 1..9)).prop_map(|(i, bytes)| Damage::Insert(i, bytes)),
    ];
    vec(one, 1..5)
}

fn apply(damage: &[Damage], bytes: &mut Vec<u8>) {
    for step in damage {
        if bytes.is_empty() {
            return;
        }
        match step {
            Damage::Flip(i, value) => *i.get_mut(bytes) = *value,
            Damage::Cut(i) => bytes.truncate(i.index(bytes.len())),
            Damage::Drop(i, n) => {
                let from = i.index(bytes.len());
                bytes.drain(from..(from + usize::from(*n)).min(bytes.len()));
            }
            Damage::Insert(i, more) => {
                let at = i.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
}

#[test]
fn real_events_with_damage() {
    let (events, tables) = corpus();
    let strategy = (any::<prop::sample::Index>(), damage());
    proptest!(ProptestConfig::with_cases(6_000), |((pick, damage) in strategy)| {
        let (kind, mut body) = pick.get(&events).clone();
        apply(&damage, &mut body);
        decode(kind, &body, &tables);
    });
}

#[test]
fn real_documents_with_damage() {
    let documents = documents();
    let strategy = (any::<prop::sample::Index>(), damage());
    proptest!(ProptestConfig::with_cases(6_000), |((pick, damage) in strategy)| {
        let mut raw = pick.get(&documents).clone();
        apply(&damage, &mut raw);
        decode_json(&raw);
    });
}

#[test]
fn every_truncation_of_a_table_map_or_a_row_is_noticed() {
    let (events, tables) = corpus();
    for (kind, body) in events.iter().filter(|(_, body)| body.len() < 400) {
        for len in 0..body.len() {
            decode(*kind, &body[..len], &tables);
            if *kind != TABLE_MAP && len > 12 {
                let table = &tables[&WriteRows::table_id(body).unwrap()];
                // A cut between rows cannot be seen in the bytes; the event's checksum is for that.
                let rows = |b: &[u8]| WriteRows::decode(b, RowsVersion::V2, table).and_then(|r| r.count_rows());
                assert!(rows(&body[..len]).is_ok_and(|n| n < rows(body).unwrap()) || rows(&body[..len]).is_err());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..300)) {
        decode_json(&bytes);
        if let Ok(table) = TableMap::decode(&bytes) {
            decode_rows(&bytes, &table, RowsVersion::V2);
        }
    }

    /// Containers whose entries point at each other.
    #[test]
    fn arbitrary_containers(kind in 0u8..4, count in 0u8..40, rest in vec(0u8..48, 0..200)) {
        let size = u8::try_from(rest.len() + 4).unwrap();
        let wide: &[u8] = if kind % 2 == 1 { &[0, 0] } else { &[] };
        let head = [&[kind, count, 0], wide, &[size, 0], wide].concat();
        decode_json(&[head, rest].concat());
    }
}

/// Each level holds many references to the one level below: without a budget this prints 20^90 values.
#[test]
fn shared_values_do_not_multiply() {
    let mut raw = vec![2u8];
    let (count, level) = (20u16, 4 + 20 * 3);
    for depth in 0..90u16 {
        let size = (90 - depth) * level;
        raw.extend(count.to_le_bytes());
        raw.extend(size.to_le_bytes());
        for _ in 0..count {
            raw.push(if depth == 89 { 4 } else { 2 });
            raw.extend((if depth == 89 { 0 } else { level }).to_le_bytes());
        }
    }
    let mut out = Vec::new();
    assert!(write_json(&raw, &mut out).is_err());
    assert!(out.capacity() < raw.len() * 20);
}

/// A document and its storage, written by an encoder of our own.
#[derive(Clone, Debug)]
enum Doc {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Array(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

fn documents_to_encode() -> impl Strategy<Value = Doc> {
    let leaf = prop_oneof![
        Just(Doc::Null),
        any::<bool>().prop_map(Doc::Bool),
        any::<i64>().prop_map(Doc::Int),
        any::<i16>().prop_map(|n| Doc::Int(n.into())),
        any::<i32>().prop_map(|n| Doc::Int(n.into())),
        any::<u64>().prop_map(Doc::UInt),
        any::<u16>().prop_map(|n| Doc::UInt(n.into())),
        any::<u32>().prop_map(|n| Doc::UInt(n.into())),
        prop::num::f64::NORMAL.prop_map(Doc::Double),
        (any::<i32>(), 0..9i32).prop_map(|(n, e)| Doc::Double(f64::from(n) / 10f64.powi(e))),
        any::<String>().prop_map(Doc::Text),
        (120usize..140).prop_map(|n| Doc::Text("x".repeat(n))),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Doc::Array),
            vec((any::<String>(), inner), 0..8).prop_map(Doc::Object),
        ]
    })
}

impl Doc {
    fn kind(&self, large: bool) -> u8 {
        match self {
            Doc::Object(_) => u8::from(large),
            Doc::Array(_) => 2 + u8::from(large),
            Doc::Null | Doc::Bool(_) => 4,
            Doc::Int(n) if i16::try_from(*n).is_ok() => 5,
            Doc::UInt(n) if u16::try_from(*n).is_ok() => 6,
            Doc::Int(n) if i32::try_from(*n).is_ok() => 7,
            Doc::UInt(n) if u32::try_from(*n).is_ok() => 8,
            Doc::Int(_) => 9,
            Doc::UInt(_) => 10,
            Doc::Double(_) => 11,
            Doc::Text(_) => 12,
        }
    }

    /// The bytes behind the type.
    fn encode(&self, large: bool) -> Vec<u8> {
        match self {
            Doc::Null => vec![0],
            Doc::Bool(b) => vec![if *b { 1 } else { 2 }],
            Doc::Int(n) => n.to_le_bytes()[..[2, 0, 4, 0, 8][usize::from(self.kind(large) - 5)]].to_vec(),
            Doc::UInt(n) => n.to_le_bytes()[..[2, 0, 4, 0, 8][usize::from(self.kind(large) - 6)]].to_vec(),
            Doc::Double(n) => n.to_le_bytes().to_vec(),
            Doc::Text(text) => {
                let (mut len, mut out) = (text.len(), Vec::new());
                while len > 127 {
                    out.push(u8::try_from(len & 127).unwrap() | 128);
                    len >>= 7;
                }
                out.push(u8::try_from(len).unwrap());
                out.extend(text.as_bytes());
                out
            }
            Doc::Array(items) => container(&[], &items.iter().collect::<Vec<_>>(), large),
            Doc::Object(items) => container(
                &items.iter().map(|i| &i.0).collect::<Vec<_>>(),
                &items.iter().map(|i| &i.1).collect::<Vec<_>>(),
                large,
            ),
        }
    }

    fn print(&self, out: &mut String) {
        match self {
            Doc::Null => out.push_str("null"),
            Doc::Bool(b) => out.push_str(&b.to_string()),
            Doc::Int(n) => out.push_str(&n.to_string()),
            Doc::UInt(n) => out.push_str(&n.to_string()),
            Doc::Double(n) if *n == 0.0 || (1e-3..1e7).contains(&n.abs()) => out.push_str(&format!("{n:?}")),
            // Exact, then without what is not needed.
            Doc::Double(n) => {
                let text = format!("{n:.1100}");
                out.push_str(text.trim_end_matches('0').trim_end_matches('.'));
            }
            Doc::Text(text) => out.push_str(&quoted(text)),
            Doc::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    item.print(out);
                }
                out.push(']');
            }
            Doc::Object(items) => {
                out.push('{');
                for (i, (key, item)) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    out.push_str(&quoted(key));
                    out.push(':');
                    item.print(out);
                }
                out.push('}');
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out + "\""
}

fn container(keys: &[&String], items: &[&Doc], large: bool) -> Vec<u8> {
    let width = if large { 4 } else { 2 };
    let number = |n: usize| n.to_le_bytes()[..width].to_vec();
    let head = 2 * width + keys.len() * (width + 2) + items.len() * (width + 1);
    let (mut key_entries, mut entries, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        key_entries.extend(number(head + data.len()));
        key_entries.extend(&key.len().to_le_bytes()[..2]);
        data.extend(key.as_bytes());
    }
    for item in items {
        let (kind, value) = (item.kind(large), item.encode(large));
        entries.push(kind);
        if matches!(kind, 4..=6) || large && matches!(kind, 7 | 8) {
            entries.extend(value.iter().chain(&[0; 4]).take(width));
        } else {
            entries.extend(number(head + data.len()));
            data.extend(value);
        }
    }
    [number(items.len()), number(head + data.len()), key_entries, entries, data].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn documents_round_trip(doc in documents_to_encode(), large: bool) {
        let raw = [vec![doc.kind(large)], doc.encode(large)].concat();
        prop_assume!(large || raw.len() < 60_000);
        let (mut out, mut want) = (Vec::new(), String::new());
        write_json(&raw, &mut out).unwrap();
        doc.print(&mut want);
        prop_assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
