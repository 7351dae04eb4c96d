//! Sessions that log less than everything.

use super::*;
use crate::binlog::DecodeError;
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
