//! Before it goes on, the relay proves that the log is the one that its checkpoint belongs to; otherwise it refuses, and
//! publishes nothing.

use crate::support::ending::{end, stopped};
use crate::support::proxy::Proxy;
use crate::support::{Outbox, PATIENCE};
use testbed::{Mysql, MysqlOptions, Product, shared, wait};

/// Begins a new history.
fn reset(mysql: &Mysql) {
    mysql
        .sql(match mysql.product() {
            Product::Mysql => "RESET BINARY LOGS AND GTIDS",
            Product::Mariadb => "RESET MASTER",
        })
        .unwrap();
}

/// A server with its own history.
fn server(gtid_mode: &str) -> Mysql {
    let gtid = gtid_mode != "OFF";
    let extra = if gtid { vec![format!("--gtid-mode={gtid_mode}")] } else { Vec::new() };
    Mysql::start(MysqlOptions { gtid, extra, ..MysqlOptions::default() }).unwrap()
}

/// An outbox whose relay has delivered the rows `a` and `b`, at the beginning of the log, and was stopped.
fn delivered<'a>(name: &str, mysql: &'a Mysql) -> Outbox<'a> {
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    if name.contains("maria_file") {
        outbox.extra = "source.positions = \"file\"\n".to_owned();
    }
    reset(mysql);
    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.insert("b", "Order", "1", "{}");
    outbox.wait_delivered(2);
    end(relay);
    outbox
}

/// Starts the relay again; it refuses, and Kafka still shows no more than `a` and `b`.
fn refuses(outbox: &Outbox<'_>, code: &str, words: &[&str], fix: &str) {
    stopped(outbox.start()).because(code, 65, words, fix);
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}

fn insert_all(outbox: &Outbox<'_>, ids: &[&str], payload: &str) {
    for id in ids {
        outbox.insert(id, "Order", "1", payload);
    }
}

fn goes_on_behind_its_checkpoint(name: &str, mysql: &Mysql) {
    let outbox = delivered(name, mysql);
    insert_all(&outbox, &["c"], "{}");
    mysql.sql("FLUSH BINARY LOGS").unwrap();
    insert_all(&outbox, &["d"], "{}");
    let mut relay = outbox.stream();
    relay.wait_for_line("the source's history is the one of the checkpoint", PATIENCE).unwrap();
    outbox.wait_delivered(2);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b", "c", "d"]);
}

fn purged(name: &str, mysql: &Mysql, words: &[&str]) {
    let outbox = delivered(name, mysql);
    insert_all(&outbox, &["c", "d"], "{}");
    mysql.sql("FLUSH BINARY LOGS").unwrap();
    insert_all(&outbox, &["e"], "{}");
    // A MariaDB keeps a log as long as it thinks that the relay, which has ended, is reading it.
    wait::until(PATIENCE, "the first log is purged", || {
        mysql.sql("PURGE BINARY LOGS TO 'mysql-bin.000002'").unwrap();
        mysql.sql("SHOW BINARY LOGS").unwrap().starts_with("mysql-bin.000002")
    })
    .unwrap();
    refuses(&outbox, "OBX-2203", words, "read from a replica that still has them");
}

/// The name of the log that is written now.
fn newest_log(mysql: &Mysql) -> String {
    let logs = mysql.sql("SHOW BINARY LOGS").unwrap();
    logs.lines().last().and_then(|log| log.split('\t').next()).unwrap().to_owned()
}

/// An outbox whose relay has seen nothing but two new logs behind `a` and `b`, and was stopped.
fn idle<'a>(name: &str, mysql: &'a Mysql) -> Outbox<'a> {
    let outbox = delivered(name, mysql);
    let relay = outbox.stream();
    mysql.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS").unwrap();
    let newest = newest_log(mysql);
    let reached = || outbox.status()["checkpoint"]["file"] == newest.as_str();
    wait::until(PATIENCE, "the checkpoint reaches the new log", reached).unwrap();
    end(relay);
    outbox
}

/// By file, the head of the newest log is where an idle server leaves the checkpoint: a purge does no harm, and the head is
/// compared like a group.
fn idle_and_rotated(name: &str, mysql: &Mysql) {
    let outbox = idle(name, mysql);
    let newest = newest_log(mysql);
    wait::until(PATIENCE, "all other logs are purged", || {
        mysql.sql(&format!("PURGE BINARY LOGS TO '{newest}'")).unwrap();
        mysql.sql("SHOW BINARY LOGS").unwrap().lines().count() == 1
    })
    .unwrap();
    insert_all(&outbox, &["c"], "{}");
    let mut relay = outbox.stream();
    relay.wait_for_line("the source's history is the one of the checkpoint", PATIENCE).unwrap();
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b", "c"]);

    // Another log of that name is told by the time when it was made, in seconds.
    let outbox = idle(&format!("{name}_reused"), mysql);
    let now = || mysql.sql("SELECT UNIX_TIMESTAMP()").unwrap();
    let made = now();
    wait::until(PATIENCE, "the second is over", || now() != made).unwrap();
    reset(mysql);
    mysql.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS").unwrap();
    insert_all(&outbox, &["c"], "{}");
    refuses(&outbox, "OBX-2201", &["source history changed", "type 15"], "give the relay a new `name`");
}

#[test]
fn with_gtids_a_changed_history_is_refused_and_the_same_one_is_not() {
    let mysql = server("ON");
    goes_on_behind_its_checkpoint("gtid_same", &mysql);

    // Every event has the size of the one that it replaces: only its time and its checksum differ.
    let outbox = delivered("gtid_overtaken", &mysql);
    reset(&mysql);
    insert_all(&outbox, &["c", "d", "e"], "{}");
    refuses(&outbox, "OBX-2201", &["source history changed", "expected", "found"], "give the relay a new `name`");

    let outbox = delivered("gtid_behind", &mysql);
    reset(&mysql);
    insert_all(&outbox, &["c"], "{}");
    let uuid = mysql.sql("SELECT @@server_uuid").unwrap();
    let missing = format!("{}:2 (1 transactions)", uuid.trim());
    refuses(&outbox, "OBX-2202", &["absent from this server", &missing], "Connect to the server that has them");

    let missing = format!("{}:3-4 (2 transactions)", uuid.trim());
    purged("gtid_purged", &mysql, &["needed and purged", &missing]);
}

#[test]
fn with_file_positions_a_changed_history_is_refused_and_the_same_one_is_not() {
    let mysql = server("OFF");
    goes_on_behind_its_checkpoint("file_same", &mysql);

    for (name, payload) in [("file_overtaken", "{}"), ("file_overtaken_unaligned", r#"{"of": "another size"}"#)] {
        let outbox = delivered(name, &mysql);
        reset(&mysql);
        insert_all(&outbox, &["c", "d", "e"], payload);
        refuses(&outbox, "OBX-2201", &["source history changed"], "give the relay a new `name`");
    }

    let outbox = delivered("file_behind", &mysql);
    reset(&mysql);
    insert_all(&outbox, &["c"], "{}");
    refuses(&outbox, "OBX-2201", &["source history changed", "that file has only"], "Find out what happened");

    idle_and_rotated("file_idle", &mysql);
    purged("file_purged", &mysql, &["mysql-bin.000001 is gone", "its oldest log is mysql-bin.000002"]);

    let other = server("OFF");
    let outbox = delivered("file_other", &mysql);
    let port = format!("source.port={}", other.port());
    let uuid = mysql.sql("SELECT @@server_uuid").unwrap();
    stopped(outbox.start_with(&["--set", &port])).because(
        "OBX-2204",
        65,
        &["the checkpoint belongs to server_uuid", uuid.trim()],
        "Connect to the server named in the checkpoint",
    );
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}

/// The transactions carry GTIDs, but the position is a file's: what is compared must not depend on where the re-read
/// begins.
#[test]
fn with_gtids_on_trial_the_same_history_is_not_refused() {
    goes_on_behind_its_checkpoint("permissive_same", &server("ON_PERMISSIVE"));
}

/// Without GTIDs nothing tells damage on the way from another log, but that the next try meets it again.
#[test]
fn with_file_positions_a_byte_changed_on_the_way_is_no_other_history() {
    let mysql = server("OFF");
    let proxy = Proxy::start(mysql.port());
    let mut outbox = delivered("file_damaged", &mysql);
    outbox.source = proxy.port;
    // So that the part which is read again has rows behind its first group, which the proxy spares.
    let prepare = |id: &str| {
        let insert = format!("INSERT INTO outbox VALUES ('{id}', 'Order', '1', 'x', '{{}}')");
        format!("XA START '{id}'; {insert}; XA END '{id}'; XA PREPARE '{id}'")
    };
    let relay = outbox.stream();
    mysql.sql(&format!("USE file_damaged; {}; {}", prepare("x"), prepare("y"))).unwrap();
    outbox.insert("d", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    proxy.flip();
    let mut relay = outbox.stream();
    relay.wait_for_line("OBX-2301", PATIENCE).unwrap();
    mysql.sql("XA COMMIT 'x'; XA COMMIT 'y'").unwrap();
    outbox.wait_delivered(2);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b", "d", "x", "y"]);
    assert_eq!(proxy.cuts(), 1);
}

#[test]
fn on_mariadb_by_gtid_a_changed_history_is_refused_and_the_same_one_is_not() {
    let mysql = Mysql::start(MysqlOptions::mariadb()).unwrap();
    goes_on_behind_its_checkpoint("maria_gtid_same", &mysql);

    let outbox = delivered("maria_gtid_overtaken", &mysql);
    reset(&mysql);
    insert_all(&outbox, &["c", "d", "e"], "{}");
    refuses(&outbox, "OBX-2201", &["source history changed", "expected", "0-1-2"], "give the relay a new `name`");

    let outbox = delivered("maria_gtid_behind", &mysql);
    reset(&mysql);
    insert_all(&outbox, &["c"], "{}");
    refuses(&outbox, "OBX-2202", &["absent from this server: 0-1-2", "has come to 0-1-1"], "Connect to the server");

    purged("maria_gtid_purged", &mysql, &["needed and purged: what follows 0-1-2 up to 0-1-4"]);

    let outbox = delivered("maria_gtid_other_product", &mysql);
    let port = format!("source.port={}", shared().unwrap().mysql.port());
    stopped(outbox.start_with(&["--set", &port])).because(
        "OBX-2204",
        65,
        &["the checkpoint belongs to a MariaDB server (server_id 1), this is MySQL"],
        "Connect to the server named in the checkpoint",
    );
}

/// A number that is set by hand may be smaller than the one before it: what counts is the order of the log.
#[test]
fn on_mariadb_numbers_out_of_order_are_followed_in_the_order_of_the_log() {
    let mysql = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let outbox = delivered("maria_numbers", &mysql);
    let numbered = |number: u32, id: &str| {
        mysql
            .sql(&format!(
                "USE maria_numbers; SET gtid_seq_no = {number}; INSERT INTO outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')"
            ))
            .unwrap();
    };
    let relay = outbox.stream();
    numbered(100, "c");
    numbered(50, "d");
    outbox.wait_delivered(2);
    end(relay);
    numbered(51, "e");
    let relay = outbox.stream();
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn on_mariadb_by_file_a_changed_history_is_refused_and_the_same_one_is_not() {
    let mysql = Mysql::start(MysqlOptions::mariadb()).unwrap();
    goes_on_behind_its_checkpoint("maria_file_same", &mysql);
    for (name, payload) in [("maria_file_overtaken", "{}"), ("maria_file_unaligned", r#"{"of": "another size"}"#)] {
        let outbox = delivered(name, &mysql);
        reset(&mysql);
        insert_all(&outbox, &["c", "d", "e"], payload);
        refuses(&outbox, "OBX-2201", &["source history changed"], "give the relay a new `name`");
    }
    let outbox = delivered("maria_file_behind", &mysql);
    reset(&mysql);
    refuses(&outbox, "OBX-2201", &["source history changed", "that file has only"], "Find out what happened");
    idle_and_rotated("maria_file_idle", &mysql);
    purged("maria_file_purged", &mysql, &["mysql-bin.000001 is gone", "its oldest log is mysql-bin.000002"]);

    let other = Mysql::start(MysqlOptions { server_id: 2, ..MysqlOptions::mariadb() }).unwrap();
    let outbox = delivered("maria_file_other", &mysql);
    let port = format!("source.port={}", other.port());
    stopped(outbox.start_with(&["--set", &port])).because(
        "OBX-2204",
        65,
        &["the checkpoint belongs to", "server_id 1", "server_id 2"],
        "Connect to the server named in the checkpoint",
    );
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}
