use super::*;
use crate::binlog::columns::Described;
use crate::binlog::server::{Channel, Refused, Replica, Settings};
use crate::binlog::table::ColumnKind;
use crate::binlog::testing::sound_server;
use crate::config::testing;
use crate::error::Code;
use crate::findings::{Level, ensure_none_wrong};

fn config() -> Config {
    testing::config(&["outbox.main.table=shop.outbox"])
}

fn described(names: &[&str]) -> Vec<Described> {
    let column = |name: &&str| Described {
        name: (*name).into(),
        declaration: "json".into(),
        kind: Some(ColumnKind::Json { length_bytes: 4 }),
        nullable: true,
    };
    names.iter().map(column).collect()
}

fn table() -> TableFacts {
    let columns = described(&["id", "aggregatetype", "aggregateid", "type", "payload"]);
    TableFacts::Table { engine: "InnoDB".into(), transactional: true, columns }
}

fn found(server: &Server, table: &TableFacts, resuming: bool) -> Vec<Finding> {
    inspect(&Facts { server, tables: std::slice::from_ref(table), config: &config(), resuming })
}

/// The one finding that is not good after a change to a sound server.
fn after(change: impl FnOnce(&mut Server)) -> Finding {
    let mut server = sound_server();
    change(&mut server);
    let mut bad: Vec<_> = found(&server, &table(), false).into_iter().filter(|f| f.level != Level::Good).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    bad.remove(0)
}

#[track_caller]
fn is(finding: &Finding, level: Level, check: &str, fix: &str) {
    assert_eq!((finding.level, finding.check), (level, check), "{finding:?}");
    assert!(finding.fix.contains(fix), "{finding:?}");
    assert!(!finding.what.is_empty(), "{finding:?}");
}

#[test]
fn nothing_is_found_on_a_sound_server() {
    let found = found(&sound_server(), &table(), false);
    let bad: Vec<_> = found.iter().filter(|finding| finding.level != Level::Good).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(found.len() >= 20, "{}", found.len());
}

/// A change of settings, how bad it is, the check that finds it, and words of its fix.
type Case = (fn(&mut Settings), Level, &'static str, &'static str);

#[test]
fn each_setting_has_a_finding_of_its_own() {
    const WRONG: Level = Level::Wrong;
    const WARNING: Level = Level::Warning;
    let cases: [Case; 15] = [
        (|s| s.log_bin = false, WRONG, "log_bin", "--log-bin"),
        (|s| s.binlog_format = "MIXED".into(), WRONG, "binlog_format", "SET PERSIST binlog_format = 'ROW'; then"),
        (|s| s.binlog_row_image = "MINIMAL".into(), WRONG, "binlog_row_image", "binlog_row_image = 'FULL'; then"),
        (|s| s.binlog_row_metadata = "MINIMAL".into(), WRONG, "binlog_row_metadata", "= 'FULL'"),
        (|s| s.binlog_error_action = "IGNORE_ERROR".into(), WRONG, "binlog_error_action", "= 'ABORT_SERVER'"),
        (|s| s.do_db = "a,b".into(), WRONG, "binlog-do-db", "add shop"),
        (|s| s.ignore_db = "a,shop".into(), WRONG, "binlog-do-db", "remove the filter"),
        (|s| s.sync_binlog = 0, WARNING, "sync_binlog", "SET PERSIST sync_binlog = 1"),
        (|s| s.flush_log_at_commit = 2, WARNING, "innodb_flush_log_at_trx_commit", "= 1"),
        (|s| s.binlog_checksum = "NONE".into(), WARNING, "binlog_checksum", "'CRC32'"),
        (|s| s.binlog_expire_seconds = 3600, WARNING, "binlog_expire_logs_seconds", "SET PERSIST"),
        (|s| s.clock_ahead = -60.0, WARNING, "clock", "NTP"),
        (|s| s.channels = vec![Channel { do_db: "a".into(), ..Channel::default() }], WRONG, "replicate-do-db", "add"),
        (
            |s| s.channels = vec![Channel { ignore_table: "shop.outbox".into(), ..Channel::default() }],
            WRONG,
            "replicate-do-db",
            "remove",
        ),
        (
            |s| s.channels = vec![Channel { wild: "x%.%".into(), ..Channel::default() }],
            WARNING,
            "replicate-do-db",
            "pattern",
        ),
    ];
    for (change, level, check, fix) in cases {
        is(&after(|server| change(&mut server.settings)), level, check, fix);
    }
}

#[test]
fn a_replica_must_log_what_it_replicates_and_should_keep_its_order() {
    let replica = |server: &mut Server| server.settings.channels = vec![Channel::default()];
    let finding = after(|server| {
        replica(server);
        server.settings.log_replica_updates = false;
    });
    is(&finding, Level::Wrong, "log_replica_updates", "--log-replica-updates");
    let finding = after(|server| {
        replica(server);
        server.settings.replica_preserves_order = false;
    });
    is(&finding, Level::Warning, "replica_preserve_commit_order", "STOP REPLICA");
    let mut server = sound_server();
    server.settings.log_replica_updates = false;
    assert!(ensure_none_wrong(&found(&server, &table(), false)).is_ok());
}

#[test]
fn a_server_id_is_nobody_elses() {
    let id = config().source.server_id;
    is(&after(|server| server.id = 0), Level::Wrong, "server_id", "SET PERSIST server_id");
    is(&after(|server| server.id = id), Level::Wrong, "source.server_id", &format!("in use now: {id}"));
    let other = Replica { id, host: "db7".into(), uuid: Some("37c4df8a-e6bc-11f1-b392-02fc00000007".into()) };
    let finding = after(|server| server.replicas = vec![other.clone(), Replica { id: 42, ..other.clone() }]);
    is(&finding, Level::Wrong, "source.server_id", "in use now: 1, 42");
    assert_eq!(finding.code, Some(Code::ServerIdTaken));
    assert!(finding.what.contains("db7") && finding.what.contains(&id.to_string()), "{}", finding.what);
    // This relay's own connection, which the server has not missed yet.
    let mut server = sound_server();
    server.replicas = vec![Replica { uuid: Some(config().source.replica_uuid.to_string()), ..other }];
    assert!(ensure_none_wrong(&found(&server, &table(), false)).is_ok());
}

#[test]
fn missing_privileges_come_first_and_name_the_account() {
    let mut server = sound_server();
    server.settings.binlog_format = "MIXED".into();
    server.refused = vec![Refused { privilege: "REPLICATION SLAVE", answer: "SHOW REPLICAS: no".into() }];
    let error = ensure_none_wrong(&found(&server, &table(), false)).unwrap_err();
    assert_eq!(error.code(), Code::SourcePrivilege);
    assert!(error.message().contains("lacks REPLICATION SLAVE: SHOW REPLICAS: no; binlog_format"), "{error}");
    assert!(error.fix().starts_with("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'outboxd'@'%'; SET"));
}

#[test]
fn tables_are_judged_as_far_as_they_can_be_seen() {
    let server = sound_server();
    let of = |table: &TableFacts, resuming| {
        let found = found(&server, table, resuming);
        found.into_iter().find(|finding| finding.level != Level::Good).unwrap()
    };
    is(&of(&TableFacts::Missing, false), Level::Warning, "outbox table", "outbox.main.table");
    is(
        &of(&TableFacts::Hidden, false),
        Level::Warning,
        "outbox table",
        "GRANT SELECT ON `shop`.`outbox` TO 'outboxd'@'%'",
    );
    let columns = described(&["id", "aggregatetype", "aggregateid"]);
    let table = |engine: &str, transactional| TableFacts::Table {
        engine: engine.into(),
        transactional,
        columns: columns.clone(),
    };
    is(&of(&table("MyISAM", false), false), Level::Wrong, "outbox engine", "ALTER TABLE `shop`.`outbox` ENGINE=InnoDB");
    is(&of(&table("", false), false), Level::Wrong, "outbox engine", "name that table");
    let missing = of(&table("BLACKHOLE", false), false);
    is(&missing, Level::Wrong, "outbox columns", "[outbox.main]");
    assert_eq!(missing.code, Some(Code::ColumnMissing));
    is(&of(&table("InnoDB", true), true), Level::Warning, "outbox columns", "or add the column");
    let mut columns = described(&["id", "aggregatetype", "aggregateid", "payload"]);
    columns[3].kind = None;
    let unshowable = of(&TableFacts::Table { engine: "InnoDB".into(), transactional: true, columns }, true);
    is(&unshowable, Level::Wrong, "outbox column types", "Use another column");
    assert_eq!(unshowable.code, Some(Code::ColumnType));
}
