//! What a MariaDB says of itself, in its own words.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::{Channel, Replica, Server, Settings, ahead, all, channel, first, logs, number, text, tls};
use crate::binlog::connect;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GtidList, GtidSet, PositionMode};

const VARIABLES: &str = "SELECT @@server_id, @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, \
     @@log_slave_updates, @@global.gtid_binlog_state, @@binlog_checksum, CAST(@@expire_logs_days * 86400 AS UNSIGNED), @@sync_binlog, \
     @@innodb_flush_log_at_trx_commit, CURRENT_USER(), UNIX_TIMESTAMP(SYSDATE(6))";

/// The head of a binlog file has a format description, perhaps the start of encryption, and then the list of GTIDs.
const HEAD_EVENTS: u32 = 4;

/// The GTIDs in a MariaDB's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MariadbGtids {
    /// `@@gtid_binlog_state`: what the log has come to.
    pub state: GtidList,
    /// The list at the head of the oldest file: what is gone.
    pub purged: GtidList,
}

/// What names a MariaDB where a MySQL has its `server_uuid`.
pub(in crate::binlog) fn identity(server_id: u32) -> String {
    format!("server_id {server_id}")
}

pub(super) async fn read(conn: &mut Conn, version: String) -> Result<Server> {
    let row = first(conn, VARIABLES).await?;
    let clock_ahead = ahead(&text(&row, 12));
    let id = u32::try_from(number(&row, 0)).unwrap_or_default();
    let gtids = MariadbGtids { state: list(&text(&row, 6))?, purged: GtidList::default() };
    let mut server = Server {
        version,
        mode: PositionMode::Gtid,
        uuid: identity(id),
        id,
        gtid_mode: String::new(),
        executed: GtidSet::new(),
        purged: GtidSet::new(),
        mariadb: Some(gtids),
        end: FilePosition { file: "".into(), offset: 0 },
        logs: Vec::new(),
        settings: Settings { clock_ahead, tls: tls(conn).await?, channels: channels(conn).await?, ..settings(&row) },
        replicas: Vec::new(),
        account: text(&row, 11),
        refused: Vec::new(),
    };
    let log = read_log(&mut server, conn).await;
    server.note_refusal("BINLOG MONITOR", log)?;
    server.replicas = replicas(conn).await?;
    Ok(server)
}

fn settings(row: &Row) -> Settings {
    Settings {
        log_bin: number(row, 1) == 1,
        binlog_format: text(row, 2),
        binlog_row_image: text(row, 3),
        binlog_row_metadata: text(row, 4),
        log_replica_updates: number(row, 5) == 1,
        // It has no such setting: it gives up the commit when the log cannot be written.
        binlog_error_action: "ABORT_SERVER".to_owned(),
        binlog_checksum: text(row, 7),
        binlog_expire_seconds: number(row, 8),
        sync_binlog: number(row, 9),
        flush_log_at_commit: number(row, 10),
        // Its parallel modes keep the order within a domain, unless they are told otherwise.
        replica_preserves_order: true,
        ..Settings::default()
    }
}

/// What BINLOG MONITOR shows.
async fn read_log(server: &mut Server, conn: &mut Conn) -> Result<()> {
    if !server.settings.log_bin {
        return Ok(());
    }
    server.take_status(&first(conn, "SHOW MASTER STATUS").await?);
    server.logs = logs(conn).await?;
    if let (Some(oldest), Some(gtids)) = (server.logs.first(), &mut server.mariadb) {
        gtids.purged = head_list(conn, &oldest.name).await?;
    }
    Ok(())
}

/// SHOW REPLICA STATUS needs a privilege of its own here; without it, only a replica that runs can be told.
async fn channels(conn: &mut Conn) -> Result<Vec<Channel>> {
    match conn.query::<Row, _>("SHOW ALL REPLICAS STATUS").await {
        Ok(rows) => Ok(rows.iter().map(channel).collect()),
        Err(mysql_async::Error::Server(_)) => {
            let running = text(&first(conn, "SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?, 1);
            Ok(if running.is_empty() || running == "0" { Vec::new() } else { vec![Channel::default()] })
        }
        Err(error) => Err(connect::classify(&error, "SHOW ALL REPLICAS STATUS")),
    }
}

/// Its replicas have no UUID: whether one of them is this relay cannot be told. The question needs REPLICATION MASTER
/// ADMIN, which reading the log does not.
async fn replicas(conn: &mut Conn) -> Result<Vec<Replica>> {
    let rows = match all(conn, "SHOW REPLICA HOSTS").await {
        Err(error) if error.code() == Code::SourcePrivilege => Vec::new(),
        answer => answer?,
    };
    let replica =
        |row: &Row| Replica { id: u32::try_from(number(row, 0)).unwrap_or_default(), host: text(row, 1), uuid: None };
    Ok(rows.iter().map(replica).collect())
}

/// The list of GTIDs at the head of a binlog file.
async fn head_list(conn: &mut Conn, file: &str) -> Result<GtidList> {
    let statement = format!("SHOW BINLOG EVENTS IN '{}' LIMIT {HEAD_EVENTS}", file.replace('\'', "''"));
    let rows: Vec<Row> = conn.query(&statement).await.map_err(|e| connect::classify(&e, &statement))?;
    let of_type = |row: &&Row| row.get::<Option<String>, _>(2).flatten().is_some_and(|kind| kind == "Gtid_list");
    let info = rows.iter().find(of_type).and_then(|row| row.get::<Option<String>, _>(5).flatten());
    let info = info.ok_or_else(|| Error::new(Code::SourceLost, format!("{statement}: no list of GTIDs")))?;
    list(info.trim_start_matches('[').trim_end_matches(']'))
}

fn list(text: &str) -> Result<GtidList> {
    text.parse().map_err(|e| Error::new(Code::SourceLost, format!("GTIDs of the server: {e}")))
}
