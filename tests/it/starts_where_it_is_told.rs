//! A first start begins where `source.start` says, in the middle of a log or behind a set with holes; from there on every
//! row is published once.

use testbed::{Daemon, Mysql, MysqlOptions, shared, wait};

use crate::support::ending::{self, end, stopped};
use crate::support::{Instance, Outbox, PATIENCE, reader};

/// A server whose log begins behind the row `gone` and holds `kept`.
fn server(options: MysqlOptions) -> Mysql {
    let mysql = Mysql::start(options).unwrap();
    mysql.sql(&format!("CREATE DATABASE starts; {}", Outbox::table("starts", "outbox"))).unwrap();
    insert(&mysql, "", "gone");
    mysql.sql("FLUSH BINARY LOGS").unwrap();
    let newest = mysql.log_end().unwrap().0;
    wait::until(PATIENCE, "the first log is purged", || {
        mysql.sql(&format!("PURGE BINARY LOGS TO '{newest}'")).unwrap();
        mysql.sql("SHOW BINARY LOGS").unwrap().lines().count() == 1
    })
    .unwrap();
    insert(&mysql, "", "kept");
    mysql
}

fn insert(mysql: &Mysql, session: &str, id: &str) {
    let row = format!("INSERT INTO starts.outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')");
    mysql.sql(&format!("{session} {row}")).unwrap();
}

/// A relay of its own for the one outbox.
fn relay(name: &str, mysql: &Mysql, positions: &str, start: &str) -> Instance {
    let mut relay = Instance::new(name, mysql.port(), &shared().unwrap().kafka.bootstrap());
    relay.extra = format!("source.positions = \"{positions}\"\nsource.start = \"{start}\"\n");
    relay
}

fn start(relay: &Instance) -> Daemon {
    relay.start_with(&["--set", "outbox.main.table=starts.outbox"])
}

/// Publishes so many rows, and none more.
fn publish(relay: &Instance, rows: u64, write: impl FnOnce()) {
    let daemon = start(relay);
    relay.wait_ready();
    write();
    relay.wait_delivered(rows);
    end(daemon);
}

fn published(relay: &Instance) -> Vec<String> {
    let records = reader::read(&shared().unwrap().kafka, &format!("{}.", relay.name));
    let mut ids: Vec<String> = ending::ids(&records).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn by_gtid_it_begins_behind_a_set_with_holes() {
    let mysql = server(MysqlOptions::default());
    const FOREIGN: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
    let numbered = |number: u32, id: &str| insert(&mysql, &format!("SET GTID_NEXT = '{FOREIGN}:{number}';"), id);
    let now = relay("starts_now", &mysql, "gtid", "now");
    publish(&now, 3, || {
        insert(&mysql, "", "n");
        numbered(100, "h1");
        numbered(50, "h2");
    });
    numbered(51, "h3");
    publish(&now, 1, || {});
    assert_eq!(published(&now), ["h1", "h2", "h3", "n"]);

    let earliest = relay("starts_earliest", &mysql, "gtid", "earliest");
    publish(&earliest, 5, || {});
    assert_eq!(published(&earliest), ["h1", "h2", "h3", "kept", "n"]);

    let set = mysql.sql(&format!("SELECT GTID_SUBTRACT(@@global.gtid_executed, '{FOREIGN}:50:100')")).unwrap();
    let set = set.trim().replace("\\n", "");
    let holes = relay("starts_holes", &mysql, "gtid", &format!("gtid:{set}"));
    publish(&holes, 2, || {});
    assert_eq!(published(&holes), ["h1", "h2"]);

    let refused = |start: &str, code: &str, words: &str| {
        let relay = relay("starts_refused", &mysql, "gtid", start);
        let line = stopped(self::start(&relay)).line;
        assert!(line.contains(code) && line.contains(words), "{line}");
    };
    refused(&format!("gtid:{set},{FOREIGN}:1-200"), "OBX-2202", "absent from this server");
    refused(&format!("gtid:{FOREIGN}:50"), "OBX-2203", "needed and purged");
}

#[test]
fn on_mariadb_it_begins_by_gtid_and_by_file() {
    let mariadb = server(MysqlOptions::mariadb());
    let now = relay("starts_maria_now", &mariadb, "gtid", "now");
    publish(&now, 1, || insert(&mariadb, "", "n1"));
    let ((file, offset), gtid) = (mariadb.log_end().unwrap(), mariadb.sql("SELECT @@gtid_binlog_pos").unwrap());
    insert(&mariadb, "", "n2");
    publish(&now, 1, || {});
    assert_eq!(published(&now), ["n1", "n2"]);
    let places = [
        ("gtid", "earliest".to_owned(), &["kept", "n1", "n2"][..]),
        ("file", "earliest".to_owned(), &["kept", "n1", "n2"]),
        ("gtid", format!("gtid:{}", gtid.trim()), &["n2"]),
        ("file", format!("file:{file}:{offset}"), &["n2"]),
    ];
    for (nth, (positions, start, expected)) in places.into_iter().enumerate() {
        let relay = relay(&format!("starts_maria_{nth}"), &mariadb, positions, &start);
        publish(&relay, expected.len() as u64, || {});
        assert_eq!(published(&relay), expected, "{start}");
    }
    let inside = offset.parse::<u64>().unwrap() + 1;
    let relay = relay("starts_maria_inside", &mariadb, "file", &format!("file:{file}:{inside}"));
    stopped(start(&relay)).because("OBX-2206", 78, &[], "SHOW BINARY LOGS");
}
