//! MySQL may crash, end the dump, or drop the connection inside a transaction: nothing is lost, repeated or torn.

use testbed::{Mysql, MysqlOptions, shared, wait};

use crate::support::proxy::Proxy;
use crate::support::workload::{self, COLUMNS, Workload};
use crate::support::{Instance, PATIENCE, verdict};

const DUMPS: &str = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";

#[test]
fn a_crashed_source_and_killed_dumps_cost_no_row() {
    let kafka = &shared().unwrap().kafka;
    let mut mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut instance = Instance::new("source_loss", mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, "source_loss", workload::seed("source_loss"));
    let mut relay = instance.stream();
    let go_on = || writers.drive(&instance, 50, PATIENCE);
    for _ in 0..3 {
        go_on();
        mysql.kill9().unwrap();
        mysql.restart().unwrap();
        go_on();
        let dumps = mysql.sql(DUMPS).unwrap();
        assert!(!dumps.is_empty());
        for dump in dumps.lines() {
            // A dump of the connection before may have ended by itself.
            let _ = mysql.sql(&format!("KILL {dump}"));
        }
    }
    go_on();
    writers.finish();
    assert_eq!(relay.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instance);
}

#[test]
fn a_connection_cut_inside_a_transaction_by_gtid_tears_nothing() {
    cut_everywhere("cut_gtid", true, 1);
}

#[test]
fn a_connection_cut_inside_a_transaction_by_file_and_position_tears_nothing() {
    cut_everywhere("cut_file", false, 4);
}

/// A group of 21 events: GTID, BEGIN, nine inserts of two events each, the commit.
fn long_group(mysql: &Mysql, schema: &str, number: u32) {
    let insert = |row: u32| {
        let table = workload::OUTBOXES[row as usize % 2];
        let values = format!("('g{number}-{row}', 'Order', 'g{row}', 'Happened', '{{}}')");
        format!("INSERT INTO `{schema}`.{table} {COLUMNS} VALUES {values};")
    };
    let inserts: String = (0..9).map(insert).collect();
    mysql.sql(&format!("BEGIN; {inserts} COMMIT")).unwrap();
}

/// Cuts in the middle of each `step`th event of a group; then changes a byte, and ends the stream by EOF.
fn cut_everywhere(name: &str, gtid: bool, step: usize) {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() }).unwrap();
    let proxy = Proxy::start(mysql.port());
    let mut instance = Instance::new(name, proxy.port, &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, name, workload::seed(name));
    let mut relay = instance.stream();
    let mut groups = 0;
    let mut harmed = |harm: &dyn Fn(&Proxy)| {
        // A run without progress would make the next one wait longer.
        writers.drive(&instance, 0, PATIENCE);
        let cuts = proxy.cuts();
        harm(&proxy);
        groups += 1;
        long_group(&mysql, name, groups);
        wait::until(PATIENCE, "the harm is done", || proxy.cuts() > cuts).unwrap();
    };
    for events in (0..=20).step_by(step) {
        harmed(&|proxy| proxy.cut_after(events));
    }
    harmed(&Proxy::flip);
    relay.wait_for("the changed byte is noticed", PATIENCE, |line| line.contains("OBX-2301")).unwrap();
    harmed(&Proxy::end_stream);
    relay.wait_for("the end is noticed", PATIENCE, |line| line.contains("the server ended the binlog stream")).unwrap();
    writers.finish();
    assert_eq!(relay.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instance);
}
