//! What the server says of itself: identity, settings, logs, GTID sets. Read once after each connect.

use std::time::{SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::connect;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, Gtid, GtidSet, PositionMode};

mod mariadb;
mod mysql;

pub use mariadb::MariadbGtids;
pub(super) use mariadb::identity;

/// A binlog file that the server still has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// File name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// Identity, settings and logs of a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// `@@version`
    pub version: String,
    /// How positions are kept.
    pub mode: PositionMode,
    /// `@@server_uuid`; on MariaDB, which has none, made of `@@server_id`.
    pub uuid: String,
    /// `@@server_id`
    pub id: u32,
    /// `@@gtid_mode`; on MariaDB, which always has GTIDs, empty.
    pub gtid_mode: String,
    /// `@@gtid_executed`; empty on MariaDB.
    pub executed: GtidSet,
    /// `@@gtid_purged`; empty on MariaDB.
    pub purged: GtidSet,
    /// The GTIDs of a MariaDB; none on MySQL.
    pub mariadb: Option<MariadbGtids>,
    /// End of the log.
    pub end: FilePosition,
    /// Oldest first.
    pub logs: Vec<LogFile>,
    /// What decides whether committed rows are in the log, and readable.
    pub settings: Settings,
    /// Who reads its log, as they registered.
    pub replicas: Vec<Replica>,
    /// The account that outboxd has logged in as, `user@host`.
    pub account: String,
    /// Questions that the account may not ask.
    pub refused: Vec<Refused>,
}

/// Settings that [`super::preflight`] judges.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `@@log_bin`
    pub log_bin: bool,
    /// `@@binlog_format`
    pub binlog_format: String,
    /// `@@binlog_row_image`
    pub binlog_row_image: String,
    /// `@@binlog_row_metadata`
    pub binlog_row_metadata: String,
    /// `@@binlog_error_action`
    pub binlog_error_action: String,
    /// `@@binlog_checksum`
    pub binlog_checksum: String,
    /// `@@binlog_expire_logs_seconds`; 0: never.
    pub binlog_expire_seconds: u64,
    /// `@@sync_binlog`
    pub sync_binlog: u64,
    /// `@@innodb_flush_log_at_trx_commit`
    pub flush_log_at_commit: u64,
    /// `@@log_replica_updates`
    pub log_replica_updates: bool,
    /// `@@replica_parallel_workers`
    pub replica_workers: u64,
    /// `@@replica_preserve_commit_order`
    pub replica_preserves_order: bool,
    /// `Binlog_Do_DB` of the status: schemas that are logged, if limited.
    pub do_db: String,
    /// `Binlog_Ignore_DB` of the status.
    pub ignore_db: String,
    /// A replica's channels: what each of them leaves out.
    pub channels: Vec<Channel>,
    /// Version and cipher of this connection's TLS; `None`: not encrypted.
    pub tls: Option<String>,
    /// How far the server's clock is ahead of ours, seconds.
    pub clock_ahead: f64,
}

/// The filters of one replication channel; a server with a channel is a replica.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// `Replicate_Do_DB`
    pub do_db: String,
    /// `Replicate_Ignore_DB`
    pub ignore_db: String,
    /// `Replicate_Do_Table`
    pub do_table: String,
    /// `Replicate_Ignore_Table`
    pub ignore_table: String,
    /// `Replicate_Wild_Do_Table` and `Replicate_Wild_Ignore_Table`
    pub wild: String,
}

/// A line of SHOW REPLICAS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Its server id.
    pub id: u32,
    /// The host that it says it is.
    pub host: String,
    /// Its `server_uuid`, or what it gives for one; MariaDB's have none.
    pub uuid: Option<String>,
}

/// A question that the account may not ask.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The privilege that is missing.
    pub privilege: &'static str,
    /// What was asked, and the server's answer.
    pub answer: String,
}

impl Server {
    /// Asks the server. What needs a privilege that the account lacks stays empty, and stands in `refused`.
    ///
    /// # Errors
    /// `SourceLost`, `SourceVersion`.
    pub async fn read(conn: &mut Conn) -> Result<Self> {
        let version = text(&first(conn, "SELECT @@version").await?, 0);
        if version.contains("MariaDB") { mariadb::read(conn, version).await } else { mysql::read(conn, version).await }
    }

    /// `None` if the account may not ask.
    fn note_refusal<T>(&mut self, privilege: &'static str, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Err(error) if error.code() == Code::SourcePrivilege => {
                self.refused.push(Refused { privilege, answer: error.chain() });
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// The end of the log and its filters, from the first row of a status.
    fn take_status(&mut self, status: &Row) {
        self.end = FilePosition { file: text(status, 0).as_str().into(), offset: number(status, 1) };
        self.settings.do_db = text(status, 2);
        self.settings.ignore_db = text(status, 3);
    }

    /// Whose server it is.
    pub fn flavour(&self) -> Flavour {
        if self.mariadb.is_some() { Flavour::Mariadb } else { Flavour::Mysql }
    }

    /// Whether the server has executed a transaction, as far as its GTIDs tell.
    pub fn has_executed(&self, gtid: &Gtid) -> bool {
        match (gtid, &self.mariadb) {
            (Gtid::Mysql(gtid), None) => self.executed.contains(gtid),
            (Gtid::Mariadb(gtid), Some(mariadb)) => mariadb.state.has_passed(*gtid),
            _ => false,
        }
    }
}

async fn logs(conn: &mut Conn) -> Result<Vec<LogFile>> {
    let rows = all(conn, "SHOW BINARY LOGS").await?;
    Ok(rows.iter().map(|row| LogFile { name: text(row, 0), size: number(row, 1) }).collect())
}

/// The replication filters of a row of the replica's status.
fn channel(row: &Row) -> Channel {
    let named = |name: &str| row.get::<Option<String>, _>(name).flatten().unwrap_or_default();
    let wild = [named("Replicate_Wild_Do_Table"), named("Replicate_Wild_Ignore_Table")];
    Channel {
        do_db: named("Replicate_Do_DB"),
        ignore_db: named("Replicate_Ignore_DB"),
        do_table: named("Replicate_Do_Table"),
        ignore_table: named("Replicate_Ignore_Table"),
        wild: wild.join(""),
    }
}

/// TLS of this connection.
async fn tls(conn: &mut Conn) -> Result<Option<String>> {
    let version = text(&first(conn, "SHOW SESSION STATUS LIKE 'Ssl_version'").await?, 1);
    let cipher = text(&first(conn, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").await?, 1);
    Ok((!version.is_empty()).then(|| format!("{version}, {cipher}")))
}

/// How far a server's clock, read just now in seconds since the epoch, is ahead of ours.
fn ahead(theirs: &str) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    theirs.parse::<f64>().map_or(0.0, |theirs| theirs - now)
}

async fn first(conn: &mut Conn, statement: &str) -> Result<Row> {
    conn.query_first(statement)
        .await
        .map_err(|e| connect::classify(&e, statement))?
        .ok_or_else(|| Error::new(Code::SourceLost, format!("{statement}: no answer")))
}

async fn all(conn: &mut Conn, statement: &str) -> Result<Vec<Row>> {
    conn.query(statement).await.map_err(|e| connect::classify(&e, statement))
}

fn text(row: &Row, index: usize) -> String {
    row.get::<Option<String>, _>(index).flatten().unwrap_or_default()
}

fn number(row: &Row, index: usize) -> u64 {
    row.get::<Option<u64>, _>(index).flatten().unwrap_or_default()
}
