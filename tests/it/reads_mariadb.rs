//! MariaDB is a source like MySQL: whatever way a row is committed, by GTID and by file, it is published exactly once.

use testbed::{Mysql, MysqlOptions};

use crate::reads_every_committed_row::{AROUND, Case, SESSIONS, altered, ids, judged, outbox, run};
use crate::support::Outbox;
use crate::support::ending::{end, stopped};

/// Ways of MariaDB's own; what `SESSIONS` means.
const ITS_OWN: &[Case] = &[
    // The two halves of an ALTER are groups of their own.
    (
        "SET SESSION binlog_alter_two_phase = 1; {v} ('alter-1'); ALTER TABLE outbox ADD COLUMN extra INT, ALGORITHM = COPY; \
         {v} ('alter-2'); SET SESSION binlog_alter_two_phase = 0; ALTER TABLE outbox DROP COLUMN extra",
        2,
    ),
    (
        "SET SESSION gtid_domain_id = 7; {v} ('domain-1'); {v} ('domain-2'); SET SESSION gtid_domain_id = 0; {v} ('domain-3')",
        3,
    ),
    (
        "SET SESSION binlog_annotate_row_events = 0; {v} ('bare-1'), ('bare-2'); SET SESSION binlog_annotate_row_events = 1",
        2,
    ),
    ("CREATE SEQUENCE numbers; INSERT INTO outbox (id) VALUES (CONCAT('n', NEXT VALUE FOR numbers))", 1),
    ("CREATE OR REPLACE TABLE copied2 SELECT * FROM outbox; CREATE OR REPLACE TABLE copied2 SELECT * FROM outbox", 0),
    ("INSERT INTO outbox (id) VALUES ('returned') RETURNING id", 1),
    ("SET timestamp = 1700000000.5; {v} ('clock'); SET timestamp = DEFAULT", 1),
    ("XA START 'one'; {v} ('one-phase'); XA END 'one'; XA COMMIT 'one' ONE PHASE", 1),
];

/// How positions are kept, whether the server compresses its events, and what the outbox is.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("maria_gtid", "gtid", "OFF", ""),
    ("maria_file", "file", "OFF", "PARTITION BY KEY (id) PARTITIONS 5"),
    ("maria_compressed", "gtid", "ON", ""),
];

fn outbox_by<'a>(name: &str, mariadb: &'a Mysql, positions: &str, options: &str) -> Outbox<'a> {
    let mut outbox = outbox(name, mariadb, options);
    outbox.extra = format!("source.positions = \"{positions}\"\n");
    outbox
}

#[test]
fn every_way_of_writing_a_row_publishes_it_once_if_it_commits() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let outboxes = KINDS.map(|(name, positions, _, options)| outbox_by(name, &mariadb, positions, options));
    let relays = outboxes.each_ref().map(|outbox| outbox.start());
    outboxes.iter().for_each(|outbox| outbox.wait_ready());
    for (outbox, (_, _, compress, _)) in outboxes.iter().zip(KINDS) {
        mariadb
            .sql(&format!("SET GLOBAL log_bin_compress_min_len = 10, GLOBAL log_bin_compress = {compress}"))
            .unwrap();
        mariadb.sql(&AROUND.replace("{db}", &outbox.name)).unwrap();
        let mut expected = 0;
        for (statements, rows) in SESSIONS.iter().chain(ITS_OWN) {
            run(outbox, "DO 0", statements);
            expected += rows;
        }
        outbox.wait_delivered(expected);
        assert!(ids(outbox).iter().all(|id| !id.contains("dropped") && id != "other"), "{:?}", ids(outbox));
        assert_eq!(ids(outbox).len() as u64, expected, "{:?}", ids(outbox));
        // The time of a group is that of its session, in seconds.
        let records = outbox.records();
        let clock = records.iter().find(|record| record.header("id") == Some("clock")).unwrap();
        assert_eq!(clock.timestamp, Some(1_700_000_000_000));
    }
    relays.into_iter().for_each(end);
    let log = std::io::read_to_string(mariadb.mysqlbinlog_v().unwrap()).unwrap();
    for kind in
        ["Write_compressed_rows", "START ALTER", "COMMIT ALTER", "SAVEPOINT `a``b `", "GTID 7-1-", "Query_compressed"]
    {
        assert!(log.contains(kind), "the log holds no {kind}: this test shows less than it says");
    }
    judged(&outboxes.each_ref());
    // Each resumes behind its checkpoint, whose last group lies in a domain of its own.
    let relays = outboxes.each_ref().map(|outbox| outbox.start());
    for outbox in &outboxes {
        outbox.wait_ready();
        run(outbox, "DO 0", "{v} ('resumed')");
        outbox.wait_delivered(1);
    }
    relays.into_iter().for_each(end);
    judged(&outboxes.each_ref());
    altered(&outbox_by("maria_altered", &mariadb, "gtid", ""));
}

fn with_plugin(plugin: &str, mut extra: Vec<String>) -> Mysql {
    let plugins = testbed::cache::Servers::find().unwrap().mariadb.basedir.unwrap().join("lib/mysql/plugin");
    extra.extend([format!("--plugin-dir={}", plugins.display()), format!("--plugin-load-add={plugin}")]);
    Mysql::start(MysqlOptions { extra, ..MysqlOptions::mariadb() }).unwrap()
}

#[test]
fn rows_of_a_blackhole_table_are_published() {
    let mariadb = with_plugin("ha_blackhole", Vec::new());
    let outbox = outbox_by("maria_blackhole", &mariadb, "gtid", "ENGINE = BLACKHOLE");
    let relay = outbox.stream();
    run(&outbox, "DO 0", "{v} ('b1'), ('b2'); BEGIN; {v} ('b3'); ROLLBACK; {v} ('b4')");
    outbox.wait_delivered(3);
    end(relay);
    assert_eq!(ids(&outbox), ["b1", "b2", "b4"]);
}

/// A session may set its clock, which is then the commit time of its groups: the order is the log's, and no lag is negative.
#[test]
fn clocks_that_jump_change_no_order() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let outbox = outbox_by("maria_clock", &mariadb, "gtid", "");
    let relay = outbox.stream();
    let mut expected = 0;
    for (id, seconds) in [("c1", 1_800), ("c2", -86_400), ("c3", 900), ("c4", 0)] {
        run(&outbox, "DO 0", &format!("SET timestamp = UNIX_TIMESTAMP() + {seconds}; {{v}} ('{id}')"));
        expected += 1;
        outbox.wait_delivered(expected);
        let (_, metrics) = outbox.get("/metrics").unwrap();
        let lag = metrics.lines().find_map(|line| line.strip_prefix("outboxd_lag_seconds{relay=\"maria_clock\"} "));
        assert!(lag.unwrap().parse::<f64>().unwrap() >= 0.0, "{metrics}");
    }
    end(relay);
    let mut records = outbox.records();
    records.sort_by_key(|record| record.offset);
    let published: Vec<_> = records.iter().map(|record| record.header("id").unwrap()).collect();
    assert_eq!(published, ["c1", "c2", "c3", "c4"]);
    let times: Vec<_> = records.iter().map(|record| record.timestamp.unwrap()).collect();
    assert!(times[1] < times[3] && times[3] < times[2] && times[2] < times[0], "{times:?}");
}

/// Binlog encryption is the server's own affair: what it sends is plain, behind an event that says how it was encrypted.
#[test]
fn an_encrypted_log_is_read_like_a_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "1;770A8A65DA156D24EE2A093277530142\n").unwrap();
    let keys = format!("--file-key-management-filename={}", keys.display());
    let mariadb = with_plugin("file_key_management", vec![keys, "--encrypt-binlog=ON".to_owned()]);
    for (name, positions) in [("maria_encrypted_gtid", "gtid"), ("maria_encrypted_file", "file")] {
        let outbox = outbox_by(name, &mariadb, positions, "");
        let relay = outbox.stream();
        run(&outbox, "DO 0", "{v} ('e1'); FLUSH BINARY LOGS; {v} ('e2')");
        outbox.wait_delivered(2);
        end(relay);
        run(&outbox, "DO 0", "{v} ('e3'); FLUSH BINARY LOGS");
        let relay = outbox.stream();
        outbox.wait_delivered(1);
        end(relay);
        assert_eq!(ids(&outbox), ["e1", "e2", "e3"]);
    }
}

#[test]
fn what_cannot_be_known_stops_it() {
    let mariadb = Mysql::start(MysqlOptions::mariadb()).unwrap();
    let poisons = [
        ("maria_statement", "SET SESSION binlog_format = 'STATEMENT'; {v} ('m')", "OBX-2304", "in statement format"),
        (
            "maria_replace",
            "{v} ('m'); REPLACE INTO outbox (id, type) VALUES ('m', 'Changed')",
            "OBX-3005",
            "was updated",
        ),
        ("maria_image", "SET SESSION binlog_row_image = 'MINIMAL'; {v} ('m')", "OBX-3002", "binlog_row_image"),
        ("maria_names", "SET GLOBAL binlog_row_metadata = 'MINIMAL'; {v} ('m')", "OBX-3004", "binlog_row_metadata"),
    ];
    for (name, poison, code, words) in poisons {
        let outbox = outbox_by(name, &mariadb, "gtid", "");
        let relay = outbox.stream();
        run(&outbox, "DO 0", &format!("{{v}} ('a'); {poison}"));
        let line = stopped(relay).line;
        assert!(line.contains(code) && line.contains(words), "{name}: {line}");
        assert!(ids(&outbox).starts_with(&["a".to_owned()]) && ids(&outbox).len() <= 2, "{:?}", ids(&outbox));
    }
    mariadb.sql("SET GLOBAL binlog_row_metadata = MINIMAL, GLOBAL binlog_format = MIXED").unwrap();
    stopped(outbox("maria_settings", &mariadb, "").start()).because(
        "OBX-2101",
        78,
        &["binlog_row_metadata is MINIMAL (needed: FULL)", "binlog_format is MIXED (needed: ROW)"],
        "SET GLOBAL binlog_row_metadata = 'FULL'",
    );
}
