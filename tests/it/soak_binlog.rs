//! What takes gigabytes: `make soak-binlog`. Nothing of it is run by `make test`.

use std::time::Duration;

use crate::support::Outbox;
use crate::support::ending::end;
use testbed::{Mysql, MysqlOptions, shared, wait};

/// One transaction of 4.4 GB makes one file of that size: the header's position wraps inside it.
fn beyond_four_gibibytes(name: &str, gtid: bool) {
    let mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() }).unwrap();
    let outbox = Outbox::new(name, &mysql, &shared().unwrap().kafka);
    // A BLACKHOLE table fills the log and no data file.
    mysql.sql("SET GLOBAL max_allowed_packet = 128 * 1024 * 1024").unwrap();
    mysql.sql(&format!("CREATE TABLE {name}.big (b LONGBLOB) ENGINE = BLACKHOLE")).unwrap();
    let relay = outbox.stream();
    outbox.insert("before", "Order", "1", "{}");
    let giant = "INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70) \
                 SELECT REPEAT(CHAR(64 + i % 60), 64000000) FROM n";
    let row = |id: &str| format!("INSERT INTO outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')");
    mysql.sql(&format!("USE {name}; BEGIN; {}; {giant}; {}; COMMIT", row("first"), row("last"))).unwrap();
    // The giant is the last group when the relay ends: a dump by file position cannot begin at its terminator.
    wait::until(Duration::from_secs(600), "the giant is delivered", || outbox.delivered() == 3).unwrap();
    end(relay);
    let largest = mysql.sql("SHOW BINARY LOGS").unwrap();
    let largest = largest.lines().filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok()).max().unwrap();
    assert!(largest > 1 << 32, "the largest file has {largest} bytes");
    let relay = outbox.start();
    wait::until(Duration::from_secs(600), "the giant is read again", || outbox.is_ready()).unwrap();
    outbox.insert("after", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["after", "before", "first", "last"]);
    println!("{name}: a file of {largest} bytes");
}

#[test]
#[ignore = "writes 9 GB: make soak-binlog"]
fn a_file_beyond_four_gibibytes_is_read_and_resumed_by_gtid() {
    beyond_four_gibibytes("giant_gtid", true);
}

#[test]
#[ignore = "writes 9 GB: make soak-binlog"]
fn a_file_beyond_four_gibibytes_is_read_and_resumed_by_file_and_position() {
    beyond_four_gibibytes("giant_file", false);
}
