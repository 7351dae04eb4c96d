//! The oracle's judgement of a workload.

#[cfg(feature = "failpoints")]
use std::collections::HashSet;

use serde_json::Value;
use testbed::oracle::truth::{self, Row, Table};
use testbed::oracle::{Checkpoints, Rules, Verdict, judge};
use testbed::{Isolation, Kafka, Mysql, Observed, Observer, Product, wait};

use super::workload::{OUTBOXES, TYPES};
use super::{Instance, Outbox, PATIENCE, proof, workload};

/// Waits until the checkpoint stands at the end of the log. A last row sees to it that there is something to deliver:
/// checkpoints over nothing but other tables are rare.
pub(crate) fn wait_caught_up(mysql: &Mysql, instance: &Instance) {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let reached = || {
        let last = format!("last-{}", LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        mysql.sql(&Outbox::row(&instance.name, &last, "Order", "last", "{}")).unwrap();
        let end = mysql.log_end().unwrap();
        // A MariaDB may write a checkpoint of its own behind the row, when it is done with an older log.
        let wait = if mysql.product() == Product::Mariadb { PATIENCE / 10 } else { PATIENCE };
        wait::until(wait, "the checkpoint is at the end of the log", || checkpoint(instance) == end)
    };
    (0..10).find_map(|_| reached().ok()).expect("the checkpoint is at the end of the log");
}

/// File and offset of the newest checkpoint.
fn checkpoint(instance: &Instance) -> (String, String) {
    let checkpoint = &instance.status()["checkpoint"];
    (checkpoint["file"].as_str().unwrap_or_default().to_owned(), checkpoint["offset"].to_string())
}

/// Where relays keep their checkpoints.
pub(crate) const CHECKPOINTS: &str = "outboxd.checkpoints";

/// What a `read_committed` consumer sees of the workload's topics.
pub(crate) fn observe(kafka: &Kafka, instance: &Instance) -> Vec<Observed> {
    read(kafka, instance, Isolation::ReadCommitted)
}

fn read(kafka: &Kafka, instance: &Instance, isolation: Isolation) -> Vec<Observed> {
    let topics = TYPES.map(|kind| instance.topic(kind));
    Observer::read_all(kafka, &topics.each_ref().map(String::as_str), isolation).unwrap()
}

/// What the oracle knows of a workload: the server must be this test's own, and its writers at rest.
pub(crate) struct Case<'a> {
    kafka: &'a Kafka,
    instance: &'a Instance,
    rows: Vec<Row>,
    rules: Rules,
    /// Whether what was visible at each last stable offset is judged, too; always in a full proof.
    pub(crate) every_stable_offset: bool,
}

impl<'a> Case<'a> {
    /// Reads the log and compares it with the tables.
    pub(crate) fn new(mysql: &Mysql, kafka: &'a Kafka, instance: &'a Instance) -> Self {
        let tables = OUTBOXES.map(|table| Table::usual(&instance.name, table));
        let rows = truth::read(mysql.mysqlbinlog_v().unwrap(), &tables).unwrap();
        for table in &tables {
            truth::cross_check(mysql, table, "id", &rows).unwrap();
        }
        let rules = Rules {
            topic_prefix: format!("{}.", instance.name),
            partitions: TYPES.iter().map(|kind| (instance.topic(kind), 3)).collect(),
            event_type_header: Some("eventType".to_owned()),
            ..Rules::default()
        };
        Self { kafka, instance, rows, rules, every_stable_offset: proof::is_full() }
    }

    /// Judges records and every checkpoint.
    pub(crate) fn judge(&self, seen: &[Observed]) -> (Verdict, Checkpoints) {
        seen.iter().for_each(assert_writer_made_it);
        let mut verdict = judge(&self.rows, seen, &self.rules);
        let records = Observer::read_all(self.kafka, &[CHECKPOINTS], Isolation::ReadCommitted).unwrap();
        let checkpoints = verdict.add_checkpoints(&self.rows, &records, &self.instance.name);
        (verdict, checkpoints)
    }

    /// Costs a Java machine for each topic.
    fn look_at_stable_offsets(&self, verdict: &mut Verdict, seen: &[Observed], checkpoints: &Checkpoints) {
        if !self.every_stable_offset {
            return;
        }
        for topic in TYPES.map(|kind| self.instance.topic(kind)) {
            let stable = self.kafka.stable_offsets(&topic).unwrap();
            verdict.add_stable(&self.rows, seen, checkpoints, (&topic, &stable), &self.rules);
        }
    }

    /// Judges records that may be repeated; the number of repetitions.
    #[cfg(feature = "failpoints")]
    pub(crate) fn assert_at_least_once(&self) -> usize {
        let (once, copies) = without_duplicates(observe(self.kafka, self.instance));
        let (verdict, _) = self.judge(&once);
        println!("{}, brokers: {}\n{verdict}", self.instance.name, self.kafka.brokers());
        assert!(verdict.is_clean() && verdict.committed > 0, "{verdict}");
        copies
    }

    /// The same, and what the running relay has counted: nothing may be wrong.
    pub(crate) fn assert_exactly_once(&self) -> Verdict {
        let seen = observe(self.kafka, self.instance);
        let (mut verdict, checkpoints) = self.judge(&seen);
        if let Some((_, metrics)) = self.instance.get("/metrics") {
            let owner = checkpoints.newest_owner.as_ref().unwrap();
            verdict.add_metrics(&self.rows, checkpoints.began_at[owner], &metrics, &self.rules).unwrap();
        }
        self.look_at_stable_offsets(&mut verdict, &seen, &checkpoints);
        let name = &self.instance.name;
        if proof::is_full() {
            let all = read(self.kafka, self.instance, Isolation::ReadUncommitted);
            // A reader that gave up has seen less than there is, which the verdict says.
            println!("{name}: {} aborted records", all.len().saturating_sub(seen.len()));
        }
        println!("{name}, brokers: {}\n{verdict}", self.kafka.brokers());
        assert!(verdict.is_clean() && verdict.committed > 0, "{verdict}");
        verdict
    }
}

/// A writer's record holds what the writer made, whatever the log says; one of a rolled-back row never shows.
fn assert_writer_made_it(record: &Observed) {
    let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap();
    if let (Some(text), Some(sum)) = (value["text"].as_str(), value["sum"].as_u64()) {
        assert_eq!(u64::from(workload::checksum(text)), sum, "{record:?}");
    }
    let never = ["rolled-back", "dropped", "failed"];
    assert!(!never.contains(&value["kind"].as_str().unwrap_or_default()), "{record:?}");
}

/// Writers at rest, relay running: everything arrived exactly once.
pub(crate) fn assert_exactly_once(mysql: &Mysql, kafka: &Kafka, instance: &Instance) {
    wait_caught_up(mysql, instance);
    let _ = Case::new(mysql, kafka, instance).assert_exactly_once();
}

/// The records without later copies of the same row, and how many copies there were.
#[cfg(feature = "failpoints")]
fn without_duplicates(seen: Vec<Observed>) -> (Vec<Observed>, usize) {
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
