//! What the server says of itself: identity, settings, logs, GTID sets. Read once after each connect.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::connect;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, Gtid, GtidSet, PositionMode};

mod mariadb;

pub use mariadb::MariadbGtids;

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
    /// `@@log_bin`
    pub log_bin: bool,
    /// `@@binlog_format`
    pub binlog_format: String,
    /// `@@binlog_row_image`
    pub binlog_row_image: String,
    /// `@@binlog_row_metadata`
    pub binlog_row_metadata: String,
    /// Whether it replicates from another server itself.
    pub is_replica: bool,
    /// `@@log_replica_updates`
    pub log_replica_updates: bool,
    /// `@@binlog_error_action`
    pub binlog_error_action: String,
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
    /// `Binlog_Do_DB` of the status: schemas that are logged, if limited.
    pub do_db: String,
    /// `Binlog_Ignore_DB` of the status.
    pub ignore_db: String,
    /// Oldest first.
    pub logs: Vec<LogFile>,
}

const VARIABLES: &str = "SELECT @@version, @@server_uuid, @@server_id, @@log_bin, @@binlog_format, @@binlog_row_image, \
     @@binlog_row_metadata, @@log_replica_updates, @@binlog_error_action, @@gtid_mode, @@global.gtid_executed, \
     @@global.gtid_purged";

impl Server {
    /// Asks the server. Needs REPLICATION CLIENT (MariaDB: BINLOG MONITOR) for the log status.
    ///
    /// # Errors
    /// `SourcePrivilege`, `SourceLost`.
    pub async fn read(conn: &mut Conn) -> Result<Self> {
        let version: Row = first(conn, "SELECT @@version").await?;
        let version = version.get::<Option<String>, _>(0).flatten().unwrap_or_default();
        if version.contains("MariaDB") {
            mariadb::read(conn, version).await
        } else {
            Self::read_mysql(conn, version).await
        }
    }

    async fn read_mysql(conn: &mut Conn, version: String) -> Result<Self> {
        let row: Row = first(conn, VARIABLES).await?;
        let text = |i: usize| row.get::<Option<String>, _>(i).flatten().unwrap_or_default();
        let number = |i: usize| row.get::<Option<u32>, _>(i).flatten().unwrap_or_default();
        let set = |i: usize| {
            text(i).parse::<GtidSet>().map_err(|e| Error::new(Code::SourceLost, format!("GTID set of the server: {e}")))
        };
        let log_bin = number(3) == 1;
        let replicates: Option<Row> =
            conn.query_first("SHOW REPLICA STATUS").await.map_err(|e| connect::classify(&e, "SHOW REPLICA STATUS"))?;
        let is_replica = replicates.is_some();
        let status = if log_bin { status(conn).await? } else { Status::default() };
        let gtid_mode = text(9);
        Ok(Self {
            version,
            mode: if gtid_mode.eq_ignore_ascii_case("ON") { PositionMode::Gtid } else { PositionMode::File },
            uuid: text(1),
            id: number(2),
            log_bin,
            binlog_format: text(4),
            binlog_row_image: text(5),
            binlog_row_metadata: text(6),
            is_replica,
            log_replica_updates: number(7) == 1,
            binlog_error_action: text(8),
            gtid_mode,
            executed: set(10)?,
            purged: set(11)?,
            mariadb: None,
            end: FilePosition { file: status.file.as_str().into(), offset: status.offset },
            do_db: status.do_db,
            ignore_db: status.ignore_db,
            logs: if log_bin { logs(conn).await? } else { Vec::new() },
        })
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

#[derive(Default)]
struct Status {
    file: String,
    offset: u64,
    do_db: String,
    ignore_db: String,
}

async fn status(conn: &mut Conn) -> Result<Status> {
    // MySQL 8.2 renamed the statement; 8.4 removed the old name.
    let row = match first(conn, "SHOW BINARY LOG STATUS").await {
        Ok(row) => row,
        Err(error) if error.code() == Code::SourcePrivilege => return Err(error),
        Err(_) => first(conn, "SHOW MASTER STATUS").await?,
    };
    Ok(Status {
        file: row.get::<Option<String>, _>(0).flatten().unwrap_or_default(),
        offset: row.get::<Option<u64>, _>(1).flatten().unwrap_or_default(),
        do_db: row.get::<Option<String>, _>(2).flatten().unwrap_or_default(),
        ignore_db: row.get::<Option<String>, _>(3).flatten().unwrap_or_default(),
    })
}

async fn logs(conn: &mut Conn) -> Result<Vec<LogFile>> {
    let rows: Vec<Row> = conn.query("SHOW BINARY LOGS").await.map_err(|e| connect::classify(&e, "SHOW BINARY LOGS"))?;
    Ok(rows
        .iter()
        .map(|row| LogFile {
            name: row.get::<Option<String>, _>(0).flatten().unwrap_or_default(),
            size: row.get::<Option<u64>, _>(1).flatten().unwrap_or_default(),
        })
        .collect())
}

async fn first(conn: &mut Conn, statement: &str) -> Result<Row> {
    conn.query_first(statement)
        .await
        .map_err(|e| connect::classify(&e, statement))?
        .ok_or_else(|| Error::new(Code::SourceLost, format!("{statement}: no answer")))
}
