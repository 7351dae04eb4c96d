//! What would keep a relay from working is named before anything is read: all of it at once, by the start and by
//! `outboxd doctor`, each with the way to mend it.

use std::process::Command;

use serde_json::Value;
use testbed::{Mysql, MysqlOptions, shared, wait};

use crate::support::ending::{end, stopped};
use crate::support::{BINARY, Instance, Outbox, PATIENCE};

/// The doctor's status and what it prints.
fn doctor(instance: &Instance, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(["doctor", "-c"]).arg(instance.config()).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The findings of one side as (level, check).
fn findings(report: &str, side: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(report).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    report[side].as_array().unwrap().iter().map(|f| (text(f, "level"), text(f, "check"))).collect()
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let mysql = Mysql::start(MysqlOptions::with([
        "--log-replica-updates=OFF",
        "--binlog-ignore-db=diagnosed",
        "--binlog-checksum=NONE",
        "--binlog-expire-logs-seconds=3600",
        "--binlog-row-image=MINIMAL",
        "--replica-preserve-commit-order=OFF",
    ]))
    .unwrap();
    let outbox = Outbox::new("diagnosed", &mysql, &shared().unwrap().kafka);
    mysql
        .sql(
            "ALTER TABLE diagnosed.outbox ENGINE=MyISAM, RENAME COLUMN payload TO body; \
             GRANT SELECT ON diagnosed.* TO outboxd; \
             CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1, SOURCE_USER='x', SOURCE_PASSWORD='x'; \
             CHANGE REPLICATION FILTER REPLICATE_DO_DB = (other)",
        )
        .unwrap();
    let words = [
        "log_replica_updates is OFF on a replica",
        "schema diagnosed is left out of the binary log",
        "binlog_row_image is MINIMAL (needed: FULL)",
        "diagnosed.outbox is left out by a replication filter",
        "diagnosed.outbox has ENGINE=MyISAM",
        "has no column payload (it has: id, aggregatetype, aggregateid, type, body)",
    ];
    stopped(outbox.start()).because("OBX-2101", 78, &words, "ALTER TABLE `diagnosed`.`outbox` ENGINE=InnoDB");

    let (status, text) = doctor(&outbox, &[]);
    assert_eq!(status, Some(78), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.contains("✗ log_replica_updates") && text.contains("[OBX-2101]"), "{text}");
    assert!(
        text.contains("! binlog_checksum") && text.contains("fix: SET PERSIST binlog_checksum = 'CRC32'"),
        "{text}"
    );
    assert!(text.contains("! binlog_expire_logs_seconds") && text.contains("! sync_binlog"), "{text}");
    assert!(text.contains("! replica_preserve_commit_order: replica_preserve_commit_order is OFF with 4"), "{text}");
    assert!(text.contains("✓ binlog_format: ROW"), "{text}");
}

#[test]
fn the_doctor_disturbs_nobody_and_sees_how_far_the_relay_is() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("doctor", &servers.mysql, &servers.kafka);
    servers.mysql.sql("GRANT SELECT ON doctor.* TO outboxd").unwrap();
    let (status, report) = doctor(&outbox, &["--json"]);
    assert_eq!(status, Some(0), "{report}");
    assert!(report.contains("none: the first start begins at source.start"), "{report}");

    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    let (status, report) = doctor(&outbox, &["--json"]);
    assert_eq!(status, Some(0), "{report}");
    let bad: Vec<_> = findings(&report, "mysql").into_iter().filter(|(level, _)| level != "good").collect();
    let expected =
        ["sync_binlog", "innodb_flush_log_at_trx_commit"].map(|check| ("warning".to_owned(), check.to_owned()));
    assert_eq!(bad, expected, "{report}");
    // One broker is not safe, and that is said of the checkpoint topic and of the output topic.
    let replication = ("warning".to_owned(), "replication".to_owned());
    assert_eq!(findings(&report, "kafka").iter().filter(|found| **found == replication).count(), 2, "{report}");
    assert!(report.contains("1 records so far") && report.contains("the server has what comes behind"), "{report}");
    assert!(outbox.is_ready());
    outbox.insert("b", "Order", "1", "{}");
    outbox.wait_delivered(2);
    assert!(!relay.lines().iter().any(|line| line.contains("the run ended")), "{:?}", relay.lines());
    end(relay);

    let (status, text) = doctor(&outbox, &["--set", "kafka.brokers=127.0.0.1:1"]);
    assert_eq!(status, Some(69), "{text}");
    assert!(text.contains("✗ brokers") && text.contains("✓ connection"), "{text}");
    let (status, text) = doctor(&outbox, &["--set", "source.password=wrong"]);
    assert_eq!(status, Some(77), "{text}");
    assert!(text.contains("✓ brokers") && text.contains("[OBX-2004]"), "{text}");
}

/// Without a look at who is connected, each of the two would end the other's stream for ever.
#[test]
fn a_server_id_that_another_relay_uses_is_found_before_the_stream() {
    let servers = shared().unwrap();
    let first = Outbox::new("same_id_first", &servers.mysql, &servers.kafka);
    let second = Outbox::new("same_id_second", &servers.mysql, &servers.kafka);
    let id = ["--set", "source.server_id=4711"];
    let relay = first.start_with(&id);
    first.wait_ready();
    stopped(second.start_with(&id)).because(
        "OBX-2007",
        78,
        &["source.server_id = 4711 is in use by another replica", "uuid"],
        "set source.server_id to a number that no replica has; in use now: 1,",
    );
    first.insert("a", "Order", "1", "{}");
    first.wait_delivered(1);
    assert!(!relay.lines().iter().any(|line| line.contains("the run ended")), "{:?}", relay.lines());
    // The same relay started again is nobody else, even if the server has not missed its killed connection yet.
    drop(relay);
    let relay = first.start_with(&id);
    first.wait_ready();
    assert!(!relay.lines().iter().any(|line| line.contains("OBX-2007")), "{:?}", relay.lines());
    end(relay);
}

/// A MariaDB does not say whose a connected replica is: the server ends the stream of one of the two, which gives up soon.
#[test]
fn a_server_id_that_two_relays_use_on_a_mariadb_ends_one_of_them() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let kafka = &shared().unwrap().kafka;
    let outboxes = ["same_id_maria_1", "same_id_maria_2"].map(|name| Outbox::new(name, &mariadb, kafka));
    let mut relays = outboxes.each_ref().map(|outbox| outbox.start_with(&["--set", "source.server_id=4711"]));
    let mut ended = None;
    wait::until(PATIENCE, "one of them to give up", || {
        ended = relays.iter_mut().position(|relay| relay.exited().unwrap().is_some());
        ended.is_some()
    })
    .unwrap();
    let [first, second] = relays;
    let (gone, (left, outbox)) = match ended {
        Some(0) => (first, (second, &outboxes[1])),
        _ => (second, (first, &outboxes[0])),
    };
    stopped(gone).because("OBX-2007", 78, &["the same server id"], "source.server_id");
    outbox.wait_ready();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(left);
}
