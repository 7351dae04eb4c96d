//! What the relay cannot carry without guessing stops it: with a code, an exit status and the way to mend it. Rows before
//! it are delivered; once it is mended, so are the rows behind it.

use crate::support::Outbox;
use crate::support::ending::{end, stopped};
use testbed::{Mysql, MysqlOptions, Product, shared};

fn outbox(name: &str) -> Outbox<'static> {
    let servers = shared().unwrap();
    Outbox::new(name, &servers.mysql, &servers.kafka)
}

/// A server of its own for a test whose settings or statements would stop other tests' relays.
fn own_server() -> Mysql {
    Mysql::start(MysqlOptions::default()).unwrap()
}

/// Delivers the row `a` and runs `poison`; the relay stops as told, and only `a` is published.
fn stops(outbox: &Outbox<'_>, poison: &str, code: &str, status: i32, words: &[&str], fix: &str) {
    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.mysql.sql(&format!("USE `{}`; {poison};", outbox.name)).unwrap();
    stopped(relay).because(code, status, words, fix);
    assert_eq!(outbox.sorted_ids(), ["a"]);
}

/// Starts the mended relay, inserts the row `z`, and waits until these ids are published.
fn goes_on(outbox: &Outbox<'_>, arguments: &[&str], ids: &[&str]) {
    let relay = outbox.start_with(arguments);
    outbox.wait_ready();
    outbox.insert("z", "Order", "1", "{}");
    outbox.wait_delivered(ids.len() as u64 - 1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ids);
}

const ROW: &str = "('m', 'Order', '1', 'Happened', '{}')";

#[test]
fn an_updated_row_stops_it_unless_a_warning_is_enough() {
    let mut outbox = outbox("stops_update");
    let update =
        "BEGIN; UPDATE outbox SET type = 'Other'; INSERT INTO outbox VALUES ('m', 'Order', '1', 'x', '{}'); COMMIT";
    stops(&outbox, update, "OBX-3005", 65, &["a row of stops_update.outbox was updated"], "on_update");
    stopped(outbox.start()).because("OBX-3005", 65, &[], "Insert a new row instead");
    outbox.extra = "outbox.main.on_update = \"warn\"".into();
    goes_on(&outbox, &[], &["a", "m", "z"]);
}

#[test]
fn a_row_logged_as_a_statement_stops_it() {
    let mysql = own_server();
    let outbox = Outbox::new("stops_statement", &mysql, &shared().unwrap().kafka);
    let poison = format!("SET SESSION binlog_format = STATEMENT; INSERT INTO outbox VALUES {ROW}");
    let words = ["changed stops_statement.outbox in statement format", "connection "];
    stops(&outbox, &poison, "OBX-2304", 65, &words, "binlog_format=ROW");

    // With another schema as default and another table named, it is none of our business; with ours, nobody can say.
    let outbox = Outbox::new("stops_schema", &mysql, &shared().unwrap().kafka);
    mysql.sql("CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (n INT)").unwrap();
    let poison = "SET SESSION binlog_format = STATEMENT; USE elsewhere; INSERT INTO t VALUES (1); \
                  USE stops_schema; INSERT INTO elsewhere.t VALUES (2)";
    stops(&outbox, poison, "OBX-2304", 65, &["stops_schema.outbox in statement format"], "binlog_format=ROW");
}

/// A server that could not log a statement says so in its log.
#[test]
fn a_hole_in_the_log_stops_it() {
    let small = MysqlOptions::with(["--max-binlog-stmt-cache-size=4096"]);
    let mariadb = MysqlOptions { product: Product::Mariadb, ..small.clone() };
    for (name, options) in [("stops_incident", small), ("stops_incident_maria", mariadb)] {
        let mysql = Mysql::start(options).unwrap();
        let outbox = Outbox::new(name, &mysql, &shared().unwrap().kafka);
        mysql.sql(&format!("CREATE TABLE {name}.plain (b LONGBLOB) ENGINE = MyISAM")).unwrap();
        let relay = outbox.stream();
        outbox.insert("a", "Order", "1", "{}");
        // It does not fit the cache, and a table without transactions cannot take it back.
        mysql.sql(&format!("INSERT INTO {name}.plain VALUES ('x'), (REPEAT('x', 100000))")).unwrap_err();
        stopped(relay).because("OBX-2303", 65, &["incident event", "could not log all changes"], "Compare the outbox");
        assert_eq!(outbox.sorted_ids(), ["a"]);
    }
}

#[test]
fn a_row_logged_without_a_configured_column_stops_it() {
    let outbox = outbox("stops_minimal");
    let poison = "ALTER TABLE outbox MODIFY payload VARCHAR(9) DEFAULT 'x'; SET SESSION binlog_row_image = MINIMAL; \
                  INSERT INTO outbox (id, aggregatetype, aggregateid, type) VALUES ('m', 'Order', '1', 'x')";
    let words = ["was logged without column", "payload", "binlog_row_image"];
    stops(&outbox, poison, "OBX-3002", 65, &words, "binlog_row_image=FULL");

    let outbox = self::outbox("stops_noblob");
    let poison = "ALTER TABLE outbox MODIFY payload TEXT; SET SESSION binlog_row_image = NOBLOB; \
                  INSERT INTO outbox (id, aggregatetype, aggregateid, type) VALUES ('m', 'Order', '1', 'x')";
    stops(&outbox, poison, "OBX-3002", 65, &words, "binlog_row_image=FULL");
}

#[test]
fn an_illegal_topic_name_stops_it_until_the_template_needs_it_no_more() {
    let outbox = outbox("stops_topic");
    let poison = "INSERT INTO outbox VALUES ('m', 'no topic', '1', 'x', '{}')";
    let words = ["characters other than letters, digits, '.', '_' and '-'"];
    stops(&outbox, poison, "OBX-3006", 65, &words, "which column it comes from");
    goes_on(&outbox, &["--set", "outbox.main.topic=stops_topic.all"], &["a", "m", "z"]);
}

/// Kafka refuses record timestamps that lie too far ahead by its own clock: one of a batch, then several.
#[test]
fn a_timestamp_that_kafka_refuses_stops_it() {
    let mut outbox = outbox("stops_future");
    outbox.mysql.sql("ALTER TABLE stops_future.outbox ADD COLUMN ts DATETIME(3)").unwrap();
    outbox.extra = "outbox.main.timestamp = \"ts\"".into();
    let insert =
        |id: &str, time: &str| format!("INSERT INTO outbox VALUES ('{id}', 'Order', '1', 'x', '{{}}', {time})");
    let far = |id: &str| insert(id, "'9999-12-31 23:59:59.999'");
    let sql =
        |statements: &[String]| outbox.mysql.sql(&format!("USE stops_future; {}", statements.join("; "))).unwrap();
    let words = ["a record for stops_future.Order/"];
    let refused = |relay, code| stopped(relay).because(code, 65, &words, "message.timestamp.after.max.ms");
    let relay = outbox.stream();
    sql(&[insert("a", "NULL")]);
    outbox.wait_delivered(1);
    sql(&["BEGIN".into(), insert("b", "NULL"), far("c"), "COMMIT".into()]);
    refused(relay, "OBX-3008");
    sql(&[far("d")]);
    // Kafka tells which records of a batch it refuses, but not each one's reason.
    refused(outbox.start(), "OBX-3009");
    assert_eq!(outbox.sorted_ids(), ["a"]);
    // It is for the operator to say that such times are right.
    let limit = ("message.timestamp.after.max.ms", "9223372036854775807");
    outbox.kafka.alter_configs(&outbox.topic("Order"), &[limit]).unwrap();
    let relay = outbox.stream();
    outbox.wait_delivered(3);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b", "c", "d"]);
}

#[test]
fn a_missing_column_stops_it_until_the_configuration_names_another() {
    let outbox = outbox("stops_column");
    let poison =
        "ALTER TABLE outbox RENAME COLUMN payload TO body; INSERT INTO outbox VALUES ('m', 'Order', '1', 'x', '{}')";
    let words = ["has no column", "payload", "it has: id, aggregatetype, aggregateid, type, body"];
    stops(&outbox, poison, "OBX-3001", 78, &words, "Correct the column name");
    goes_on(&outbox, &["--set", "outbox.main.payload=body"], &["a", "m", "z"]);
}

#[test]
fn settings_that_could_hide_rows_are_refused_all_at_once() {
    let mysql = own_server();
    let outbox = Outbox::new("stops_settings", &mysql, &shared().unwrap().kafka);
    let set = |image: &str, metadata: &str, action: &str| {
        mysql.sql(&format!(
            "SET GLOBAL binlog_row_image = {image}, GLOBAL binlog_row_metadata = {metadata}, \
             GLOBAL binlog_error_action = {action}"
        ))
    };
    set("MINIMAL", "MINIMAL", "IGNORE_ERROR").unwrap();
    stopped(outbox.start_with(&["--set", "source.server_id=1"])).because(
        "OBX-2101",
        78,
        &[
            "binlog_row_image is MINIMAL (needed: FULL)",
            "binlog_row_metadata is MINIMAL (needed: FULL)",
            "binlog_error_action is IGNORE_ERROR",
            "source.server_id = 1 equals the server's own",
        ],
        "SET PERSIST binlog_row_image = 'FULL'; then reconnect the applications, sessions keep the old value; \
         SET PERSIST binlog_row_metadata = 'FULL'; SET PERSIST binlog_error_action = 'ABORT_SERVER'; set source.server_id",
    );
    set("FULL", "FULL", "ABORT_SERVER").unwrap();
    mysql.sql("SET GLOBAL binlog_format = 'MIXED'").unwrap();
    stopped(outbox.start()).because("OBX-2101", 78, &["binlog_format is MIXED (needed: ROW)"], "binlog_format = 'ROW'");
    mysql.sql("SET GLOBAL binlog_format = 'ROW'").unwrap();
    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a"]);
}

#[test]
fn an_account_that_may_not_read_the_log_is_refused() {
    let outbox = outbox("stops_account");
    let sql = |statement: &str| outbox.mysql.sql(statement).unwrap();
    sql("CREATE USER poor IDENTIFIED BY 'poor'");
    let start = |password: &str| {
        outbox.start_with(&["--set", "source.user=poor", "--set", &format!("source.password={password}")])
    };
    stopped(start("wrong")).because("OBX-2004", 77, &["MySQL error 1045"], "Check `source.user` and the password");
    stopped(start("poor")).because(
        "OBX-2005",
        77,
        &["MySQL error 1227"],
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT",
    );
    sql("GRANT REPLICATION CLIENT ON *.* TO poor");
    stopped(start("poor")).because(
        "OBX-2005",
        77,
        &["REPLICATION SLAVE"],
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT",
    );
    sql("GRANT REPLICATION SLAVE ON *.* TO poor");
    let relay = start("poor");
    outbox.wait_ready();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a"]);
}
