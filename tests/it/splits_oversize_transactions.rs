//! With `batch.oversize = "split"` a source transaction above `batch.max_stream_bytes` travels in several Kafka
//! transactions: exactly once and in order, whatever happens between them, and never another one in its place.
#![cfg(feature = "failpoints")]

use serde_json::Value;
use testbed::oracle::{Rules, judge, truth};
use testbed::{Isolation, Mysql, MysqlOptions, Observer, shared};

use crate::follows_a_failover::{replicate, wait_replicated};
use crate::support::ending::{end, stopped};
use crate::support::large::{rows, run};
use crate::support::reader;
use crate::support::source::copy;
use crate::support::verdict::CHECKPOINTS;
use crate::support::{Instance, Outbox, PATIENCE};

/// Of the source transaction that is split: more than seven times the limit.
const ROWS: u64 = 7_000;

/// The pieces are of 1 MiB.
const LIMITS: &str = "batch.max_bytes = \"1MiB\"\nbatch.max_stream_bytes = \"1MiB\"\nbatch.oversize = \"split\"\n\
                      source.start = \"earliest\"\n";

fn outbox<'a>(name: &str, mysql: &'a Mysql) -> Outbox<'a> {
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    outbox.extra = LIMITS.into();
    outbox
}

/// How many records of a source transaction are published, by each checkpoint that ends within one.
fn pieces(instance: &Instance) -> Vec<u64> {
    let records = reader::read(&shared().unwrap().kafka, CHECKPOINTS);
    let ours = records.iter().filter(|record| record.key.as_deref() == Some(instance.name.as_bytes()));
    let values = ours.map(|record| serde_json::from_slice::<Value>(record.value.as_deref().unwrap()).unwrap());
    values.filter_map(|value| value.pointer("/begun/published")?.as_u64()).collect()
}

/// How many are published of the one that is under way.
fn published(instance: &Instance) -> u64 {
    pieces(instance).last().copied().unwrap_or(0)
}

/// A relay that dies at a place, behind at least one more piece and before the last one.
fn killed_at(instance: &Instance, place: &str) {
    let before = published(instance);
    let mut relay = instance.start_armed(&[], Some(&format!("{place}=kill")));
    let status = relay.wait_exit(PATIENCE).unwrap();
    assert!(!status.success(), "{place}: {status}: {:?}", relay.lines());
    let now = published(instance);
    assert!(before < now && now < ROWS, "{place}: {before}, then {now} records: {:?}", relay.lines());
    let said = relay.lines().iter().any(|line| line.contains("WARN") && line.contains("several Kafka transactions"));
    assert!(said, "{place}: {:?}", relay.lines());
}

/// Compares records and checkpoints with a naive reading of the log, and names the checkpoints within transactions.
fn judged(outbox: &Outbox<'_>, committed: u64) {
    let table = truth::Table::usual(&outbox.name, "outbox");
    let truth = truth::read(outbox.mysql.mysqlbinlog_v().unwrap(), &[table]).unwrap();
    let topic = outbox.topic("Order");
    let seen = Observer::read_all(outbox.kafka, &[&topic], Isolation::ReadCommitted).unwrap();
    let rules = Rules {
        topic_prefix: format!("{}.", outbox.name),
        event_type_header: Some("eventType".into()),
        partitions: [(topic, 3)].into(),
        ..Rules::default()
    };
    let mut verdict = judge(&truth, &seen, &rules);
    let checkpoints = Observer::read_all(outbox.kafka, &[CHECKPOINTS], Isolation::ReadCommitted).unwrap();
    let _ = verdict.add_checkpoints(&truth, &checkpoints, &outbox.name);
    assert!(verdict.is_clean() && verdict.committed as u64 == committed, "{verdict}");
}

/// A source transaction below the limit, one above it whose statements are `split`, and one behind it: over crashes when a
/// piece is committed, before the commit of one is asked for, and while one is sent.
fn exactly_once_over_crashes(name: &str, options: MysqlOptions, extra: &str, split: impl Fn(&str) -> String) {
    let mysql = Mysql::start(options).unwrap();
    let mut outbox = outbox(name, &mysql);
    outbox.extra += extra;
    let relay = outbox.stream();
    run(&mysql, name, "CREATE TABLE plain (n INT) ENGINE = MyISAM");
    run(&mysql, name, &rows("small", 800));
    outbox.wait_delivered(800);
    end(relay);
    assert!(pieces(&outbox).is_empty(), "nothing below the limit is split");

    run(&mysql, name, &split(&rows("a", ROWS / 2)));
    outbox.insert("after", "Order", "1", "{}");
    killed_at(&outbox, "commit_ok:2");
    // The first one is that of the take-over.
    killed_at(&outbox, "endtxn_before_send:3");
    // A third piece begins when the first one is committed.
    killed_at(&outbox, "checkpoint_produced:3");
    let before = published(&outbox);
    let relay = outbox.start();
    outbox.wait_delivered(ROWS - before + 1);
    let (_, metrics) = outbox.get("/metrics").unwrap();
    let counted =
        metrics.lines().find_map(|line| line.strip_prefix(&format!("outboxd_kafka_split_total{{relay=\"{name}\"}} ")));
    assert!(counted.is_some_and(|count| count != "0"), "{metrics}");
    end(relay);
    judged(&outbox, ROWS + 801);
}

fn two_halves(half: &str) -> String {
    format!("BEGIN; {half}; {}; COMMIT", rows("b", ROWS / 2))
}

#[test]
fn a_split_transaction_is_published_once_by_gtid() {
    exactly_once_over_crashes("split_gtid", MysqlOptions::default(), "", two_halves);
}

#[test]
fn a_split_transaction_is_published_once_by_file_without_what_was_rolled_back_in_it() {
    let split = |half: &str| {
        let (gone, last, plain) = (rows("gone", 1_500), rows("b", ROWS / 2), "INSERT INTO plain VALUES (1)");
        format!("BEGIN; {half}; SAVEPOINT s; {gone}; {plain}; ROLLBACK TO s; {last}; COMMIT")
    };
    let options = MysqlOptions { gtid: false, ..MysqlOptions::default() };
    exactly_once_over_crashes("split_file", options, "", split);
}

#[test]
fn a_split_transaction_is_published_once_from_a_mariadb() {
    exactly_once_over_crashes("split_maria", MysqlOptions::mariadb(), "source.positions = \"gtid\"\n", two_halves);
}

/// The server is one that has never had the transaction, of which a piece is published; then it has another one instead.
#[test]
fn another_transaction_in_place_of_a_split_one_is_refused() {
    let name = "split_replaced";
    let mut mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let outbox = outbox(name, &mysql);
    let relay = outbox.stream();
    outbox.insert("before", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    let mut instance = outbox.into_instance();
    mysql.stop().unwrap();
    let (data, backup) = (mysql.data_dir(), tempfile::tempdir().unwrap());
    copy(&data, &backup.path().join("data"));
    mysql.restart().unwrap();
    run(&mysql, name, &rows("a", 3_500));
    killed_at(&instance, "commit_ok:1");

    let records = || reader::read(&shared().unwrap().kafka, &format!("{name}.")).len();
    let before = records();
    let usual = instance.extra.clone();
    instance.extra += "outbox.main.on_update = \"emit\"\n";
    stopped(instance.start()).because("OBX-2307", 78, &["records published"], "as they were");
    instance.extra = usual;
    mysql.stop().unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup.path().join("data"), &data);
    mysql.restart().unwrap();
    stopped(instance.start()).because("OBX-2202", 65, &["absent from this server"], "has them");
    run(&mysql, name, "INSERT INTO outbox VALUES ('other', 'Order', '1', 'Happened', '{}')");
    stopped(instance.start()).because("OBX-2201", 65, &["records published, found"], "--first-start");
    assert_eq!(records(), before);
}

/// A source transaction that is split, of which some pieces are published when its server dies: the replica's log holds it
/// elsewhere, under its GTID.
#[test]
fn what_is_missing_of_a_split_transaction_is_read_from_the_promoted_replica() {
    const NAME: &str = "failover_split";
    let primary = Mysql::start(MysqlOptions::default()).unwrap();
    let replica = Mysql::start(MysqlOptions { server_id: 2, ..MysqlOptions::default() }).unwrap();
    replicate(&replica, &primary);
    let kafka = &shared().unwrap().kafka;
    primary.sql(&format!("CREATE DATABASE {NAME}; {}", Outbox::table(NAME, "outbox"))).unwrap();
    let mut instance = Instance::new(NAME, primary.port(), &kafka.bootstrap());
    instance.more_sources = vec![replica.port()];
    instance.extra = LIMITS.into();
    let insert = |server: &Mysql, id: &str| server.sql(&Outbox::row(NAME, id, "Order", "1", "{}")).unwrap();
    let relay = instance.stream();
    insert(&primary, "before");
    instance.wait_delivered(1);
    end(relay);
    run(&primary, NAME, &rows("a", 5_000));
    let mut relay = instance.start_armed(&[], Some("commit_ok:3=kill"));
    assert!(!relay.wait_exit(PATIENCE).unwrap().success());
    let published = reader::read(kafka, &format!("{NAME}.")).len();
    assert!(1 < published && published < 5_001, "{published}");

    wait_replicated(&primary, &replica);
    drop(primary);
    replica.sql("STOP REPLICA; RESET REPLICA ALL").unwrap();
    let mut relay = instance.start();
    relay.wait_for_line("another server answers", PATIENCE).unwrap();
    instance.wait_delivered(5_001 - published as u64);
    insert(&replica, "after");
    instance.wait_delivered(5_002 - published as u64);
    end(relay);
    let table = truth::Table::usual(NAME, "outbox");
    let truth = truth::read(replica.mysqlbinlog_v().unwrap(), &[table]).unwrap();
    let topic = format!("{NAME}.Order");
    let seen = Observer::read_all(kafka, &[&topic], Isolation::ReadCommitted).unwrap();
    let verdict = judge(&truth, &seen, &Rules { topic_prefix: format!("{NAME}."), ..Rules::default() });
    assert!(verdict.is_clean() && verdict.committed == 5_002, "{verdict}");
}
