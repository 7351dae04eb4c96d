//! Server settings without which committed rows could be missing from the log or be unreadable. Checked on every
//! connect; all findings are reported at once, each with the statement that mends it.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::connect;
use super::server::Server;
use crate::config::Config;
use crate::error::{Code, Error, Result};

/// Error numbers: unknown table, unknown database.
const NO_SUCH_TABLE: [u16; 2] = [1146, 1049];

/// One setting that has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong and what would happen.
    pub problem: String,
    /// A statement or step that mends it.
    pub fix: String,
}

/// Checks every setting.
///
/// # Errors
/// `SourceSettings` with all findings in its message and all fixes in its fix.
pub fn ensure_ready(server: &Server, config: &Config) -> Result<()> {
    let findings: Vec<Finding> = [
        ensure_log_bin(server),
        ensure_row_format(server),
        ensure_full_image(server),
        ensure_full_metadata(server),
        ensure_error_action(server),
        ensure_replicated_rows_are_logged(server),
        ensure_own_server_id(server, config),
    ]
    .into_iter()
    .flatten()
    .chain(config.outboxes.iter().filter_map(|outbox| ensure_logged(server, &outbox.database)))
    .collect();
    if findings.is_empty() {
        return Ok(());
    }
    let join = |part: fn(&Finding) -> &str| findings.iter().map(part).collect::<Vec<_>>().join("; ");
    Err(Error::new(Code::SourceSettings, join(|f| &f.problem)).with_fix(join(|f| &f.fix)))
}

/// Looks for the outbox tables by name. A table that is not there may still be created, so this only warns; without
/// SELECT on it nothing can be said.
///
/// # Errors
/// What the connection makes of a lost server.
pub async fn look_for_tables(conn: &mut Conn, config: &Config) -> Result<()> {
    for outbox in &config.outboxes {
        let (database, table) = (outbox.database.replace('`', "``"), outbox.table.replace('`', "``"));
        match conn.query_drop(format!("SELECT 1 FROM `{database}`.`{table}` LIMIT 0")).await {
            Ok(()) => {}
            Err(mysql_async::Error::Server(e)) if NO_SUCH_TABLE.contains(&e.code) => tracing::warn!(
                outbox = outbox.name,
                table = format!("{database}.{table}"),
                "the outbox table does not exist; if its name is right, rows are read as soon as it does"
            ),
            Err(mysql_async::Error::Server(_)) => tracing::debug!(
                outbox = outbox.name,
                "the account has no SELECT on the outbox table, so its name is not checked"
            ),
            Err(error) => return Err(connect::classify(&error, "looking for the outbox tables")),
        }
    }
    Ok(())
}

fn finding(problem: impl Into<String>, fix: impl Into<String>) -> Option<Finding> {
    Some(Finding { problem: problem.into(), fix: fix.into() })
}

fn ensure_log_bin(server: &Server) -> Option<Finding> {
    if server.log_bin {
        return None;
    }
    finding("log_bin is OFF: nothing is logged", "start mysqld with --log-bin")
}

fn ensure_row_format(server: &Server) -> Option<Finding> {
    if server.binlog_format.eq_ignore_ascii_case("ROW") {
        return None;
    }
    finding(
        format!("binlog_format is {} (needed: ROW): statements do not carry rows", server.binlog_format),
        "SET PERSIST binlog_format = 'ROW'; then reconnect the applications, sessions keep the old value",
    )
}

fn ensure_full_image(server: &Server) -> Option<Finding> {
    if server.binlog_row_image.eq_ignore_ascii_case("FULL") {
        return None;
    }
    finding(
        format!("binlog_row_image is {} (needed: FULL): columns would be missing", server.binlog_row_image),
        "SET PERSIST binlog_row_image = 'FULL'; then reconnect the applications, sessions keep the old value",
    )
}

fn ensure_full_metadata(server: &Server) -> Option<Finding> {
    if server.binlog_row_metadata.eq_ignore_ascii_case("FULL") {
        return None;
    }
    finding(
        format!("binlog_row_metadata is {} (needed: FULL): columns have no names", server.binlog_row_metadata),
        "SET PERSIST binlog_row_metadata = 'FULL'",
    )
}

fn ensure_error_action(server: &Server) -> Option<Finding> {
    if server.binlog_error_action.eq_ignore_ascii_case("ABORT_SERVER") {
        return None;
    }
    finding(
        format!(
            "binlog_error_action is {} (needed: ABORT_SERVER): a full disk would leave commits out of the log",
            server.binlog_error_action
        ),
        "SET PERSIST binlog_error_action = 'ABORT_SERVER'",
    )
}

fn ensure_replicated_rows_are_logged(server: &Server) -> Option<Finding> {
    if !server.is_replica || server.log_replica_updates {
        return None;
    }
    finding(
        "log_replica_updates is OFF on a replica: rows that it replicates are not in its log",
        "start mysqld with --log-replica-updates, or read from the server that it replicates from",
    )
}

fn ensure_own_server_id(server: &Server, config: &Config) -> Option<Finding> {
    if server.id != config.source.server_id {
        return None;
    }
    finding(
        format!("source.server_id = {} equals the server's own @@server_id", server.id),
        "set source.server_id to an unused number; SHOW REPLICAS lists the used ones",
    )
}

/// `--binlog-do-db` and `--binlog-ignore-db` leave whole schemas out of the log.
fn ensure_logged(server: &Server, database: &str) -> Option<Finding> {
    let listed = |list: &str| list.split(',').any(|entry| entry.trim() == database);
    if (server.do_db.is_empty() || listed(&server.do_db)) && !listed(&server.ignore_db) {
        return None;
    }
    finding(
        format!("schema {database} is left out of the binary log by binlog-do-db or binlog-ignore-db"),
        format!("remove the filter from the server's options, or add {database} to binlog-do-db"),
    )
}
