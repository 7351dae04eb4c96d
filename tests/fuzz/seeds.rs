//! Sound inputs, recorded from real servers.

use std::collections::HashMap;

use outboxd::binlog::rows::{Cell, Projection, RowsVersion, WriteRows};
use outboxd::binlog::table::{ColumnKind, TableMap};

const TABLE_MAP: u8 = 19;
const WRITE_ROWS: u8 = 30;

/// Larger ones only make the run slow.
const LARGEST: usize = 3_000;

fn read(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Type and body of the events that `tests/fixtures/binlog/make.py` recorded.
fn recorded() -> Vec<(u8, Vec<u8>)> {
    let mut events = Vec::new();
    for name in ["types", "shapes", "images", "golden", "minimal_metadata", "json"] {
        let data = read(&format!("tests/fixtures/binlog/{name}.bin"));
        let mut rest = data.as_slice();
        while let Some((head, tail)) = rest.split_first_chunk::<5>() {
            let len = u32::from_le_bytes(head[1..].try_into().unwrap()) as usize;
            events.push((head[0], tail[..len].to_vec()));
            rest = &tail[len..];
        }
    }
    events
}

pub(super) fn table_maps() -> Vec<Vec<u8>> {
    recorded().into_iter().filter(|(kind, body)| *kind == TABLE_MAP && body.len() < LARGEST).map(|e| e.1).collect()
}

/// A table map behind its length, then a row event of that table.
pub(super) fn rows() -> Vec<Vec<u8>> {
    pairs().into_iter().map(|(map, rows)| pair(&map, &rows)).filter(|input| input.len() < LARGEST).collect()
}

fn pair(map: &[u8], rows: &[u8]) -> Vec<u8> {
    [&u16::try_from(map.len()).unwrap_or(u16::MAX).to_le_bytes()[..], map, rows].concat()
}

fn pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut maps = HashMap::new();
    let mut pairs = Vec::new();
    for (kind, body) in recorded() {
        let id = body[..6].to_vec();
        match kind {
            TABLE_MAP => drop(maps.insert(id, body)),
            WRITE_ROWS => pairs.push((maps[&id].clone(), body)),
            _ => {}
        }
    }
    pairs
}

/// The stored form of every JSON value in the recorded rows.
pub(super) fn documents() -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    for (map, body) in pairs() {
        let table = TableMap::decode(&map).unwrap();
        let json: Vec<usize> =
            (0..table.columns.len()).filter(|&i| matches!(table.columns[i].kind, ColumnKind::Json { .. })).collect();
        let mut rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
        let mut cells = Vec::new();
        while rows.next_row(&Projection::new(&json), &mut cells).unwrap() {
            let stored =
                cells.iter().filter_map(|cell| if let Cell::Value(raw) = cell { Some(raw.to_vec()) } else { None });
            documents.extend(stored.filter(|raw| raw.len() < LARGEST));
        }
    }
    documents
}

/// A log of groups of every kind, whole and from each of its events on: bytes as in a log file, without the magic.
pub(super) fn groups() -> Vec<Vec<u8>> {
    let log = read("tests/fuzz/seeds/groups.binlog");
    let mut rest = &log[4..];
    let mut seeds = Vec::new();
    while rest.len() > 19 {
        seeds.push(rest.to_vec());
        rest = &rest[u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize..];
    }
    seeds
}

pub(super) fn gtid_sets() -> Vec<Vec<u8>> {
    let uuid = "37c4df8a-e6bc-11f1-b392-02fc00000001";
    let mut seeds = ["", "1-", ":1", "-", ","].map(|text| text.as_bytes().to_vec()).to_vec();
    for tail in [":1", ":1-5", ":1-5:7:9-11", ":1:tag:2-3", ":tag_1:1:other:4-9223372036854775806", ":5-3"] {
        seeds.push(format!("{uuid}{tail}").into_bytes());
        seeds.push(format!("{uuid}{tail},\n{uuid}:77-88,47c4df8a-e6bc-11f1-b392-02fc00000001{tail}").into_bytes());
    }
    seeds
}

pub(super) fn checkpoints() -> Vec<Vec<u8>> {
    ["format-1.json", "format-2.json"].map(|name| read(&format!("src/checkpoint/golden/{name}"))).to_vec()
}
