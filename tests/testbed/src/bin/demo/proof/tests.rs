//! A proof that cannot fail proves nothing: each defect is put in by hand and must be found, alone.

use serde_json::json;
use testbed::Observed;

use super::{Proof, Row};
use crate::TOPIC;

/// Two orders of three events each.
fn rows() -> Vec<Row> {
    let row = |order: u64, seq: u64| Row {
        id: format!("id-{order}-{seq}"),
        key: format!("order-{order}"),
        payload: json!({ "seq": seq, "state": "placed" }),
    };
    (0..6).map(|n| row(n % 2, n / 2 + 1)).collect()
}

/// What a correct relay makes of the rows, each order in a partition of its own.
fn records(rows: &[Row]) -> Vec<Observed> {
    let record = |(n, row): (usize, &Row)| Observed {
        topic: TOPIC.to_owned(),
        partition: i32::from(row.key.ends_with('1')),
        offset: i64::try_from(n).unwrap(),
        timestamp: None,
        headers: vec![("id".to_owned(), Some(row.id.clone().into_bytes()))],
        key: Some(row.key.clone().into_bytes()),
        value: Some(row.payload.to_string().into_bytes()),
    };
    rows.iter().enumerate().map(record).collect()
}

/// The defects found in what `spoil` makes of correct records.
fn found(spoil: impl FnOnce(&mut Vec<Observed>)) -> Vec<(String, usize)> {
    let rows = rows();
    let mut records = records(&rows);
    spoil(&mut records);
    let proof = Proof::of(&rows, &records);
    let found: Vec<_> = proof.lines().into_iter().filter(|(_, found)| found.count > 0).collect();
    assert!(found.iter().all(|(_, found)| found.example.is_some()));
    let found: Vec<_> = found.into_iter().map(|(name, found)| (name.to_owned(), found.count)).collect();
    assert_eq!(proof.holds(), found.is_empty());
    found
}

fn one(name: &str) -> Vec<(String, usize)> {
    vec![(name.to_owned(), 1)]
}

fn again(records: &mut Vec<Observed>, index: usize) {
    let offset = i64::try_from(records.len()).unwrap();
    records.push(Observed { offset, ..records[index].clone() });
}

#[test]
fn correct_records_hold() {
    assert_eq!(found(|_| ()), []);
}

#[test]
fn partitions_may_come_in_any_order() {
    assert_eq!(found(|records| records.reverse()), []);
}

#[test]
fn a_missing_record_is_lost() {
    assert_eq!(found(|records| drop(records.pop())), one("lost"));
}

#[test]
fn nothing_at_all_is_lost() {
    assert_eq!(found(Vec::clear), [("lost".to_owned(), 6)]);
}

#[test]
fn a_repeated_record_is_duplicated() {
    assert_eq!(found(|records| again(records, 0)), one("duplicated"));
}

#[test]
fn a_record_behind_a_later_one_of_its_key_is_out_of_order() {
    let swap = |records: &mut Vec<Observed>| {
        let last = records[4].offset;
        records[4].offset = records[2].offset;
        records[2].offset = last;
    };
    assert_eq!(found(swap), one("out of order"));
}

#[test]
fn a_key_in_two_partitions_is_out_of_order() {
    assert_eq!(found(|records| records[4].partition = 2), one("out of order"));
}

#[test]
fn a_marked_record_was_rolled_back() {
    let add = |records: &mut Vec<Observed>| {
        again(records, 5);
        records[6].headers.clear();
        records[6].value = Some(br#"{"seq":4,"rolled_back":true}"#.to_vec());
    };
    assert_eq!(found(add), one("rolled back and seen"));
}

#[test]
fn a_record_without_a_row_is_from_nowhere() {
    let add = |records: &mut Vec<Observed>| {
        again(records, 5);
        records[6].headers.clear();
    };
    assert_eq!(found(add), one("from nowhere"));
}

#[test]
fn another_value_or_key_is_changed() {
    assert_eq!(found(|records| records[0].value = Some(br#"{"seq":1}"#.to_vec())), one("changed"));
    assert_eq!(found(|records| records[5].key = Some(b"order-9".to_vec())), one("changed"));
    assert_eq!(found(|records| records[5].key = None), one("changed"));
}
