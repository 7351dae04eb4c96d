//! While only other tables change, the checkpoint follows the log, so that logs may be purged and a restart still finds
//! its place.

use testbed::{Mysql, MysqlOptions, shared, wait};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

#[test]
fn the_checkpoint_follows_changes_of_other_tables_so_that_a_purge_does_no_harm_by_file_and_position() {
    quiet("no_rows_file", false);
}

#[test]
fn the_checkpoint_follows_changes_of_other_tables_so_that_a_purge_does_no_harm_by_gtid() {
    quiet("no_rows_gtid", true);
}

fn quiet(name: &str, gtid: bool) {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() }).unwrap();
    let mut instance = Instance::new(name, mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, name, workload::seed());
    let mut relay = instance.stream();
    writers.only_other(true);
    let position = || {
        let checkpoint = instance.status()["checkpoint"].clone();
        (checkpoint["file"].to_string(), checkpoint["offset"].as_u64().unwrap_or(0))
    };
    let before = position();
    wait::until(PATIENCE, "the checkpoint moves by itself", || {
        writers.grant();
        position() > before
    })
    .unwrap();
    let first = mysql.sql("SHOW BINARY LOG STATUS").unwrap();
    mysql.sql("FLUSH BINARY LOGS").unwrap();
    let second = mysql.sql("SHOW BINARY LOG STATUS").unwrap();
    let (first, second) = (first.split('\t').next().unwrap(), second.split('\t').next().unwrap());
    assert_ne!(first, second);
    wait::until(PATIENCE, "the checkpoint moves to the new log", || {
        writers.grant();
        position().0.contains(second)
    })
    .unwrap();
    relay.kill9().unwrap();
    mysql.sql(&format!("PURGE BINARY LOGS TO '{second}'")).unwrap();
    let _relay = instance.stream();
    writers.only_other(false);
    let delivered = instance.delivered();
    wait::until(PATIENCE, "the relay delivers", || {
        writers.grant();
        instance.delivered() > delivered + 50
    })
    .unwrap();
    writers.finish();
    verdict::assert_exactly_once(&mysql, kafka, &instance);
}
