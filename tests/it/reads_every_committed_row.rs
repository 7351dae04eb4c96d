//! However a committed insert got into the log, it is published; whatever was not committed is not.

use crate::support::ending::end;
use crate::support::{Outbox, PATIENCE};
use testbed::oracle::{Rules, judge, truth};
use testbed::{Isolation, Mysql, MysqlOptions, Observer, shared};

/// The statements, and how many rows of the outbox they commit.
pub(crate) type Case = (&'static str, u64);

/// Ways in which rows are written in one session; `{v}` goes before the values of a row, `{file}` is a file with three ids,
/// `{plain}` writes a table without transactions, which nothing takes back: MySQL logs that ahead, as a group of its own.
pub(crate) const SESSIONS: &[Case] = &[
    // Names of savepoints are quoted, repeat, and differ in case only.
    (
        "BEGIN; {v} ('s1'); SAVEPOINT `a``b `; {v} ('s2-dropped'); {plain}; ROLLBACK TO `a``b `; {v} ('s3'); \
         SAVEPOINT x; {v} ('s4'); SAVEPOINT X; {v} ('s5-dropped'); ROLLBACK TO SAVEPOINT x; RELEASE SAVEPOINT X; \
         {v} ('s6'); COMMIT",
        4,
    ),
    (
        "BEGIN; {v} ('s7'); SAVEPOINT a; {plain}; {v} ('s8-dropped'); SAVEPOINT b; {v} ('s9-dropped'); \
         ROLLBACK TO A; {v} ('s10'); COMMIT",
        2,
    ),
    ("BEGIN; SAVEPOINT early; {v} ('s11-dropped'); ROLLBACK TO early; {v} ('s12'); COMMIT", 1),
    ("BEGIN; {v} ('r1-dropped'); {plain}; {v} ('r2-dropped'); ROLLBACK", 0),
    ("BEGIN; {v} ('r3-dropped'); INSERT INTO mixed VALUES ('r4-dropped'); ROLLBACK", 0),
    ("BEGIN; INSERT INTO mixed VALUES ('x1'); {v} ('x2'); COMMIT", 2),
    ("{v} ('m1'), ('m2'), ('m3')", 3),
    ("INSERT IGNORE INTO outbox (id) VALUES ('m1'), ('m4')", 1),
    ("INSERT INTO outbox (id) SELECT CONCAT('from-', id) FROM outbox WHERE id LIKE 'm%'", 4),
    ("INSERT INTO orders VALUES ('t1'), ('t2')", 2),
    ("LOAD DATA INFILE '{file}' INTO TABLE outbox (id)", 3),
    ("BEGIN; {v} ('d1'); DELETE FROM outbox WHERE id = 'd1'; COMMIT", 1),
    ("INSERT INTO outbox2 (id) VALUES ('other'); INSERT INTO `Outbox` (id) VALUES ('other')", 0),
    (
        "CREATE TABLE copied SELECT * FROM outbox; CREATE TABLE moved LIKE outbox; INSERT INTO moved SELECT * FROM copied",
        0,
    ),
    // No row stands in their way.
    (
        "REPLACE INTO outbox (id) VALUES ('q1'), ('q2'); INSERT INTO outbox (id) VALUES ('q3') ON DUPLICATE KEY UPDATE type = 'x'",
        3,
    ),
    // As tools do that change a table without locking it: the copy is none of ours until it has the name.
    (
        "CREATE TABLE _outbox_gho LIKE outbox; INSERT INTO _outbox_gho SELECT * FROM outbox; \
         RENAME TABLE outbox TO _outbox_old, _outbox_gho TO outbox; {v} ('q4'); INSERT INTO _outbox_old (id) VALUES ('other')",
        1,
    ),
    ("SET sql_log_bin = 0; {v} ('unlogged-dropped'); DELETE FROM outbox WHERE id LIKE 'un%'; SET sql_log_bin = 1", 0),
    // The second statement commits the first.
    ("BEGIN; {v} ('v1'); TRUNCATE TABLE orders; {v} ('v2')", 2),
];

/// The DDL of the tables around the outbox.
pub(crate) const AROUND: &str = "CREATE DATABASE {db}_notes; CREATE TABLE {db}_notes.notes (n INT) ENGINE = MyISAM; USE {db}; \
     CREATE TABLE mixed (id CHAR(36)) ENGINE = MyISAM; CREATE TABLE orders (id CHAR(36)); \
     CREATE TABLE outbox2 LIKE outbox; CREATE TABLE `Outbox` LIKE outbox; \
     CREATE TRIGGER told AFTER INSERT ON orders FOR EACH ROW INSERT INTO outbox (id) VALUES (CONCAT('by-', NEW.id)); \
     CREATE TRIGGER mixes AFTER INSERT ON mixed FOR EACH ROW INSERT INTO outbox (id) VALUES (CONCAT('by-', NEW.id));";

/// What the outbox looks like; every row says the same but for its id.
const COLUMNS: &str = "id VARCHAR(64) NOT NULL, aggregatetype VARCHAR(255) NOT NULL DEFAULT 'Order', \
     aggregateid VARCHAR(255) NOT NULL DEFAULT 'k', type VARCHAR(255) NOT NULL DEFAULT 'Happened', \
     payload VARCHAR(99) NOT NULL DEFAULT '{\"a\":[1,2]}'";

/// An outbox with defaults for all columns but the id; `options` stand behind the columns.
pub(crate) fn outbox<'a>(name: &str, mysql: &'a Mysql, options: &str) -> Outbox<'a> {
    let outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    mysql
        .sql(&format!("USE {name}; DROP TABLE outbox; CREATE TABLE outbox ({COLUMNS}, PRIMARY KEY (id)) {options}"))
        .unwrap();
    outbox
}

/// Beside the server's tables, where it may read.
fn file_of_ids(outbox: &Outbox<'_>) -> String {
    let path = outbox.mysql.data_dir().join("ids.txt");
    std::fs::write(&path, "f1\nf2\nf3\n").unwrap();
    path.display().to_string()
}

pub(crate) fn run(outbox: &Outbox<'_>, session: &str, statements: &str) {
    let name = &outbox.name;
    let statements = statements
        .replace("{v}", "INSERT INTO outbox (id) VALUES")
        .replace("{file}", &file_of_ids(outbox))
        .replace("{plain}", &format!("INSERT INTO {name}_notes.notes VALUES (1)"));
    outbox.mysql.sql(&format!("USE {name}; {session}; {statements};")).unwrap();
}

/// Compares all that was published with a naive reading of `mysqlbinlog`'s text.
pub(crate) fn judged(outboxes: &[&Outbox<'_>]) {
    for outbox in outboxes {
        let table = truth::Table::usual(&outbox.name, "outbox");
        let rows = truth::read(outbox.mysql.mysqlbinlog_v().unwrap(), &[table]).unwrap();
        let seen = Observer::read_all(outbox.kafka, &[&outbox.topic("Order")], Isolation::ReadCommitted).unwrap();
        let rules = Rules { topic_prefix: format!("{}.", outbox.name), ..Rules::default() };
        let verdict = judge(&rows, &seen, &rules);
        assert!(verdict.is_clean() && verdict.committed > 0, "{}\n{verdict}", outbox.name);
    }
}

pub(crate) fn ids(outbox: &Outbox<'_>) -> Vec<String> {
    outbox.sorted_ids()
}

#[test]
fn every_way_of_writing_a_row_publishes_it_once_if_it_commits_compressed_or_not() {
    // With GTIDs a server refuses to change tables without transactions inside a transaction.
    let mysql = Mysql::start(MysqlOptions { gtid: false, ..MysqlOptions::default() }).unwrap();
    let plain = outbox("ways", &mysql, "");
    let compressed = outbox("ways_compressed", &mysql, "");
    let partitioned = outbox("ways_partitioned", &mysql, "PARTITION BY KEY (id) PARTITIONS 5");
    let outboxes = [&plain, &compressed, &partitioned];
    let relays = outboxes.map(|outbox| outbox.start());
    outboxes.iter().for_each(|outbox| outbox.wait_ready());
    for outbox in outboxes {
        mysql.sql(&AROUND.replace("{db}", &outbox.name)).unwrap();
        let on = if outbox.name == "ways_compressed" { "ON" } else { "OFF" };
        let mut expected = 0;
        for (statements, rows) in SESSIONS {
            run(outbox, &format!("SET SESSION binlog_transaction_compression = {on}"), statements);
            expected += rows;
        }
        outbox.wait_delivered(expected);
        assert!(ids(outbox).iter().all(|id| !id.contains("dropped") && id != "other"), "{:?}", ids(outbox));
        assert_eq!(ids(outbox).len() as u64, expected, "{:?}", ids(outbox));
        // What the server shows, and the one row that was deleted in its own transaction.
        let kept = mysql.sql(&format!("SELECT id FROM {}.outbox UNION SELECT 'd1'", outbox.name)).unwrap();
        let mut kept: Vec<_> = kept.lines().collect();
        kept.sort_unstable();
        assert_eq!(ids(outbox), kept);
    }
    relays.into_iter().for_each(end);
    let log = std::io::read_to_string(mysql.mysqlbinlog_v().unwrap()).unwrap();
    assert!(log.contains("SAVEPOINT `a``b `"), "the log holds no savepoint: this test shows less than it says");
    judged(&outboxes);
}

#[test]
fn rows_of_a_blackhole_table_and_of_large_compressed_transactions_are_published() {
    let mysql = &shared().unwrap().mysql;
    let swallowed = outbox("blackhole", mysql, "ENGINE = BLACKHOLE");
    let large = outbox("large_compressed", mysql, "");
    mysql.sql("ALTER TABLE large_compressed.outbox MODIFY payload LONGTEXT").unwrap();
    let relays = [swallowed.start(), large.start()];
    swallowed.wait_ready();
    large.wait_ready();
    run(&swallowed, "DO 0", "{v} ('b1'), ('b2'); BEGIN; {v} ('b3'); ROLLBACK; {v} ('b4')");
    // More than one window of the compressor, and more than one packet of the protocol.
    let series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT";
    let payload = "JSON_OBJECT('n', i, 'text', CONCAT(SHA2(i, 512), REPEAT(SHA2(i + 1, 512), 8)))";
    run(
        &large,
        "SET SESSION binlog_transaction_compression = ON, cte_max_recursion_depth = 100000",
        &format!(
            "INSERT INTO outbox (id, payload) {series} CONCAT('l', i), {payload} FROM n; \
             BEGIN; {{v}} ('small'); INSERT INTO outbox (id, payload) VALUES ('huge', REPEAT('x', 800000)); COMMIT"
        ),
    );
    swallowed.wait_delivered(3);
    large.wait_delivered(20_002);
    let (_, metrics) = large.get("/metrics").unwrap();
    let compressed = "outboxd_source_transactions_total{compressed=\"true\",relay=\"large_compressed\"} 2";
    assert!(metrics.lines().any(|line| line == compressed), "{metrics}");
    relays.into_iter().for_each(end);
    assert_eq!(ids(&swallowed), ["b1", "b2", "b4"]);
    let published = ids(&large);
    assert_eq!(published.len(), 20_002);
    assert!(published.windows(2).all(|pair| pair[0] != pair[1]), "a row twice");
}

#[test]
fn transactions_with_tagged_gtids_are_published_and_not_asked_for_again() {
    let outbox = outbox("tagged", &shared().unwrap().mysql, "");
    let relay = outbox.stream();
    let tagged = |tag: &str, id: &str| {
        run(
            &outbox,
            &format!("SET GTID_NEXT = 'AUTOMATIC:{tag}'"),
            &format!("{{v}} ('{id}'); SET GTID_NEXT = 'AUTOMATIC'"),
        );
    };
    tagged("tag_1", "g1");
    tagged("tag_2", "g2");
    tagged("tag_1", "g3");
    outbox.wait_delivered(3);
    end(relay);
    tagged("tag_2", "g4");
    run(&outbox, "DO 0", "{v} ('g5')");
    let relay = outbox.stream();
    outbox.wait_delivered(2);
    end(relay);
    assert_eq!(ids(&outbox), ["g1", "g2", "g3", "g4", "g5"]);
    assert!(
        outbox
            .records()
            .iter()
            .any(|record| record.header("outboxd-source").is_some_and(|at| at.contains(":tag_2:2#")))
    );
}

/// Rows that no INSERT statement wrote, or that have a key which nobody sees.
#[test]
fn loaded_rows_and_rows_of_a_table_made_by_its_rows_are_published() {
    let outbox = outbox("loaded", &shared().unwrap().mysql, "");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "f1\tOrder\nf2\tOrder\n").unwrap();
    let file = file.path().display();
    let relay = outbox.stream();
    run(&outbox, "DO 0", &format!("LOAD DATA INFILE '{file}' INTO TABLE outbox (id, aggregatetype)"));
    // The table's definition and its rows are one group.
    run(
        &outbox,
        "DO 0",
        "ALTER TABLE outbox RENAME TO old; CREATE TABLE outbox SELECT CONCAT('s', id) AS id, \
         aggregatetype, aggregateid, type, payload FROM old; DROP TABLE outbox",
    );
    run(
        &outbox,
        "SET SESSION sql_generate_invisible_primary_key = ON",
        &format!("CREATE TABLE outbox ({COLUMNS}); {{v}} ('g1'); INSERT INTO outbox (my_row_id, id) VALUES (77, 'g2')"),
    );
    outbox.wait_delivered(6);
    end(relay);
    assert_eq!(ids(&outbox), ["f1", "f2", "g1", "g2", "sf1", "sf2"]);
}

/// Rows that come into the table with a whole partition are in no log, and nobody inserted them there.
#[test]
fn rows_of_an_exchanged_partition_are_not_published_and_the_exchange_is_told() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    for (name, mysql) in [("exchange", &shared().unwrap().mysql), ("exchange_maria", &mariadb)] {
        let outbox = outbox(name, mysql, "PARTITION BY KEY (id) PARTITIONS 1");
        let mut relay = outbox.stream();
        let statements = "CREATE TABLE staged LIKE outbox; ALTER TABLE staged REMOVE PARTITIONING; \
             INSERT INTO staged (id) VALUES ('staged'); {v} ('e1'); \
             ALTER TABLE outbox EXCHANGE PARTITION p0 WITH TABLE staged; {v} ('e2')";
        run(&outbox, "DO 0", statements);
        outbox.wait_delivered(2);
        let told = |line: &str| line.contains("outbox table changed by a statement") && line.contains("ALTER");
        relay.wait_for("the exchange is told", PATIENCE, told).unwrap();
        end(relay);
        assert_eq!(ids(&outbox), ["e1", "e2"]);
    }
}

/// A lagging relay reads rows of a table that has another shape by now: names come from the log, not from the server.
#[test]
fn rows_written_before_and_after_alterations_are_read_by_the_names_of_their_time() {
    altered(&outbox("altered", &shared().unwrap().mysql, ""));
}

/// Each statement leaves a table of another shape: columns move, swap names, are hidden, computed, of another type.
pub(crate) fn altered(outbox: &Outbox<'_>) {
    end(outbox.stream());
    let set = |statement: &str| run(outbox, "DO 0", statement);
    set("{v} ('a1')");
    set(
        "ALTER TABLE outbox ADD COLUMN noise INT NOT NULL DEFAULT 7 FIRST, MODIFY payload VARCHAR(99) NOT NULL DEFAULT '{\"a\":[1,2]}' AFTER noise; {v} ('a2')",
    );
    // The names of two columns of the same type change places.
    set("ALTER TABLE outbox RENAME COLUMN aggregatetype TO tmp, RENAME COLUMN type TO aggregatetype; \
         ALTER TABLE outbox RENAME COLUMN tmp TO type; \
         INSERT INTO outbox (id, aggregatetype, type) VALUES ('a3', 'Order', 'Happened')");
    set("ALTER TABLE outbox DROP COLUMN noise, ADD COLUMN hidden INT DEFAULT 1 INVISIBLE FIRST, \
         ADD COLUMN twice VARCHAR(130) AS (CONCAT(id, id)) VIRTUAL AFTER hidden, \
         ADD COLUMN kept VARCHAR(130) AS (CONCAT(id, '!')) STORED AFTER id; \
         INSERT INTO outbox (id, aggregatetype) VALUES ('a4', 'Order')");
    set("TRUNCATE TABLE outbox; ALTER TABLE outbox MODIFY payload JSON, MODIFY aggregateid BIGINT UNSIGNED NOT NULL; \
         INSERT INTO outbox (id, aggregatetype, aggregateid, payload) VALUES ('a7', 'Order', 7, '{\"a\":[1,2]}'); \
         ALTER TABLE outbox MODIFY payload TEXT DEFAULT ('{\"a\":[1,2]}'), MODIFY aggregateid CHAR(9) DEFAULT 'k'");
    set("ALTER TABLE outbox DROP PRIMARY KEY; INSERT INTO outbox (id, aggregatetype) VALUES ('a5', 'Order')");
    set(
        "DROP TABLE outbox; CREATE TABLE outbox (payload TEXT, type INT, id INT, aggregateid INT, aggregatetype CHAR(10)); \
         INSERT INTO outbox VALUES ('{\"a\":[1,2]}', 1, 6, 1, 'Order')",
    );
    let relay = outbox.stream();
    outbox.wait_delivered(7);
    end(relay);
    assert_eq!(ids(outbox), ["6", "a1", "a2", "a3", "a4", "a5", "a7"]);
    for record in outbox.records() {
        assert_eq!(record.value.as_deref(), Some(br#"{"a":[1,2]}"#.as_slice()), "{record:?}");
        assert_eq!(record.topic, outbox.topic("Order"));
    }
}
