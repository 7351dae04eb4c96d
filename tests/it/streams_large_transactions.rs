//! A source transaction that does not fit into memory is carried all the same: in one Kafka transaction, exactly once, without
//! what was rolled back in it; or the relay says which limit it meets.
#![cfg(feature = "failpoints")]

use std::time::Duration;

use testbed::oracle::{Rules, judge, truth};
use testbed::{Isolation, Mysql, MysqlOptions, Observer, shared, wait};

use crate::support::crash::is_stopped;
use crate::support::ending::{end, stopped};
use crate::support::large::{self, rows};
use crate::support::{Outbox, PATIENCE};

/// Of a Kafka transaction that is to meet it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// An outbox, and a relay that holds no more than 1 MiB of it.
fn outbox<'a>(name: &str, mysql: &'a Mysql) -> Outbox<'a> {
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    outbox.extra = "batch.max_bytes = \"1MiB\"\nsource.start = \"earliest\"\n".into();
    outbox
}

fn run(outbox: &Outbox<'_>, statements: &str) {
    large::run(outbox.mysql, &outbox.name, statements);
}

/// Compares all that was published with a naive reading of `mysqlbinlog`'s text.
fn judged(outbox: &Outbox<'_>, committed: usize) {
    let table = truth::Table::usual(&outbox.name, "outbox");
    let truth = truth::read(outbox.mysql.mysqlbinlog_v().unwrap(), &[table]).unwrap();
    let seen = Observer::read_all(outbox.kafka, &[&outbox.topic("Order")], Isolation::ReadCommitted).unwrap();
    let rules = Rules { topic_prefix: format!("{}.", outbox.name), ..Rules::default() };
    let verdict = judge(&truth, &seen, &rules);
    assert!(verdict.is_clean() && verdict.committed == committed, "{verdict}");
}

/// Kills the relay while it streams, and lets the next one finish.
fn killed_and_finished(outbox: &Outbox<'_>, records: u64) {
    // The first one is that of the take-over; each of the others is a part.
    let mut relay = outbox.start_armed(&[], Some("flushed:6=kill"));
    let status = relay.wait_exit(PATIENCE).unwrap();
    assert!(!status.success(), "{status}: {:?}", relay.lines());
    assert!(relay.lines().iter().any(|line| line.contains("is read again")), "{:?}", relay.lines());
    let relay = outbox.start();
    outbox.wait_delivered(records);
    end(relay);
}

#[test]
fn a_large_transaction_is_carried_without_what_was_rolled_back_in_it_over_a_crash() {
    // With GTIDs no rollback is logged: a server refuses to change tables without transactions inside a transaction.
    let mysql = Mysql::start(MysqlOptions { gtid: false, ..MysqlOptions::default() }).unwrap();
    let outbox = outbox("large_file", &mysql);
    let relay = outbox.stream();
    run(&outbox, "CREATE TABLE plain (n INT) ENGINE = MyISAM");
    outbox.insert("before", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    let (first, gone, last, all_gone) = (rows("a", 1500), rows("gone", 2000), rows("b", 1500), rows("no", 2000));
    let plain = "INSERT INTO plain VALUES (1)";
    run(&outbox, &format!("BEGIN; {first}; SAVEPOINT s; {gone}; {plain}; ROLLBACK TO s; {last}; COMMIT"));
    run(&outbox, &format!("BEGIN; {all_gone}; {plain}; ROLLBACK"));
    outbox.insert("after", "Order", "1", "{}");
    killed_and_finished(&outbox, 3001);
    judged(&outbox, 3002);
}

#[test]
fn a_large_transaction_by_gtid_stops_at_each_limit_and_is_carried_above_it() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut outbox = outbox("large_gtid", &mysql);
    let relay = outbox.stream();
    outbox.insert("before", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    run(&outbox, &rows("a", 6_000));
    outbox.insert("after", "Order", "1", "{}");
    let usual = outbox.extra.clone();

    outbox.extra = format!("{usual}batch.max_stream_bytes = \"3MiB\"\n");
    let words = ["bytes of outbox rows in one source transaction, at most 3145728"];
    stopped(outbox.start()).because("OBX-2306", 65, &words, "`batch.max_stream_bytes`");
    outbox.extra = format!("{usual}kafka.librdkafka.\"transaction.timeout.ms\" = {}\n", TIMEOUT.as_millis());
    let mut relay = outbox.start_armed(&[], Some("flushed:6=stop"));
    wait::until(PATIENCE, "the relay stands still within it", || is_stopped(&relay)).unwrap();
    std::thread::sleep(TIMEOUT);
    relay.resume().unwrap();
    stopped(relay).because("OBX-4206", 78, &["the source transaction goes on"], "Raise `transaction.timeout.ms`");

    outbox.extra = usual;
    killed_and_finished(&outbox, 6_001);
    judged(&outbox, 6_002);
}

/// Prepares a distributed transaction of so many rows, in a session of its own.
fn prepare(outbox: &Outbox<'_>, xid: &str, count: u64) {
    run(outbox, &format!("XA START '{xid}'; {}; XA END '{xid}'; XA PREPARE '{xid}'", rows(xid, count)));
}

/// Its rows stand far before the group that commits them, and the checkpoint between the two.
fn large_distributed_transactions(name: &str, options: MysqlOptions, extra: &str) {
    let mysql = Mysql::start(options).unwrap();
    let mut outbox = outbox(name, &mysql);
    outbox.extra.push_str(extra);
    let relay = outbox.stream();
    prepare(&outbox, "a", 3_000);
    prepare(&outbox, "gone", 3_000);
    prepare(&outbox, "b", 2_000);
    outbox.insert("between", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);

    run(&outbox, "FLUSH BINARY LOGS; XA COMMIT 'b'; XA ROLLBACK 'gone'; XA COMMIT 'a'");
    outbox.insert("after", "Order", "1", "{}");
    killed_and_finished(&outbox, 5_001);
    let mut undecided = outbox.stream();
    prepare(&outbox, "c", 3_000);
    outbox.insert("last", "Order", "1", "{}");
    outbox.wait_delivered(1);
    undecided.kill9().unwrap();
    let relay = outbox.stream();
    run(&outbox, "XA COMMIT 'c'");
    outbox.wait_delivered(3_000);
    end(relay);
    judged(&outbox, 8_003);
}

#[test]
fn a_large_distributed_transaction_is_carried_over_a_crash() {
    let by_file = MysqlOptions { gtid: false, ..MysqlOptions::default() };
    large_distributed_transactions("large_xa_gtid", MysqlOptions::default(), "");
    large_distributed_transactions("large_xa_file", by_file, "");
    large_distributed_transactions("large_xa_maria", MysqlOptions::mariadb(), "");
}

/// It cannot be split: the proof of history ends between its rows and its commit.
#[test]
fn a_large_distributed_transaction_is_never_split() {
    let servers = shared().unwrap();
    let mut outbox = outbox("large_xa_split", &servers.mysql);
    let relay = outbox.stream();
    prepare(&outbox, "s", 4_000);
    outbox.insert("between", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    run(&outbox, "XA COMMIT 's'");

    let usual = outbox.extra.clone();
    outbox.extra = format!("{usual}batch.max_stream_bytes = \"3MiB\"\nbatch.oversize = \"split\"\n");
    let words = ["bytes of outbox rows in one distributed transaction, at most 3145728"];
    stopped(outbox.start()).because("OBX-2306", 65, &words, "`batch.max_stream_bytes`");
    outbox.extra = usual;
    let relay = outbox.start();
    outbox.wait_delivered(4_000);
    end(relay);
    judged(&outbox, 4_001);
}

#[test]
fn a_large_transaction_is_carried_at_least_once_too() {
    let servers = shared().unwrap();
    let mut outbox = outbox("large_at_least_once", &servers.mysql);
    outbox.extra.push_str("kafka.delivery = \"at-least-once\"\n");
    let relay = outbox.start();
    run(&outbox, &rows("a", 3_000));
    outbox.wait_delivered(3_000);
    end(relay);
    let records = outbox.records();
    let mut ordinals: Vec<u32> =
        records.iter().map(|record| ordinal(record.header("outboxd-source").unwrap())).collect();
    ordinals.sort_unstable();
    assert!(ordinals.into_iter().eq(1..=3_000));
}

/// Of `POSITION#ORDINAL/3000`.
fn ordinal(source: &str) -> u32 {
    source.rsplit_once('#').unwrap().1.strip_suffix("/3000").unwrap().parse().unwrap()
}
