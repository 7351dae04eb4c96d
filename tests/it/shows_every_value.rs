//! Every value of every type and character set leaves in the documented form, which is what the server itself shows.

use std::collections::BTreeSet;

use crate::support::Outbox;
use crate::support::differential::form::Form;
use crate::support::differential::{Bytes, Case, common, mariadb, mysql, publish, run};
use crate::support::ending::{end, stopped};
use testbed::{Mysql, MysqlOptions, shared};

#[test]
fn every_value_of_mysql_is_published_as_the_server_shows_it_and_as_other_decoders_read_it() {
    let servers = shared().unwrap();
    let corpus: Vec<_> = common::corpus().into_iter().chain(mysql::corpus()).collect();
    let compared = run("values_mysql", &servers.mysql, &servers.kafka, &corpus);
    println!("{} types, {compared:?}", corpus.len());
    assert!(compared.ours > 1500 && compared.mysqlbinlog > 1500 && compared.mysql_cdc > 800, "{compared:?}");
}

#[test]
fn every_value_of_mariadb_is_published_as_the_server_shows_it_and_as_other_decoders_read_it() {
    let (server, kafka) = (Mysql::start(MysqlOptions::mariadb()).unwrap(), &shared().unwrap().kafka);
    // Which columns are UUID, INET4 and INET6 only the tables know.
    server.sql("GRANT SELECT ON *.* TO outboxd").unwrap();
    let corpus: Vec<_> = common::corpus().into_iter().chain(mariadb::corpus()).collect();
    let compared = run("values_mariadb", &server, kafka, &corpus);
    println!("{} types, {compared:?}", corpus.len());
    assert!(compared.ours > 1500 && compared.mysql_cdc > 800, "{compared:?}");
    let text = server.sql("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS").unwrap();
    let servers: BTreeSet<&str> = text.lines().chain(["gb18030"]).collect();
    assert_eq!(servers, corpus_charsets());
}

fn corpus_charsets() -> BTreeSet<&'static str> {
    [&mysql::CHARSETS[..], &mysql::UNICODE, &["binary", "ujis"]].concat().into_iter().collect()
}

#[test]
fn the_corpus_has_every_character_set_of_the_server() {
    let text = shared().unwrap().mysql.sql("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS").unwrap();
    let servers: BTreeSet<&str> = text.lines().collect();
    assert_eq!(servers, corpus_charsets());
}

/// Type, value, key and payload, header: the cells of a line of the documentation's first table.
fn documented() -> Vec<[String; 4]> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/values.md")).unwrap();
    let lines = page.lines().skip_while(|line| *line != "| --- | --- | --- | --- |").skip(1);
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(cell).collect::<Vec<_>>().try_into().unwrap();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// What a cell says: NULL, `x'…'`, or text.
fn meant(cell: &str) -> Bytes {
    let hex = cell.strip_prefix("x'").and_then(|hex| hex.strip_suffix('\''));
    match (cell, hex) {
        ("NULL", _) => None,
        (_, Some(hex)) => {
            Some((0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect())
        }
        (text, None) => Some(text.into()),
    }
}

#[test]
fn the_table_of_forms_in_the_documentation_holds() {
    let servers = shared().unwrap();
    let lines = documented();
    assert!(lines.len() > 30, "{lines:?}");
    let corpus: Vec<_> = lines.iter().map(|[kind, value, ..]| Case::new(kind, Form::Text, [value])).collect();
    let published = publish("values_documented", &servers.mysql, &servers.kafka, &corpus);
    for (nth, line) in lines.iter().enumerate() {
        let (published, [_, _, form, header]) = (&published[&format!("{nth}/0")], line);
        let expected = [meant(form), meant(form), meant(header)];
        assert_eq!([&published.key, &published.value, &published.header], expected.each_ref(), "{line:?}");
    }
}

#[test]
fn a_code_that_the_server_itself_cannot_convert_stops_it() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("values_no_character", &servers.mysql, &servers.kafka);
    servers.mysql.sql("ALTER TABLE values_no_character.outbox MODIFY payload TEXT CHARACTER SET gbk").unwrap();
    let relay = outbox.stream();
    servers
        .mysql
        .sql("INSERT INTO values_no_character.outbox VALUES ('a', 'Order', 'k', 't', _gbk x'D6D0'), ('b', 'Order', 'k', 't', _gbk x'AAA1')")
        .unwrap();
    let words = ["payload", "the character set gbk has no character"];
    stopped(relay).because("OBX-3010", 65, &words, "docs/values.md");
    assert!(outbox.records().is_empty(), "a source transaction shows in part");
}

#[test]
fn a_column_that_cannot_be_a_timestamp_stops_it_at_the_start_if_the_account_may_look_else_at_the_first_row() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut outbox = Outbox::new("values_timestamp", &mysql, &shared().unwrap().kafka);
    outbox.extra = "outbox.main.timestamp = \"type\"".into();
    let relay = outbox.stream();
    outbox.insert("a", "Order", "k", "{}");
    let words = ["table values_timestamp.outbox, timestamp column", "VarChar"];
    stopped(relay).because("OBX-3003", 78, &words, "another column");
    mysql.sql("GRANT SELECT ON values_timestamp.outbox TO outboxd").unwrap();
    let words = ["timestamp column type of values_timestamp.outbox is varchar(255)"];
    stopped(outbox.start()).because("OBX-3003", 78, &words, "another column");
    outbox.extra = "outbox.main.headers.gone = \"gone\"".into();
    stopped(outbox.start()).because("OBX-3001", 78, &["values_timestamp.outbox has no column"], "add the column");
    outbox.extra.clear();
    let relay = outbox.start();
    outbox.wait_delivered(1);
    end(relay);
}
