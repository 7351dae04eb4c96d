use std::num::NonZeroU32;

use super::*;
use crate::binlog::event::OutboxRows;
use crate::binlog::testing::{at, raw, read, rows};
use crate::config::{OnUpdate, TopicPart, TopicTemplate};
use crate::outbox::Tables;
use crate::record::{Record, TopicId};

fn outbox(source_header: bool, headers: &[(&str, &str)]) -> OutboxConfig {
    OutboxConfig {
        name: "main".into(),
        database: "shop".into(),
        table: "outbox".into(),
        id: "id".into(),
        aggregate_type: "aggregatetype".into(),
        aggregate_id: "aggregateid".into(),
        event_type: Some("type".into()),
        payload: "payload".into(),
        topic: TopicTemplate(vec![TopicPart::Literal("e.".into()), TopicPart::AggregateType]),
        timestamp: None,
        source_header,
        on_update: OnUpdate::Stop,
        headers: headers.iter().map(|(header, column)| ((*header).into(), (*column).into())).collect(),
    }
}

struct Bench {
    tables: Tables,
    mapper: Mapper,
    records: Records,
}

impl Bench {
    fn new(outbox: OutboxConfig, max_record_bytes: usize) -> Self {
        let outboxes: Arc<[OutboxConfig]> = [outbox].into();
        let mut mapper = Mapper::new(Arc::clone(&outboxes)).unwrap();
        let partitions = NonZeroU32::new(6).unwrap();
        mapper.add_topic("e.User", Topic { id: TopicId(3), partitions, max_record_bytes });
        Self {
            tables: Tables::new(outboxes, crate::binlog::columns::Present::default()),
            mapper,
            records: Records::default(),
        }
    }

    fn map(&mut self, rows: &OutboxRows) -> Result<(), MapError> {
        let (mapper, records) = (&mut self.mapper, &mut self.records);
        self.tables.for_each_row(rows, |row| mapper.map(&row, 7_000_000, records))
    }
}

fn row(id: &'static str) -> [Option<&'static str>; 5] {
    [Some(id), Some("User"), Some("10711fa5"), Some("Created"), Some("{}")]
}

fn headers(record: &Record<'_>) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    record.headers().map(|(name, value)| (name.to_str().unwrap().to_owned(), value.map(text))).collect()
}

fn header(name: &str, value: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(value.to_owned()))
}

#[test]
fn a_row_becomes_its_record() {
    let mut bench = Bench::new(outbox(true, &[("eventType", "type")]), 1000);
    bench.map(&rows(&[row("a"), row("b")])).unwrap();
    let group = GroupPosition::File(at(900));
    bench.mapper.finish_transaction(&group, 0, &mut bench.records);
    let records: Vec<Record<'_>> = bench.records.iter().collect();
    assert_eq!(records.len(), 2);
    let first = &records[0];
    assert_eq!((first.topic, first.partition, first.timestamp_ms), (TopicId(3), 5, 7_000));
    assert_eq!((first.key, first.value), (Some(b"10711fa5".as_slice()), Some(b"{}".as_slice())));
    let source = |ordinal| header("outboxd-source", &format!("mysql-bin.000001:900#{ordinal}/2"));
    assert_eq!(headers(first), [header("id", "a"), header("eventType", "Created"), source(1)]);
    assert_eq!(headers(&records[1]), [header("id", "b"), header("eventType", "Created"), source(2)]);
}

#[test]
fn the_ordinal_counts_within_its_source_transaction() {
    let mut bench = Bench::new(outbox(true, &[]), 1000);
    bench.map(&rows(&[row("a")])).unwrap();
    bench.mapper.finish_transaction(&GroupPosition::File(at(100)), 0, &mut bench.records);
    bench.map(&rows(&[row("b")])).unwrap();
    bench.mapper.finish_transaction(&GroupPosition::File(at(200)), 1, &mut bench.records);
    let sources: Vec<_> = bench.records.iter().map(|record| headers(&record).pop().unwrap()).collect();
    let source = |end| header("outboxd-source", &format!("mysql-bin.000001:{end}#1/1"));
    assert_eq!(sources, [source(100), source(200)]);
}

#[test]
fn nulls_stay_nulls_and_empty_stays_empty() {
    let mut bench = Bench::new(outbox(false, &[("h", "type")]), 1000);
    bench
        .map(&rows(&[[None, Some("User"), None, None, None], [Some(""), Some("User"), Some(""), Some(""), Some("")]]))
        .unwrap();
    let records: Vec<Record<'_>> = bench.records.iter().collect();
    assert_eq!((records[0].key, records[0].value), (None, None));
    assert_eq!(headers(&records[0]), [("id".to_owned(), None), ("h".to_owned(), None)]);
    assert!((0..6).contains(&records[0].partition));
    assert_eq!((records[1].key, records[1].value), (Some(b"".as_slice()), Some(b"".as_slice())));
    assert_eq!(headers(&records[1]), [header("id", ""), header("h", "")]);
}

#[test]
fn an_unknown_topic_is_asked_for_and_an_illegal_one_refused() {
    let mut bench = Bench::new(outbox(false, &[]), 1000);
    let to = |aggregate_type| rows(&[[Some("a"), aggregate_type, Some("k"), None, None]]);
    assert!(matches!(bench.map(&to(Some("Order"))), Err(MapError::UnknownTopic(name)) if name == "e.Order"));
    for illegal in [Some("Ünï"), Some("a b"), Some("a/b"), None] {
        let Err(MapError::Row(refused)) = bench.map(&to(illegal)) else { panic!("{illegal:?} was mapped") };
        assert_eq!(refused.code(), Code::TopicName);
    }
    assert!(bench.records.is_empty());
}

#[test]
fn a_record_above_its_topics_limit_is_refused_whole() {
    let mut bench = Bench::new(outbox(false, &[]), 140);
    bench.map(&rows(&[[Some("a"), Some("User"), Some("k"), None, Some("0123456789")]])).unwrap();
    let (len, weight) = (bench.records.len(), bench.records.weight());
    let Err(MapError::Row(refused)) =
        bench.map(&rows(&[[Some("a"), Some("User"), Some("k"), None, Some("0123456789x")]]))
    else {
        panic!("mapped")
    };
    assert_eq!(refused.code(), Code::RecordTooLarge);
    assert!(refused.message().contains("140"), "{refused}");
    assert_eq!((bench.records.len(), bench.records.weight()), (len, weight));
}

#[test]
fn records_can_be_taken_back() {
    let mut bench = Bench::new(outbox(false, &[]), 1000);
    bench.map(&rows(&[row("a"), row("b"), row("c")])).unwrap();
    bench.records.truncate(1);
    bench.map(&rows(&[row("d")])).unwrap();
    let ids: Vec<_> = bench.records.iter().map(|record| headers(&record).remove(0)).collect();
    assert_eq!(ids, [header("id", "a"), header("id", "d")]);
}

#[test]
fn too_many_headers_are_refused_at_start() {
    let many: Vec<(String, String)> = (0..31).map(|n| (format!("h{n}"), "type".to_owned())).collect();
    let with = |source_header| {
        let mut outbox = outbox(source_header, &[]);
        outbox.headers.clone_from(&many);
        Mapper::new([outbox].into())
    };
    assert!(with(false).is_ok());
    assert_eq!(with(true).unwrap_err().code(), Code::ConfigInvalid);
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let mut bench = Bench::new(outbox(false, &[("h", "nope")]), 1000);
    let Err(MapError::Row(refused)) = bench.map(&rows(&[row("a")])) else { panic!("mapped") };
    assert_eq!(refused.code(), Code::ColumnMissing);
    assert!(refused.message().contains("\"nope\"") && refused.message().contains("aggregateid"), "{refused}");
}

/// The names of two columns have changed places: `ALTER TABLE … RENAME COLUMN`.
#[test]
fn columns_are_found_by_their_names_in_every_shape_of_a_table() {
    let mut bench = Bench::new(outbox(false, &[]), 1000);
    bench.map(&rows(&[row("a")])).unwrap();
    let mut renamed = rows(&[[Some("{1}"), Some("User"), Some("10711fa5"), Some("Created"), Some("b")]]);
    let mut table = (*renamed.table).clone();
    let [first, .., last] = &mut table.columns[..] else { panic!("five columns") };
    std::mem::swap(&mut first.name, &mut last.name);
    renamed.table = Arc::new(table);
    bench.map(&renamed).unwrap();
    let second = bench.records.iter().nth(1).unwrap();
    assert_eq!(second.value, Some(b"{1}".as_slice()));
    assert_eq!(headers(&second), [header("id", "b")]);
}

#[test]
fn a_column_that_was_not_logged_is_refused_and_not_taken_for_null() {
    let mut bench = Bench::new(outbox(false, &[]), 1000);
    // Of five columns four are present, and none of them is NULL.
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5, 0b0_1111, 0];
    for cell in ["a", "User", "k", "Created"] {
        body.push(u8::try_from(cell.len()).unwrap());
        body.extend_from_slice(cell.as_bytes());
    }
    let partial = OutboxRows { event: read(&raw(30, 0, &body, 0)), ..rows(&[]) };
    let Err(MapError::Row(refused)) = bench.map(&partial) else { panic!("mapped") };
    assert_eq!(refused.code(), Code::ColumnAbsent);
    assert!(refused.message().contains("\"payload\""), "{refused}");
}
