//! A drop-in replacement: for the same rows, the records that a real Debezium outbox wrote with default options, byte for
//! byte. `tests/golden` holds them; each file tells its DDL, its statements, and the records.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::ending::{Stopped, end, stopped};
use crate::support::{Outbox, reader};
use testbed::{Daemon, Kafka, Mysql, MysqlOptions, Observed, shared};

/// Cases in which Debezium's task fails, or in which we stop where Debezium goes on: the code, and why.
const ENDS: [(&str, &str, &str); 6] = [
    ("004", "OBX-3006", "Debezium's task fails as well"),
    ("005", "OBX-3006", "Debezium's task fails as well"),
    ("023", "OBX-3006", "Debezium's task fails as well"),
    ("029", "OBX-3006", "Debezium's task fails as well"),
    ("380", "OBX-3006", "Debezium's task fails as well: the row has no aggregate type"),
    ("333", "OBX-2304", "Debezium loses a row that was logged as a statement, with a warning"),
];

/// Cases in which we write fewer records: the indexes of those that we write, and why.
const FEWER: [(&str, &[usize], &str); 2] = [
    ("318", &[0, 2], "a changed primary key is an update, not a delete and a new event"),
    ("333", &[], "stopped before"),
];

struct Case {
    number: String,
    database: String,
    file: Value,
}

/// A record without what may differ: partition of a null key, offset, and a time that is the clock's.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    topic: String,
    partition: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let case = |file: Value| Case { number: text(&file["case"]), database: text(&file["database"]), file };
    paths.iter().map(|path| case(read(path))).collect()
}

impl Case {
    /// Stands before its topics. One case has the longest topic name that is legal: nothing can stand before it.
    fn prefix(&self) -> String {
        if self.number == "029" { String::new() } else { format!("{}.", self.database) }
    }

    fn statements(&self, key: &str) -> String {
        let list = self.file[key].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|statement| format!("{};\n", statement.as_str().unwrap())).collect()
    }

    fn create(&self, mysql: &Mysql) {
        let (name, session, ddl) = (&self.database, self.statements("ddl_session"), self.statements("ddl"));
        mysql.sql(&format!("CREATE DATABASE {name}; USE {name};\n{session}{ddl}")).unwrap();
    }

    fn insert(&self, mysql: &Mysql) {
        let (name, session, insert) = (&self.database, self.statements("session"), self.statements("insert"));
        mysql.sql(&format!("USE {name};\n{session}{insert}")).unwrap();
    }

    fn ending(&self) -> Option<&'static str> {
        ENDS.iter().find(|(number, ..)| *number == self.number).map(|(_, code, _)| *code)
    }

    fn config(&self) -> String {
        let (name, prefix) = (&self.database, self.prefix());
        format!(
            "[outbox.{name}]\ntable = \"{name}.outbox\"\ntopic = \"{prefix}outbox.event.{{aggregate_type}}\"\n\
             source_header = false\non_update = \"warn\"\n{}",
            self.options()
        )
    }

    /// The options of Debezium that the case sets, as ours.
    fn options(&self) -> String {
        let mut options = String::new();
        for (option, value) in self.file["debezium"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            match option.strip_prefix("transforms.outbox.table.").unwrap() {
                "field.event.timestamp" => options.push_str(&format!("timestamp = \"{value}\"\n")),
                "fields.additional.placement" => {
                    for placement in value.split(',') {
                        let column = placement.strip_suffix(":header").unwrap();
                        options.push_str(&format!("headers.{column} = \"{column}\"\n"));
                    }
                }
                other => panic!("case {}: {other}", self.number),
            }
        }
        options
    }

    fn expected(&self) -> Vec<Written> {
        let all = self.file["records"].as_array().unwrap();
        let fewer = FEWER.iter().find(|(number, ..)| *number == self.number);
        let ours: Vec<&Value> = match fewer {
            Some((_, indexes, _)) => indexes.iter().map(|index| &all[*index]).collect(),
            None => all.iter().collect(),
        };
        sorted(ours.into_iter().map(written_by_debezium).collect())
    }

    fn actual(&self, kafka: &Kafka) -> Vec<Written> {
        let prefix = self.prefix();
        let topics = if prefix.is_empty() { "outbox.event.x" } else { &prefix };
        let records = reader::read(kafka, topics);
        sorted(records.into_iter().map(|record| written_by_us(record, prefix.len())).collect())
    }
}

fn written_by_debezium(record: &Value) -> Written {
    let bytes = |value: &Value| value.as_str().map(|text| STANDARD.decode(text).unwrap());
    let header = |header: &Value| (header[0].as_str().unwrap().to_owned(), bytes(&header[1]));
    Written {
        topic: record["topic"].as_str().unwrap().to_owned(),
        partition: record["partition"].as_i64(),
        key: bytes(&record["key_b64"]),
        value: bytes(&record["value_b64"]),
        headers: record["headers"].as_array().unwrap().iter().map(header).collect(),
    }
}

fn written_by_us(record: Observed, prefix: usize) -> Written {
    Written {
        topic: record.topic[prefix..].to_owned(),
        partition: record.key.as_ref().map(|_| i64::from(record.partition)),
        key: record.key,
        value: record.value,
        headers: record.headers,
    }
}

/// By topic and partition; the order within a partition stays.
fn sorted(mut records: Vec<Written>) -> Vec<Written> {
    records.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    records
}

fn start(outbox: &Outbox<'_>) -> Daemon {
    let relay = outbox.start_with(&["--set", "kafka.partitions=6"]);
    outbox.wait_ready();
    relay
}

/// A relay for one case that ends it.
fn run_to_the_end<'a>(case: &Case, mysql: &'a Mysql, kafka: &'a Kafka) -> Stopped {
    let mut outbox = Outbox::new(&format!("golden{}", case.number), mysql, kafka);
    outbox.extra = case.config();
    let relay = start(&outbox);
    case.insert(mysql);
    stopped(relay)
}

#[test]
fn the_records_of_each_golden_case_are_debeziums_byte_for_byte() {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let cases = cases();
    cases.iter().for_each(|case| case.create(&mysql));
    let (ending, going): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.ending().is_some());
    assert!(going.len() > 40 && ending.len() == ENDS.len());

    let mut outbox = Outbox::new("golden", &mysql, kafka);
    outbox.extra = going.iter().map(|case| case.config()).collect();
    let relay = start(&outbox);
    going.iter().for_each(|case| case.insert(&mysql));
    outbox.wait_delivered(going.iter().map(|case| case.expected().len() as u64).sum());
    end(relay);

    let mut differences = BTreeMap::new();
    // In their order: the last one's statement would stop every relay that still reads.
    for (number, code, _) in ENDS {
        let case = ending.iter().find(|case| case.number == number).unwrap();
        let end = run_to_the_end(case, &mysql, kafka);
        if !end.line.contains(code) {
            differences.insert(number.to_owned(), end.line);
        }
    }
    for case in &cases {
        let (ours, theirs) = (case.actual(kafka), case.expected());
        if let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
            differences.insert(case.number.clone(), format!("ours   {}\ntheirs {}", show(ours), show(theirs)));
        } else if ours.len() != theirs.len() {
            differences.insert(case.number.clone(), format!("{} records, theirs {}", ours.len(), theirs.len()));
        }
    }
    let report: Vec<String> = differences.iter().map(|(case, what)| format!("case {case}:\n{what}")).collect();
    assert!(differences.is_empty(), "{}", report.join("\n"));
}

fn show(record: &Written) -> String {
    let text =
        |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| bytes[..bytes.len().min(300)].escape_ascii().to_string());
    let Written { topic, partition, key, value, headers } = record;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name, text(value))).collect();
    format!("{topic} {partition:?} {:?} {:?} {headers:?}", text(key), text(value))
}
