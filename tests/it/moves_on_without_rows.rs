//! While only other tables change, the checkpoint follows the log, so that logs may be purged and a restart still finds
//! its place.

use testbed::{Mysql, MysqlOptions, shared, wait};

use crate::support::ending::end;
use crate::support::workload::{self, Workload};
use crate::support::{Instance, Outbox, PATIENCE, verdict};

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
    let writers = Workload::start(&mysql, name, workload::seed(name));
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

#[test]
fn on_mariadb_the_checkpoint_follows_changes_of_other_tables_in_both_modes() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    for positions in ["gtid", "file"] {
        let name = format!("no_rows_maria_{positions}");
        let mut outbox = Outbox::new(&name, &mariadb, &shared().unwrap().kafka);
        outbox.extra = format!("source.positions = \"{positions}\"\n");
        let mut relay = outbox.stream();
        outbox.insert("a", "Order", "1", "{}");
        outbox.wait_delivered(1);
        mariadb
            .sql(&format!("USE {name}; CREATE TABLE other (n INT); INSERT INTO other VALUES (1); FLUSH BINARY LOGS"))
            .unwrap();
        let (newest, executed) = (mariadb.log_end().unwrap().0, mariadb.sql("SELECT @@gtid_binlog_pos").unwrap());
        wait::until(PATIENCE, "the checkpoint follows", || {
            let checkpoint = &outbox.status()["checkpoint"];
            let reached = if positions == "gtid" { &checkpoint["executed"] } else { &checkpoint["file"] };
            reached == executed.trim() || reached == newest.as_str()
        })
        .unwrap();
        relay.kill9().unwrap();
        // A MariaDB keeps a log as long as it thinks that somebody is reading it.
        wait::until(PATIENCE, "the older logs are purged", || {
            mariadb.sql(&format!("PURGE BINARY LOGS TO '{newest}'")).unwrap();
            mariadb.sql("SHOW BINARY LOGS").unwrap().lines().count() == 1
        })
        .unwrap();
        outbox.insert("b", "Order", "1", "{}");
        let relay = outbox.stream();
        outbox.wait_delivered(1);
        end(relay);
        assert_eq!(outbox.sorted_ids(), ["a", "b"]);
    }
}
