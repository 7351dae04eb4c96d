//! Each kind of defect is put into a correct delivery, and exactly it must be found.

use super::truth::{self, Row, Table};
use super::{Defect, Rules, Verdict, judge, partition};
use crate::Observed;

const PARTITIONS: u32 = 3;
const TOPIC: &str = "outbox.event.order";

/// Twelve rows in transactions of three, over two keys.
fn rows() -> Vec<Row> {
    (0..12)
        .map(|n| Row {
            table: "shop.outbox".to_owned(),
            transaction: format!("uuid:{}", n / 3),
            end: format!("bin.000001:{}", 100 * (n / 3 + 1)),
            ordinal: n % 3,
            count: 3,
            id: format!("id-{n}").into_bytes(),
            aggregate_type: "order".to_owned(),
            key: Some(format!("key-{}", n % 2).into_bytes()),
            event_type: Some(b"Happened".to_vec()),
            payload: Some(format!(r#"{{"a": 1, "n": {n}}}"#).into_bytes()),
        })
        .collect()
}

fn delivered(rows: &[Row]) -> Vec<Observed> {
    let record = |(offset, row): (i64, &Row)| {
        let source = format!("{}#{}/3", row.transaction, row.ordinal + 1);
        let n = String::from_utf8_lossy(&row.id[3..]).into_owned();
        Observed {
            topic: TOPIC.to_owned(),
            partition: partition(row.key.as_deref().unwrap_or_default(), PARTITIONS).cast_signed(),
            offset,
            timestamp: None,
            headers: vec![
                ("id".to_owned(), Some(row.id.clone())),
                ("eventType".to_owned(), row.event_type.clone()),
                ("outboxd-source".to_owned(), Some(source.into_bytes())),
            ],
            key: row.key.clone(),
            value: Some(format!(r#"{{"n":{n},"a":1}}"#).into_bytes()),
        }
    };
    (0..).zip(rows).map(record).collect()
}

fn verdict(rows: &[Row], records: &[Observed]) -> Verdict {
    judge(rows, records, &rules())
}

fn rules() -> Rules {
    Rules {
        partitions: [(TOPIC.to_owned(), PARTITIONS)].into(),
        event_type_header: Some("eventType".to_owned()),
        ..Rules::default()
    }
}

/// Spoils a correct delivery and checks that these defects are found and no others.
fn expect(spoil: impl FnOnce(&mut Vec<Observed>), expected: &[(Defect, usize)]) {
    let rows = rows();
    let mut records = delivered(&rows);
    spoil(&mut records);
    let verdict = verdict(&rows, &records);
    let found: Vec<(Defect, usize)> =
        Defect::ALL.into_iter().map(|defect| (defect, verdict.count(defect))).filter(|(_, count)| *count > 0).collect();
    assert_eq!(found, expected, "{verdict}");
    assert_eq!(verdict.is_clean(), expected.is_empty());
}

#[test]
fn correct_delivery_is_clean() {
    expect(|_| (), &[]);
    let report = verdict(&rows(), &delivered(&rows())).to_string();
    assert!(report.ends_with("clean"), "{report}");
}

#[test]
fn lost_transaction() {
    expect(|records| drop(records.drain(3..6)), &[(Defect::Lost, 3)]);
}

#[test]
fn torn_transaction() {
    let spoil = |records: &mut Vec<Observed>| drop(records.remove(4));
    expect(spoil, &[(Defect::Lost, 1), (Defect::Torn, 1)]);
}

#[test]
fn torn_by_its_own_header() {
    let spoil = |records: &mut Vec<Observed>| {
        for record in &mut records[0..3] {
            let source = record.header("outboxd-source").map(|s| s.replace("/3", "/4"));
            record.headers[2].1 = source.map(String::into_bytes);
        }
    };
    expect(spoil, &[(Defect::Torn, 1), (Defect::ChangedHeaders, 3)]);
}

#[test]
fn duplicate() {
    let spoil = |records: &mut Vec<Observed>| {
        let mut again = records[2].clone();
        again.offset = 100;
        records.push(again);
    };
    expect(spoil, &[(Defect::Duplicated, 1)]);
}

#[test]
fn phantom() {
    let spoil = |records: &mut Vec<Observed>| {
        let mut poison = records[2].clone();
        poison.offset = 100;
        poison.headers = vec![("id".to_owned(), Some(b"rolled back".to_vec()))];
        records.push(poison);
    };
    expect(spoil, &[(Defect::Phantom, 1)]);
}

#[test]
fn reordered_within_a_key() {
    let spoil = |records: &mut Vec<Observed>| {
        (records[0].offset, records[2].offset) = (records[2].offset, records[0].offset);
    };
    expect(spoil, &[(Defect::ReorderedInKey, 1), (Defect::OutOfLogOrder, 1)]);
}

#[test]
fn out_of_log_order_between_keys() {
    let rules = Rules::default();
    let rows = rows();
    let mut records = delivered(&rows);
    for record in &mut records {
        record.partition = 0;
    }
    (records[0].offset, records[1].offset) = (1, 0);
    let verdict = judge(&rows, &records, &rules);
    assert_eq!(verdict.count(Defect::OutOfLogOrder), 1, "{verdict}");
    assert_eq!(verdict.count(Defect::ReorderedInKey), 0, "{verdict}");
}

#[test]
fn changed_value_and_key() {
    let spoil = |records: &mut Vec<Observed>| {
        records[0].value = Some(br#"{"n":0,"a":2}"#.to_vec());
        records[1].value = None;
    };
    expect(spoil, &[(Defect::Changed, 2)]);
    let spoil = |records: &mut Vec<Observed>| records[0].key = None;
    expect(spoil, &[(Defect::Changed, 1)]);
}

#[test]
fn changed_headers() {
    let spoil = |records: &mut Vec<Observed>| {
        records[0].headers.swap(0, 1);
        drop(records[1].headers.remove(1));
        records[2].headers[1].1 = None;
        records[3].headers.push(("more".to_owned(), None));
    };
    expect(spoil, &[(Defect::ChangedHeaders, 4)]);
}

#[test]
fn wrong_topic_and_partition() {
    let spoil = |records: &mut Vec<Observed>| records[11].topic.push('x');
    expect(spoil, &[(Defect::WrongTopic, 1)]);
    let spoil = |records: &mut Vec<Observed>| records[11].partition = 7;
    expect(spoil, &[(Defect::WrongPartition, 1)]);
}

#[test]
fn examples_are_limited() {
    let verdict = verdict(&rows(), &[]);
    assert_eq!(verdict.count(Defect::Lost), 12);
    assert_eq!(verdict.examples(Defect::Lost).len(), 10);
}

#[test]
fn a_log_without_gtids_is_named_by_file_and_position() {
    let log = b"#file mysql-bin.000007
# at 4
#261122 20:58:30 server id 1  end_log_pos 127 CRC32 0xcb61ce7b \tStart: binlog v 4
ROLLBACK/*!*/;
SET @@SESSION.GTID_NEXT= 'ANONYMOUS'/*!*/;
# at 127
#261122 20:58:30 server id 1  end_log_pos 200 CRC32 0x00000000 \tQuery\tthread_id=1
SET TIMESTAMP=1795381110/*!*/;
BEGIN
/*!*/;
### INSERT INTO `shop`.`outbox`
### SET
###   @1=-5 (4294967291)
###   @2='order'
###   @3=NULL
###   @4='T'
###   @5='it\\'s \\\\ \\x01'
# at 300
#261122 20:58:30 server id 1  end_log_pos 331 CRC32 0x00000000 \tXid = 18
COMMIT/*!*/;
";
    let rows = truth::read(&log[..], &[Table::usual("shop", "outbox")]).expect("a readable log");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row.transaction, "mysql-bin.000007:331");
    assert_eq!((row.id.as_slice(), &row.key), (&b"-5"[..], &None));
    assert_eq!(row.payload.as_deref(), Some(&b"it's \\ \x01"[..]));
}

const RELAY: &str = "shop";

/// Checkpoints behind each of the four transactions of three, each with the hash of the one before.
fn checkpoints() -> Vec<Observed> {
    let mut previous = 0;
    (0..4)
        .map(|n: i64| {
            let records = 3 * (n + 1);
            let value = format!(
                r#"{{"sequence":{},"previous":{previous},"counters":{{"records":{records}}},"executed":"uuid:0-{n}","owner":{{"instance":"me"}}}}"#,
                n + 1
            );
            previous = super::checkpoints::crc32(value.as_bytes());
            let (key, value) = (Some(RELAY.as_bytes().to_vec()), Some(value.into_bytes()));
            Observed { topic: "c".into(), partition: 1, offset: n, timestamp: None, headers: Vec::new(), key, value }
        })
        .collect()
}

/// Spoils correct checkpoints and checks that these defects are found and no others.
fn expect_checkpoints(spoil: impl FnOnce(&mut Vec<Observed>), expected: &[(Defect, usize)]) {
    let mut records = checkpoints();
    spoil(&mut records);
    let mut verdict = Verdict::default();
    let _ = verdict.add_checkpoints(&rows(), &records, RELAY);
    let found: Vec<(Defect, usize)> =
        Defect::ALL.into_iter().map(|defect| (defect, verdict.count(defect))).filter(|(_, count)| *count > 0).collect();
    assert_eq!(found, expected, "{verdict}");
}

fn rewrite(record: &mut Observed, from: &str, to: &str) {
    let text = String::from_utf8(record.value.take().unwrap_or_default()).expect("text");
    assert!(text.contains(from), "{text}");
    record.value = Some(text.replace(from, to).into_bytes());
}

#[test]
fn checkpoints_follow_each_other_and_cover_whole_transactions() {
    expect_checkpoints(|_| (), &[]);
    // Another relay's are none of ours.
    expect_checkpoints(|all| all.push(Observed { key: Some(b"other".to_vec()), ..all[0].clone() }), &[]);
    expect_checkpoints(|all| drop(all.remove(1)), &[(Defect::CheckpointOrder, 1)]);
    expect_checkpoints(|all| all.swap(0, 1), &[]);
    let back = |all: &mut Vec<Observed>| (all[1].offset, all[2].offset) = (all[2].offset, all[1].offset);
    expect_checkpoints(back, &[(Defect::CheckpointOrder, 3)]);
    // The last one, so that no hash behind it is wrong.
    let inside = |all: &mut Vec<Observed>| rewrite(&mut all[3], r#""records":12"#, r#""records":11"#);
    expect_checkpoints(inside, &[(Defect::CheckpointCover, 2)]);
    // It may end there if it says so, in front of that transaction; the newest may not.
    let begun = |published: u8, id: &str| {
        format!(
            r#""records":11}},"begun":{{"published":{published},"records":3,"terminator":{{"gtid":"{id}","file":"bin.000001","end":400}}"#
        )
    };
    for (published, id, set, wrong) in [
        (2, "uuid:3", "uuid:0-2", 1),
        (1, "uuid:3", "uuid:0-2", 2),
        (2, "uuid:2", "uuid:0-2", 2),
        (2, "uuid:3", "uuid:0-3", 2),
        (2, "uuid:3", "uuid:0-1", 2),
    ] {
        let split = |all: &mut Vec<Observed>| {
            rewrite(&mut all[3], r#""records":12"#, &begun(published, id));
            rewrite(&mut all[3], "uuid:0-3", set);
        };
        expect_checkpoints(split, &[(Defect::CheckpointCover, wrong)]);
    }
    let between = |all: &mut Vec<Observed>| {
        rewrite(&mut all[3], r#""records":12"#, &begun(3, "uuid:3").replace(r#""records":11"#, r#""records":12"#));
    };
    expect_checkpoints(between, &[(Defect::CheckpointCover, 1)]);
    let stale = |all: &mut Vec<Observed>| rewrite(&mut all[3], "uuid:0-3", "uuid:0-2");
    expect_checkpoints(stale, &[(Defect::CheckpointCover, 1)]);
    expect_checkpoints(|all| drop(all.pop()), &[(Defect::CheckpointCover, 1)]);
    expect_checkpoints(|all| all[3].value = None, &[(Defect::CheckpointOrder, 1), (Defect::CheckpointCover, 1)]);
}

#[test]
fn counters_are_those_of_the_rows_behind_the_first_checkpoint() {
    let metrics = "# TYPE outboxd_kafka_records_total counter\n\
                   outboxd_kafka_records_total{relay=\"shop\",topic=\"outbox.event.order\"} 9\n\
                   outboxd_kafka_bytes_total{relay=\"shop\",topic=\"outbox.event.order\"} 77\n";
    for (before, text, wrong) in [
        (3, metrics.to_owned(), 0),
        (0, metrics.to_owned(), 1),
        (3, metrics.replace("order", "other"), 2),
        (12, String::new(), 0),
    ] {
        let mut verdict = Verdict::default();
        verdict.add_metrics(&rows(), before, &text, &rules()).expect("readable metrics");
        assert_eq!(verdict.count(Defect::Miscounted), wrong, "{verdict}");
    }
    assert!(Verdict::default().add_metrics(&rows(), 13, metrics, &rules()).is_err());
}

#[test]
fn a_stable_offset_inside_a_transaction_is_found() {
    let (rows, records) = (rows(), delivered(&rows()));
    // Checkpoints behind the first two transactions and behind the last one.
    let checkpoints = super::Checkpoints { ends: [6, 12].into(), ..super::Checkpoints::default() };
    let torn = |partition: i32, stable: &[i64]| {
        let mut verdict = Verdict::default();
        let stable = [(partition, stable.to_vec())].into();
        verdict.add_stable(&rows, &records, &checkpoints, (TOPIC, &stable), &rules());
        assert_eq!(verdict.stable_offsets, stable[&partition].len());
        verdict.count(Defect::Torn)
    };
    let partition = records[0].partition;
    assert_eq!(torn(partition, &[0, 6, 12]), 0);
    assert_eq!(torn(partition, &[0, 2, 6]), 1, "inside the first transaction");
    assert_eq!(torn(partition, &[0, 3, 9]), 2, "between source transactions, but inside a Kafka transaction");
}
