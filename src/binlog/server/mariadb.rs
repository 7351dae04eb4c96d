//! What a MariaDB says of itself, in its own words.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::{Server, first, logs, status};
use crate::binlog::connect;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GtidList, GtidSet, PositionMode};

const VARIABLES: &str = "SELECT @@server_id, @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, \
     @@log_slave_updates, @@global.gtid_binlog_state";

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

pub(super) async fn read(conn: &mut Conn, version: String) -> Result<Server> {
    let row: Row = first(conn, VARIABLES).await?;
    let text = |i: usize| row.get::<Option<String>, _>(i).flatten().unwrap_or_default();
    let number = |i: usize| row.get::<Option<u32>, _>(i).flatten().unwrap_or_default();
    let (id, log_bin) = (number(0), number(1) == 1);
    let is_replica = is_replica(conn).await?;
    let status = if log_bin { status(conn).await? } else { super::Status::default() };
    let logs = if log_bin { logs(conn).await? } else { Vec::new() };
    let purged = match logs.first() {
        Some(oldest) => head_list(conn, &oldest.name).await?,
        None => GtidList::default(),
    };
    Ok(Server {
        version,
        mode: PositionMode::Gtid,
        uuid: format!("server_id {id}"),
        id,
        log_bin,
        binlog_format: text(2),
        binlog_row_image: text(3),
        binlog_row_metadata: text(4),
        is_replica,
        log_replica_updates: number(5) == 1,
        // It has no such setting: it gives up the commit when the log cannot be written.
        binlog_error_action: "ABORT_SERVER".to_owned(),
        gtid_mode: String::new(),
        executed: GtidSet::new(),
        purged: GtidSet::new(),
        mariadb: Some(MariadbGtids { state: list(&text(6))?, purged }),
        end: FilePosition { file: status.file.as_str().into(), offset: status.offset },
        do_db: status.do_db,
        ignore_db: status.ignore_db,
        logs,
    })
}

/// SHOW REPLICA STATUS needs a privilege of its own here; without it, only a replica that runs can be told.
async fn is_replica(conn: &mut Conn) -> Result<bool> {
    match conn.query_first::<Row, _>("SHOW ALL REPLICAS STATUS").await {
        Ok(row) => Ok(row.is_some()),
        Err(mysql_async::Error::Server(_)) => {
            let row: Row = first(conn, "SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?;
            Ok(row.get::<Option<String>, _>(1).flatten().is_some_and(|running| running != "0"))
        }
        Err(error) => Err(connect::classify(&error, "SHOW ALL REPLICAS STATUS")),
    }
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
