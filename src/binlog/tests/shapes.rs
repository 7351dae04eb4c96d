//! Table maps against `information_schema.COLUMNS`: names, types, signs, character sets, hidden columns.

use std::collections::HashMap;

use super::*;
use crate::binlog::charset::Charset;
use crate::binlog::table::{Column, ColumnKind, table_id_and_name};
use crate::binlog::value::{is_showable, write_value};

fn charset(collation: &str) -> Charset {
    Charset::named(collation.split('_').next().unwrap())
}

/// The declaration that `information_schema` would show, as far as the log tells.
fn declaration(column: &Column) -> String {
    let sign = |unsigned: Option<bool>| if unsigned.unwrap() { " unsigned" } else { "" };
    match &column.kind {
        ColumnKind::TinyInt { unsigned } => format!("tinyint{}", sign(*unsigned)),
        ColumnKind::SmallInt { unsigned } => format!("smallint{}", sign(*unsigned)),
        ColumnKind::MediumInt { unsigned } => format!("mediumint{}", sign(*unsigned)),
        ColumnKind::Int { unsigned } => format!("int{}", sign(*unsigned)),
        ColumnKind::BigInt { unsigned } => format!("bigint{}", sign(*unsigned)),
        ColumnKind::Bit { bits } => format!("bit({bits})"),
        ColumnKind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnKind::Binary { len } => format!("binary({len})"),
        ColumnKind::VarBinary { len } => format!("varbinary({len})"),
        ColumnKind::Blob { .. } => "blob".to_owned(),
        ColumnKind::Text { .. } => "text".to_owned(),
        ColumnKind::Enum { labels, .. } | ColumnKind::Set { labels, .. } => {
            format!("{} labels", labels.names.as_ref().unwrap().len())
        }
        other => format!("{other:?}").split([' ', '(']).next().unwrap().to_lowercase(),
    }
}

fn check(column: &Column, part: &[&str]) {
    assert_eq!(column.name.as_deref(), Some(part[1]));
    assert_eq!(column.nullable, part[3] == "YES", "{part:?}");
    assert_eq!(column.visible, part[5] == "0", "{part:?}");
    let got = declaration(column);
    match &column.kind {
        ColumnKind::Enum { labels, .. } | ColumnKind::Set { labels, .. } => {
            assert_eq!(got, "1 labels");
            assert_eq!(labels.charset, charset(part[4]), "{part:?}");
        }
        ColumnKind::Char { charset: got, .. }
        | ColumnKind::VarChar { charset: got, .. }
        | ColumnKind::Text { charset: got, .. } => assert_eq!(*got, charset(part[4]), "{part:?}"),
        _ => assert!(part[2].starts_with(got.trim_end_matches(" labels")), "{part:?} {got}"),
    }
}

#[test]
fn table_maps_agree_with_the_information_schema() {
    let text = fixture_text("shapes");
    let mut columns: HashMap<&str, Vec<Vec<&str>>> = HashMap::new();
    for part in text.lines().map(|l| l.split('\t').collect::<Vec<_>>()) {
        columns.entry(part[0]).or_default().push(part);
    }
    for (kind, body) in fixture_events("shapes") {
        if kind != TABLE_MAP {
            continue;
        }
        let table = TableMap::decode(&body).unwrap();
        let (id, database, name) = table_id_and_name(&body).unwrap();
        assert_eq!((id, database, name), (table.table_id, table.database.as_bytes(), table.table.as_bytes()));
        assert!(table.has_names());
        let Some(expected) = columns.remove(&*table.table) else { continue };
        assert_eq!(table.columns.len(), expected.len(), "{name:?}");
        for (index, (column, part)) in table.columns.iter().zip(&expected).enumerate() {
            check(column, part);
            assert_eq!(table.column_index(part[1]), Some(index));
        }
        assert_eq!(table.column_index("no such column"), None);
    }
    assert!(columns.is_empty(), "not seen: {:?}", columns.keys());
}

fn texts(table: &TableMap, cells: &[Cell<'_>]) -> Vec<String> {
    let text = |(column, cell): (&Column, &Cell<'_>)| match cell {
        Cell::Absent => "absent".to_owned(),
        Cell::Null => "NULL".to_owned(),
        Cell::Value(raw) => {
            let mut out = Vec::new();
            let written = write_value(&column.kind, raw, &mut out);
            assert_eq!(written.is_ok(), is_showable(&column.kind), "{column:?}");
            written.map_or_else(|e| e.to_string(), |()| shown(&out))
        }
    };
    table.columns.iter().zip(cells).map(text).collect()
}

#[test]
fn rows_of_odd_tables() {
    let mut seen: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    each_row("shapes", |table, cells| {
        seen.entry(table.table.to_string()).or_default().push(texts(table, cells));
    });
    let rows = |name: &str| seen[name].iter().map(|r| r.join("|")).collect::<Vec<_>>();
    assert_eq!(rows("shape_order"), ["2024|4294967295|1.0|-1|1.00|18446744073709551615|1.0|65535|-1|\u{1}|1"]);
    assert_eq!(rows("shape_hidden"), ["1|10|11|12|7|x"]);
    assert_eq!(rows("shape_gipk"), ["1|5|x"]);
    assert_eq!(rows("shape_partitioned"), ["5|p0", "15|p1"]);
    assert_eq!(rows("shape_functional"), ["1|{\"x\":[1,2]}|B"]);
    assert_eq!(rows("shape_all_latin1"), ["é|é|é"]);
    assert_eq!(rows("shape_vector_among_latin1"), ["é|NULL|é|é|é|é|é"]);
    assert_eq!(rows("Größe `x"), ["1"]);
    let charsets = &seen["shape_charsets"][0];
    assert_eq!(charsets[0], "é");
    assert_eq!(&charsets[2..7], ["ü", "[1]", "bin", "x", "ab"]);
    assert_eq!(&charsets[8..], ["blob", "é", "h", "i", "ü", "k\0\0", "l"]);
    let wide = &seen["shape_wide"];
    assert!(wide[0].iter().all(|cell| cell == "NULL"));
    assert_eq!((&*wide[1][0], &*wide[1][8], &*wide[1][9], &*wide[1][16], &*wide[1][254]), ("1", "2", "3", "4", "5"));
    assert_eq!((&*wide[2][0], &*wide[2][8], &*wide[2][16], &*wide[2][254]), ("NULL", "0", "9", "NULL"));
}
