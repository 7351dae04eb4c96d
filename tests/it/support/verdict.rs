//! The oracle's judgement of a workload.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use testbed::oracle::truth::{self, Table};
use testbed::oracle::{Rules, Verdict, judge};
use testbed::{Isolation, Kafka, Mysql, Observed, Observer, wait};

use super::workload::{OUTBOXES, TYPES};
use super::{Instance, PATIENCE};

/// Waits until the checkpoint stands at the end of the log. A last row sees to it that there is something to deliver:
/// checkpoints over nothing but other tables are rare.
pub(crate) fn wait_caught_up(mysql: &Mysql, instance: &Instance) {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let (name, last) = (&instance.name, LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    mysql
        .sql(&format!("INSERT INTO `{name}`.outbox VALUES ('last-{last}', 'Order', 'last', 'Happened', '{{}}')"))
        .unwrap();
    let status = mysql.sql("SHOW BINARY LOG STATUS").unwrap();
    let end: Vec<&str> = status.trim_end().split('\t').collect();
    wait::until(PATIENCE, "the checkpoint is at the end of the log", || {
        let (file, offset) = checkpoint(instance);
        (file.as_str(), offset.as_str()) == (end[0], end[1])
    })
    .unwrap();
}

/// File and offset of the newest checkpoint.
fn checkpoint(instance: &Instance) -> (String, String) {
    let checkpoint = &instance.status()["checkpoint"];
    (checkpoint["file"].as_str().unwrap_or_default().to_owned(), checkpoint["offset"].to_string())
}

/// What a `read_committed` consumer sees of the workload's topics.
pub(crate) fn observe(kafka: &Kafka, instance: &Instance) -> Vec<Observed> {
    let topics = TYPES.map(|kind| instance.topic(kind));
    Observer::read_all(kafka, &topics.each_ref().map(String::as_str), Isolation::ReadCommitted).unwrap()
}

/// Compares the log with what was seen. The server must be this test's own, and its writers at rest.
pub(crate) fn verdict(mysql: &Mysql, instance: &Instance, seen: &[Observed]) -> Verdict {
    let tables = OUTBOXES.map(|table| Table::usual(&instance.name, table));
    let rows = truth::read(mysql.mysqlbinlog_v().unwrap(), &tables).unwrap();
    let partitions: BTreeMap<String, u32> = TYPES.iter().map(|kind| (instance.topic(kind), 3)).collect();
    let rules = Rules { topic_prefix: format!("{}.", instance.name), partitions, ..Rules::default() };
    let verdict = judge(&rows, seen, &rules);
    println!("{verdict}");
    verdict
}

/// Writers at rest, relay running: everything arrived exactly once.
pub(crate) fn assert_exactly_once(mysql: &Mysql, kafka: &Kafka, instance: &Instance) {
    wait_caught_up(mysql, instance);
    let verdict = verdict(mysql, instance, &observe(kafka, instance));
    assert!(verdict.is_clean() && verdict.committed > 0, "{verdict}");
}

/// The records without later copies of the same row, and how many copies there were.
pub(crate) fn without_duplicates(seen: Vec<Observed>) -> (Vec<Observed>, usize) {
    let all = seen.len();
    let mut known = HashSet::new();
    let once: Vec<Observed> =
        seen.into_iter().filter(|record| known.insert(record.header("id").map(str::to_owned))).collect();
    let copies = all - once.len();
    (once, copies)
}

/// A number in the status.
pub(crate) fn number(status: &Value, path: &str) -> u64 {
    status.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}
