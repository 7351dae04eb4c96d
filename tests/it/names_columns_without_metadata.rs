//! `source.column_names = "information_schema"`: rows without names are read with those of the table as it is now, if
//! number, types and nullability agree; else the relay stops. The default refuses such rows.

use crate::support::Outbox;
use crate::support::ending::{end, stopped};
use testbed::{Mysql, MysqlOptions, shared};

const FROM_TABLES: &str = "source.column_names = \"information_schema\"";

/// A server whose log has no names.
fn server() -> Mysql {
    Mysql::start(MysqlOptions::with(["--binlog-row-metadata=MINIMAL"])).unwrap()
}

fn outbox<'a>(name: &str, mysql: &'a Mysql) -> Outbox<'a> {
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    outbox.extra = FROM_TABLES.into();
    mysql.sql(&format!("GRANT SELECT ON {name}.outbox TO outboxd")).unwrap();
    outbox
}

#[test]
fn rows_without_names_are_read_with_the_names_of_the_table_and_its_labels() {
    let mysql = server();
    let mut outbox = outbox("named", &mysql);
    mysql
        .sql(
            "ALTER TABLE named.outbox MODIFY type ENUM('Größe', 'it''s', 'a\\\\b') CHARACTER SET latin1 NOT NULL FIRST, \
             ADD COLUMN hidden SET('x', 'y') INVISIBLE DEFAULT 'x', ADD COLUMN n DECIMAL(9, 2) DEFAULT 1.5, \
             ADD COLUMN g POINT NULL, ADD COLUMN b BIT(9) NOT NULL DEFAULT 1, ADD COLUMN m DATETIME(3) NULL, \
             ADD COLUMN u SMALLINT UNSIGNED AS (7) VIRTUAL, ADD COLUMN bin BINARY(16), ADD COLUMN blb MEDIUMBLOB, \
             ADD COLUMN v VECTOR(3), ADD COLUMN y YEAR, ADD COLUMN f FLOAT, ADD COLUMN t TIME(2), ADD COLUMN x LONGTEXT, \
             ADD COLUMN s TIMESTAMP(6) NULL, ADD COLUMN d DATE, ADD COLUMN j JSON, ADD COLUMN bo BOOLEAN, \
             ADD COLUMN db DOUBLE, ADD COLUMN vb VARBINARY(300), ADD COLUMN c CHAR(255), ADD COLUMN ti TINYTEXT",
        )
        .unwrap();
    outbox.extra.push_str("\noutbox.main.headers.hidden = \"hidden\"");
    let relay = outbox.stream();
    mysql
        .sql(
            "INSERT INTO named.outbox (id, aggregatetype, aggregateid, type, payload) VALUES ('1', 'Order', 'k', 1, '{}'), \
             ('2', 'Order', 'k', 2, '{}'), ('3', 'Order', 'k', 3, '{}')",
        )
        .unwrap();
    outbox.wait_delivered(3);
    end(relay);
    let records = outbox.records();
    let header = |name| records.iter().map(|record| record.header(name).unwrap()).collect::<Vec<_>>();
    assert_eq!((header("id"), header("eventType")), (vec!["1", "2", "3"], vec!["Größe", "it's", "a\\b"]));
    assert_eq!(header("hidden"), ["x", "x", "x"]);
}

#[test]
fn rows_that_the_present_table_cannot_have_written_stop_it() {
    let mysql = server();
    let outbox = outbox("renamed", &mysql);
    end(outbox.stream());
    let alter = |what: &str| mysql.sql(&format!("ALTER TABLE renamed.outbox {what}")).unwrap();
    outbox.insert("a", "Order", "k", "{}");
    let stops = |what: &str, words: &[&str]| {
        alter(what);
        stopped(outbox.start()).because("OBX-3011", 65, words, "give the table the columns back");
    };
    stops(
        "ADD COLUMN more INT",
        &["renamed.outbox was logged without column names", "5 columns in the log, 6 in the table"],
    );
    stops(
        "DROP COLUMN more, MODIFY type VARCHAR(255) NULL",
        &["is varchar(255) in the table NULL, NOT NULL in the log"],
    );
    stops("MODIFY type VARCHAR(99) NOT NULL", &["column 4", "is varchar(99) in the table"]);
    stops("MODIFY type VARCHAR(255) NOT NULL, MODIFY id BINARY(36)", &["column 1", "is binary(36) in the table"]);
    alter("MODIFY id CHAR(36) NOT NULL");
    // A table that changes while the relay reads is described anew.
    let relay = outbox.start();
    outbox.wait_delivered(1);
    alter("ADD COLUMN more INT");
    mysql
        .sql(
            "INSERT INTO renamed.outbox (id, aggregatetype, aggregateid, type, payload) \
             VALUES ('b', 'Order', 'k', 'x', '{}')",
        )
        .unwrap();
    testbed::wait::until(crate::support::PATIENCE, "both rows", || outbox.sorted_ids() == ["a", "b"]).unwrap();
    end(relay);
}

#[test]
fn without_the_privilege_to_see_the_table_or_without_asking_for_it_such_rows_are_refused() {
    let mysql = server();
    let mut outbox = Outbox::new("unnamed", &mysql, &shared().unwrap().kafka);
    stopped(outbox.start()).because(
        "OBX-2101",
        78,
        &["binlog_row_metadata is MINIMAL"],
        "binlog_row_metadata = 'FULL'",
    );
    outbox.extra = FROM_TABLES.into();
    let relay = outbox.stream();
    outbox.insert("a", "Order", "k", "{}");
    let words = ["unnamed.outbox was logged without column names"];
    stopped(relay).because("OBX-3004", 78, &words, "SELECT on the outbox table");
    mysql.sql("GRANT SELECT ON unnamed.outbox TO outboxd").unwrap();
    let relay = outbox.start();
    outbox.wait_delivered(1);
    end(relay);
}
