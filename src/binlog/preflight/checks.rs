//! One check for each setting of the server.

use crate::binlog::server::{Channel, Server, Settings};
use crate::config::{ColumnNames, OutboxConfig, SourceConfig, TlsMode};
use crate::error::Code;
use crate::findings::Finding;

/// A day: less is gone before a weekend's outage is noticed.
const SHORT_RETENTION: u64 = 86_400;

/// Differences of clocks below this come from the way to the server and back.
const CLOCK_TOLERANCE: f64 = 2.0;

fn wrong(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::wrong(Code::SourceSettings, check, what, fix)
}

/// A setting that must have one value.
fn needs(check: &'static str, value: &str, needed: &str, otherwise: &str, then: &str) -> Finding {
    if value.eq_ignore_ascii_case(needed) {
        return Finding::good(check, value);
    }
    let what = format!("{check} is {value} (needed: {needed}): {otherwise}");
    wrong(check, what, format!("SET PERSIST {check} = '{needed}'{then}"))
}

/// MariaDB knows no SET PERSIST: what is set lasts until the server restarts.
pub(super) fn in_mariadbs_words(finding: &mut Finding) {
    if finding.fix.contains("SET PERSIST") {
        finding.fix = finding.fix.replace("SET PERSIST", "SET GLOBAL");
        finding.fix += "; set it in the server's option file, too";
    }
}

/// Sessions take their value when they begin.
const RECONNECT: &str = "; then reconnect the applications, sessions keep the old value";

pub(super) fn privileges(server: &Server) -> Vec<Finding> {
    if server.refused.is_empty() {
        return vec![Finding::good("privileges", format!("{} may read the log and its status", server.account))];
    }
    let (user, host) = server.account.rsplit_once('@').unwrap_or((&server.account, "%"));
    let status = if server.mariadb.is_some() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
    let fix = format!("GRANT REPLICATION SLAVE, {status} ON *.* TO '{user}'@'{host}'");
    let refused = |refused: &crate::binlog::server::Refused| {
        let what = format!("{} lacks {}: {}", server.account, refused.privilege, refused.answer);
        Finding::wrong(Code::SourcePrivilege, "privileges", what, fix.clone())
    };
    server.refused.iter().map(refused).collect()
}

pub(super) fn log_bin(settings: &Settings) -> Finding {
    if settings.log_bin {
        return Finding::good("log_bin", "ON");
    }
    wrong("log_bin", "log_bin is OFF: nothing is logged", "start mysqld with --log-bin")
}

pub(super) fn row_format(settings: &Settings) -> Finding {
    needs("binlog_format", &settings.binlog_format, "ROW", "statements do not carry rows", RECONNECT)
}

pub(super) fn row_image(settings: &Settings) -> Finding {
    needs("binlog_row_image", &settings.binlog_row_image, "FULL", "columns would be missing", RECONNECT)
}

pub(super) fn row_metadata(settings: &Settings, names: ColumnNames) -> Finding {
    if names == ColumnNames::InformationSchema {
        return Finding::good("binlog_row_metadata", "names come from information_schema where the log has none");
    }
    needs("binlog_row_metadata", &settings.binlog_row_metadata, "FULL", "columns have no names", "")
}

pub(super) fn error_action(settings: &Settings) -> Finding {
    let otherwise = "a full disk would leave commits out of the log";
    needs("binlog_error_action", &settings.binlog_error_action, "ABORT_SERVER", otherwise, "")
}

pub(super) fn replicated_rows_are_logged(settings: &Settings) -> Finding {
    const CHECK: &str = "log_replica_updates";
    if settings.log_replica_updates {
        return Finding::good(CHECK, "ON");
    }
    if settings.channels.is_empty() {
        return Finding::good(CHECK, "OFF, but the server is no replica");
    }
    wrong(
        CHECK,
        "log_replica_updates is OFF on a replica: rows that it replicates are not in its log",
        "start mysqld with --log-replica-updates, or read from the server that it replicates from",
    )
}

pub(super) fn server_id(server: &Server) -> Finding {
    if server.id != 0 {
        return Finding::good("server_id", server.id.to_string());
    }
    wrong("server_id", "server_id is 0: the server refuses replicas", "SET PERSIST server_id = 1")
}

/// Two readers with one id push each other out; so the ids of those who are connected are looked at first.
pub(super) fn own_server_id(server: &Server, source: &SourceConfig) -> Finding {
    const CHECK: &str = "source.server_id";
    let id = source.server_id;
    let mut used: Vec<u32> = server.replicas.iter().map(|replica| replica.id).collect();
    used.push(server.id);
    used.sort_unstable();
    used.dedup();
    let used: Vec<String> = used.iter().map(ToString::to_string).collect();
    let fix = format!("set source.server_id to a number that no replica has; in use now: {}", used.join(", "));
    if server.id == id {
        return wrong(CHECK, format!("source.server_id = {id} equals the server's own @@server_id"), fix);
    }
    // The same relay, or a connection of it that the server has not missed yet, is nobody else.
    let ours = source.replica_uuid.to_string();
    let is_other = |uuid: &Option<String>| uuid.as_ref().is_some_and(|uuid| *uuid != ours);
    match server.replicas.iter().find(|replica| replica.id == id && is_other(&replica.uuid)) {
        None => Finding::good(CHECK, format!("{id}, used by nobody else")),
        Some(other) => {
            let what = format!(
                "source.server_id = {id} is in use by another replica of the server (host {:?}, uuid {:?})",
                other.host,
                other.uuid.as_deref().unwrap_or_default()
            );
            Finding::wrong(Code::ServerIdTaken, CHECK, what, fix)
        }
    }
}

pub(super) fn gtid_mode(server: &Server) -> Finding {
    match server.gtid_mode.as_str() {
        _ if server.mariadb.is_some() => Finding::good("gtid_mode", "MariaDB, which always has GTIDs"),
        "ON" => Finding::good("gtid_mode", "ON"),
        mode => Finding::warning(
            "gtid_mode",
            format!(
                "gtid_mode is {mode}: positions are files and offsets of this server, so a failover cannot be followed"
            ),
            "turn GTIDs on step by step (MySQL manual, \"Changing GTID Mode on Online Servers\") before the first start",
        ),
    }
}

pub(super) fn sync_binlog(settings: &Settings) -> Finding {
    durable("sync_binlog", settings.sync_binlog)
}

pub(super) fn flush_at_commit(settings: &Settings) -> Finding {
    durable("innodb_flush_log_at_trx_commit", settings.flush_log_at_commit)
}

fn durable(check: &'static str, value: u64) -> Finding {
    if value == 1 {
        return Finding::good(check, "1");
    }
    Finding::warning(
        check,
        format!(
            "{check} is {value} (1 is safe): a power loss can take back commits that are published already, and give \
             their GTIDs to others"
        ),
        format!("SET PERSIST {check} = 1"),
    )
}

pub(super) fn checksum(settings: &Settings) -> Finding {
    const CHECK: &str = "binlog_checksum";
    if !settings.binlog_checksum.eq_ignore_ascii_case("NONE") {
        return Finding::good(CHECK, &settings.binlog_checksum);
    }
    Finding::warning(
        CHECK,
        "binlog_checksum is NONE: damage on disk or on the way is noticed only if it breaks an event's structure",
        "SET PERSIST binlog_checksum = 'CRC32'",
    )
}

pub(super) fn retention(settings: &Settings) -> Finding {
    const CHECK: &str = "binlog_expire_logs_seconds";
    match settings.binlog_expire_seconds {
        0 => Finding::good(CHECK, "0: logs are kept"),
        seconds if seconds >= SHORT_RETENTION => Finding::good(CHECK, seconds.to_string()),
        seconds => Finding::warning(
            CHECK,
            format!("{CHECK} is {seconds}: after a longer outage the rows between are gone"),
            format!("SET PERSIST {CHECK} = 604800"),
        ),
    }
}

pub(super) fn commit_order(settings: &Settings) -> Finding {
    const CHECK: &str = "replica_preserve_commit_order";
    if settings.channels.is_empty() {
        return Finding::good(CHECK, "the server is no replica");
    }
    if settings.replica_preserves_order || settings.replica_workers <= 1 {
        return Finding::good(CHECK, "transactions are in the order of the primary");
    }
    Finding::warning(
        CHECK,
        format!(
            "{CHECK} is OFF with {} workers: records are in the order of this replica's log, not of the primary's",
            settings.replica_workers
        ),
        format!("STOP REPLICA; SET PERSIST {CHECK} = ON; START REPLICA"),
    )
}

pub(super) fn clock(settings: &Settings) -> Finding {
    let ahead = settings.clock_ahead;
    if ahead.abs() < CLOCK_TOLERANCE {
        return Finding::good("clock", "server and outboxd agree on the time");
    }
    let side = if ahead > 0.0 { "ahead of" } else { "behind" };
    Finding::warning(
        "clock",
        format!("the server's clock is {:.1} s {side} outboxd's: lag and latency are shown wrong by that", ahead.abs()),
        "synchronise both clocks (NTP)",
    )
}

pub(super) fn tls(settings: &Settings, source: &SourceConfig) -> Finding {
    match (&settings.tls, source.tls.mode) {
        (Some(reached), TlsMode::Required) => Finding::warning(
            "tls",
            format!("{reached}, but the server is not verified: anyone on the path can pose as it"),
            "set source.tls.mode = \"verify-identity\" and source.tls.ca",
        ),
        (Some(reached), _) => Finding::good("tls", format!("{reached}, server verified")),
        (None, _) => Finding::good("tls", "not encrypted, as configured"),
    }
}

fn listed(list: &str, name: &str) -> bool {
    list.split(',').any(|entry| entry.trim() == name)
}

/// Whether a pair of lists, "only these" and "not these", leaves a name out.
fn leaves_out(only: &str, never: &str, name: &str) -> bool {
    (!only.is_empty() && !listed(only, name)) || listed(never, name)
}

/// `--binlog-do-db` and `--binlog-ignore-db` leave whole schemas out of the log.
pub(super) fn schema_is_logged(settings: &Settings, outbox: &OutboxConfig) -> Finding {
    const CHECK: &str = "binlog-do-db";
    let database = &outbox.database;
    if !leaves_out(&settings.do_db, &settings.ignore_db, database) {
        return Finding::good(CHECK, format!("schema {database} is logged"));
    }
    wrong(
        CHECK,
        format!("schema {database} is left out of the binary log by binlog-do-db or binlog-ignore-db"),
        format!("remove the filter from the server's options, or add {database} to binlog-do-db"),
    )
}

/// What a replica's channel leaves out never comes into its log.
pub(super) fn is_replicated(channel: &Channel, outbox: &OutboxConfig) -> Finding {
    const CHECK: &str = "replicate-do-db";
    let (database, table) = (&outbox.database, format!("{}.{}", outbox.database, outbox.table));
    if leaves_out(&channel.do_db, &channel.ignore_db, database)
        || leaves_out(&channel.do_table, &channel.ignore_table, &table)
    {
        return wrong(
            CHECK,
            format!("{table} is left out by a replication filter of this replica: its rows are not in the log"),
            format!("remove the filter (CHANGE REPLICATION FILTER), or add {table} to it"),
        );
    }
    if channel.wild.is_empty() {
        return Finding::good(CHECK, format!("{table} is replicated"));
    }
    Finding::warning(
        CHECK,
        format!("this replica has a filter by pattern ({}), which is not checked against {table}", channel.wild),
        format!("make sure that the pattern lets {table} through"),
    )
}
