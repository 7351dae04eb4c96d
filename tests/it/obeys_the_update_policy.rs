//! What becomes of changes of outbox rows: a committed update stops the relay, is passed over or is published, as
//! `on_update` says; deletes and TRUNCATE publish nothing and are counted.

use crate::support::Outbox;
use crate::support::ending::{end, stopped};
use testbed::{Daemon, Mysql, MysqlOptions, Product, shared};

/// An outbox with a second JSON column in front of the payload.
fn outbox<'a>(name: &str, mysql: &'a Mysql, policy: &str) -> Outbox<'a> {
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    let more = format!("ALTER TABLE {name}.outbox ADD COLUMN more JSON FIRST");
    mysql.sql(&more).unwrap();
    outbox.extra = format!("outbox.main.on_update = \"{policy}\"");
    outbox
}

fn run(outbox: &Outbox<'_>, statements: &str) {
    let insert = "INSERT INTO outbox (more, id, aggregatetype, aggregateid, type, payload) VALUES";
    let row = |id: &str| {
        format!(
            "{insert} ('{{\"m\": 1, \"n\": \"{0}\"}}', '{id}', 'Order', '1', 'x', '{{\"v\": 1, \"n\": \"{0}\"}}')",
            "n".repeat(99)
        )
    };
    // Only MySQL logs changes within a JSON document as such.
    let (partial, whole) = match outbox.mysql.product() {
        Product::Mysql => ("SET binlog_row_value_options = PARTIAL_JSON", "SET binlog_row_value_options = ''"),
        Product::Mariadb => ("DO 0", "DO 0"),
    };
    let statements = statements.replace("{partial}", partial).replace("{whole}", whole);
    let statements = statements.replace("{a}", &row("a")).replace("{b}", &row("b")).replace("{c}", &row("c"));
    outbox.mysql.sql(&format!("USE {}; {statements};", outbox.name)).unwrap();
}

/// `id` and the payload's `v`, in the order of publication: all have one key, so they are in one partition.
fn published(outbox: &Outbox<'_>) -> Vec<String> {
    let mut records = outbox.records();
    records.sort_by_key(|record| record.offset);
    let shown = |record: &testbed::Observed| {
        let value: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        format!("{}={}", record.header("id").unwrap(), value["v"])
    };
    records.iter().map(shown).collect()
}

fn counted(outbox: &Outbox<'_>, reason: &str) -> u64 {
    let (_, metrics) = outbox.get("/metrics").unwrap();
    let name = &outbox.name;
    let series =
        format!("outboxd_outbox_ignored_total{{reason=\"{reason}\",table=\"{name}.outbox\",relay=\"{name}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("{series}:\n{metrics}")).parse().unwrap()
}

const CHANGES: &str = "{a}; {b}; UPDATE outbox SET payload = '{\"v\": 2}' WHERE id = 'a'; \
     REPLACE INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ('a', 'Order', '1', 'x', '{\"v\": 3}'); \
     INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ('b', 'Order', '1', 'x', '{}') \
       ON DUPLICATE KEY UPDATE payload = '{\"v\": 4}'; \
     BEGIN; {c}; UPDATE outbox SET payload = '{\"v\": 5}' WHERE id = 'c'; COMMIT; \
     BEGIN; UPDATE outbox SET payload = '{\"v\": 6}'; ROLLBACK; {partial}; \
     UPDATE outbox SET more = JSON_SET(more, '$.m', 2), payload = '{\"v\": 7}' WHERE id = 'c'; \
     UPDATE outbox SET more = JSON_SET(more, '$.m', 3), type = 'y' WHERE id = 'c'; \
     {whole}; DELETE FROM outbox WHERE id = 'a'; TRUNCATE outbox";

#[test]
fn updates_are_published_as_the_rows_are_afterwards_if_that_is_wanted() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let (emitting, relay) = emits("update_emit", &mysql);
    // A payload of which only the change is logged is not the payload.
    run(
        &emitting,
        "SET binlog_row_value_options = PARTIAL_JSON; UPDATE outbox SET payload = JSON_SET(payload, '$.v', 9)",
    );
    let words = ["was logged without column", "payload", "binlog_row_value_options"];
    stopped(relay).because("OBX-3002", 65, &words, "binlog_row_value_options");
    assert_eq!(published(&emitting), EMITTED);
    warns("update_warn", &mysql);
    stops("update_stop", &mysql);
}

#[test]
fn updates_on_a_mariadb_are_published_passed_over_or_refused_as_well() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let (_, relay) = emits("update_emit_maria", &mariadb);
    end(relay);
    warns("update_warn_maria", &mariadb);
    stops("update_stop_maria", &mariadb);
}

const EMITTED: [&str; 10] = ["a=1", "b=1", "a=2", "a=3", "b=4", "c=1", "c=5", "c=7", "c=7", "a=1"];

fn emits<'a>(name: &str, mysql: &'a Mysql) -> (Outbox<'a>, Daemon) {
    let emitting = outbox(name, mysql, "emit");
    let relay = emitting.stream();
    run(&emitting, CHANGES);
    emitting.wait_delivered(9);
    run(&emitting, "{a}");
    emitting.wait_delivered(10);
    assert_eq!((counted(&emitting, "update"), counted(&emitting, "truncate")), (0, 1));
    assert!(counted(&emitting, "delete") >= 1);
    assert_eq!(published(&emitting), EMITTED);
    (emitting, relay)
}

fn warns(name: &str, mysql: &Mysql) {
    let warned = outbox(name, mysql, "warn");
    let relay = warned.stream();
    run(&warned, CHANGES);
    warned.wait_delivered(3);
    run(&warned, "{a}; DROP TABLE outbox");
    warned.wait_delivered(4);
    run(
        &warned,
        &format!(
            "CREATE TABLE outbox (id INT, aggregatetype INT, aggregateid INT, type INT, payload INT); DROP DATABASE {name}"
        ),
    );
    testbed::wait::until(crate::support::PATIENCE, "both are counted", || counted(&warned, "truncate") == 3).unwrap();
    assert_eq!(counted(&warned, "update"), 6);
    end(relay);
    assert_eq!(published(&warned), ["a=1", "b=1", "c=1", "a=1"]);
}

fn stops(name: &str, mysql: &Mysql) {
    let stopping = outbox(name, mysql, "stop");
    let relay = stopping.stream();
    run(&stopping, "{a}; BEGIN; UPDATE outbox SET type = 'z'; ROLLBACK");
    run(&stopping, "XA START 'u'; UPDATE outbox SET type = 'z'; XA END 'u'; XA PREPARE 'u'");
    run(
        &stopping,
        "XA ROLLBACK 'u'; {b}; \
        REPLACE INTO outbox (id, aggregatetype, aggregateid, type) VALUES ('a', 'Order', '1', 'z'); {c}",
    );
    stopped(relay).because("OBX-3005", 65, &[&format!("a row of {name}.outbox was updated")], "on_update");
    assert_eq!(published(&stopping), ["a=1", "b=1"]);
}
