//! Sessions that log less than everything.

use super::*;
use crate::binlog::DecodeError;
use crate::binlog::rows::Images;
use crate::binlog::table::{Column, ColumnKind, Storage};
use crate::binlog::value::{is_showable, write_value};

#[test]
fn columns_that_were_not_logged_are_absent_not_null() {
    let mut rows = Vec::new();
    each_row("images", |table, cells| rows.push(format!("{} {cells:?}", table.table)));
    assert_eq!(
        rows,
        [
            "i [Value(4 bytes), Value(4 bytes), Value(4 bytes), Null]",
            "i [Value(4 bytes), Absent, Value(7 bytes), Absent]",
            "i [Value(4 bytes), Absent, Null, Absent]",
            "i [Value(4 bytes), Absent, Absent, Absent]",
            "i [Value(4 bytes), Value(4 bytes), Absent, Value(1 bytes)]",
            "n [Absent]",
        ]
    );
}

#[test]
fn minimal_metadata_has_no_names_and_no_labels() {
    each_row("minimal_metadata", |table, cells| {
        assert!(!table.has_names());
        assert_eq!(table.column_index("id"), None);
        let shown = table.columns.iter().zip(cells).map(|(column, cell)| {
            let Cell::Value(raw) = cell else { panic!() };
            let mut out = Vec::new();
            let written = write_value(&column.kind, raw, &mut out);
            assert_eq!(written.is_ok(), is_showable(&column.kind));
            written.map(|()| shown(&out))
        });
        let labels = Err(DecodeError::Metadata("the labels of ENUM and SET columns"));
        let expected = [Ok("4294967295".into()), labels.clone(), Ok("text".into()), Ok("bin".into()), labels];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    });
}

#[test]
fn a_projection_takes_columns_in_any_order_and_twice() {
    let events = fixture_events("images");
    let table = TableMap::decode(&events[0].1).unwrap();
    let mut rows = WriteRows::decode(&events[1].1, RowsVersion::V2, &table).unwrap();
    let mut cells = vec![Cell::Null; 9];
    let wanted = Projection::new(&[2, 0, 3, 0, 4096]);
    assert!(rows.next_row(&wanted, &mut cells).unwrap());
    let id = Cell::Value(&[1, 0, 0, 0]);
    assert_eq!(cells, [Cell::Value(b"full"), id, Cell::Null, id, Cell::Absent]);
    assert!(!rows.next_row(&wanted, &mut cells).unwrap());
    assert!(cells.is_empty());
}

#[test]
fn garbage_after_the_last_row_is_an_error_each_time() {
    let events = fixture_events("images");
    let table = TableMap::decode(&events[0].1).unwrap();
    let mut body = events[1].1.clone();
    body.push(0);
    let mut rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
    assert!(rows.count_rows().is_err());
    let (wanted, mut cells) = (Projection::new(&[0]), Vec::new());
    assert!(rows.next_row(&wanted, &mut cells).unwrap());
    let error = rows.next_row(&wanted, &mut cells).unwrap_err();
    assert_eq!(rows.next_row(&wanted, &mut cells).unwrap_err(), error);
    assert_eq!(error.to_string(), format!("column value ends early at byte {}", body.len()));
}

#[test]
fn rows_of_another_table_or_shape_are_refused() {
    let events = fixture_events("images");
    let mut table = TableMap::decode(&events[0].1).unwrap();
    table.table_id += 1;
    assert!(WriteRows::decode(&events[1].1, RowsVersion::V2, &table).is_err());
    table.table_id -= 1;
    table.columns.pop();
    assert!(WriteRows::decode(&events[1].1, RowsVersion::V2, &table).is_err());
}

#[test]
fn version_1_has_no_extra_data() {
    let events = fixture_events("images");
    let table = TableMap::decode(&events[0].1).unwrap();
    let mut body = events[1].1.clone();
    body.drain(8..10);
    let rows = WriteRows::decode(&body, RowsVersion::V1, &table).unwrap();
    assert_eq!(rows.count_rows(), Ok(1));
    // Extra data of version 2, as NDB writes it, is passed over.
    body.splice(8..8, [6, 0, 0, 4, 9, 9]);
    let rows = WriteRows::decode(&body, RowsVersion::V2, &table).unwrap();
    assert_eq!(rows.count_rows(), Ok(1));
}

/// An update of one row of two JSON columns, (a, b), as `binlog_row_value_options` says in `partial`.
fn update(partial: &[u8], after: &[&[u8]]) -> Vec<u8> {
    let json = |value: &[u8]| [&u32::try_from(value.len()).unwrap().to_le_bytes(), value].concat();
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 3];
    body.extend([vec![0], json(b"old a"), json(b"old b")].concat());
    body.extend_from_slice(partial);
    body.push(0);
    after.iter().for_each(|value| body.extend(json(value)));
    body
}

#[test]
fn the_image_after_an_update_is_shown_and_partial_values_are_not_taken_for_whole_ones() {
    let kind = ColumnKind::Json { length_bytes: 4 };
    let column = |name: &str| Column {
        name: Some(name.into()),
        storage: Storage::Prefixed(4),
        kind: kind.clone(),
        nullable: true,
        visible: true,
    };
    let table =
        TableMap { table_id: 7, database: "s".into(), table: "t".into(), columns: ["a", "b"].map(column).into() };
    let rows = |body: &[u8], images| {
        let mut rows = WriteRows::decode_images(body, RowsVersion::V2, images, &table)?;
        let mut cells = Vec::new();
        rows.next_row(&Projection::new(&[0, 1]), &mut cells)?;
        Ok::<_, DecodeError>(cells.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>().join(" "))
    };
    let whole = update(&[], &[b"new", b"newer"]);
    assert_eq!(rows(&whole, Images::Updated).unwrap(), "Value(3 bytes) Value(5 bytes)");
    let partial = |partial: &[u8], after: &[&[u8]]| rows(&update(partial, after), Images::PartiallyUpdated);
    assert_eq!(partial(&[0], &[b"new", b"newer"]).unwrap(), "Value(3 bytes) Value(5 bytes)");
    assert_eq!(partial(&[1, 0b00], &[b"new", b"newer"]).unwrap(), "Value(3 bytes) Value(5 bytes)");
    // Changed in part: unknown. Not changed at all: as before.
    assert_eq!(partial(&[1, 0b01], &[b"diff", b"newer"]).unwrap(), "Absent Value(5 bytes)");
    assert_eq!(partial(&[1, 0b10], &[b"new", b""]).unwrap(), "Value(3 bytes) Value(5 bytes)");
    assert!(partial(&[2, 0b01], &[b"new", b"newer"]).is_err());
}
