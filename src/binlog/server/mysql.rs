//! What a MySQL says of itself.

use mysql_async::{Conn, Row};

use super::{Replica, Server, Settings, ahead, all, channel, first, logs, number, text, tls};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GtidSet, PositionMode};

const VARIABLES: &str = "SELECT @@server_uuid, @@server_id, @@gtid_mode, @@global.gtid_executed, \
     @@global.gtid_purged, @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, \
     @@binlog_error_action, @@binlog_checksum, @@binlog_expire_logs_seconds, @@sync_binlog, \
     @@innodb_flush_log_at_trx_commit, @@log_replica_updates, @@replica_parallel_workers, \
     @@replica_preserve_commit_order, CURRENT_USER(), UNIX_TIMESTAMP(SYSDATE(6))";

pub(super) async fn read(conn: &mut Conn, version: String) -> Result<Server> {
    let row = first(conn, VARIABLES).await?;
    let clock_ahead = ahead(&text(&row, 18));
    let set = |i: usize| {
        text(&row, i)
            .parse::<GtidSet>()
            .map_err(|e| Error::new(Code::SourceLost, format!("GTID set of the server: {e}")))
    };
    let gtid_mode = text(&row, 2);
    let mut server = Server {
        version,
        mode: if gtid_mode.eq_ignore_ascii_case("ON") { PositionMode::Gtid } else { PositionMode::File },
        uuid: text(&row, 0),
        id: u32::try_from(number(&row, 1)).unwrap_or_default(),
        gtid_mode,
        executed: set(3)?,
        purged: set(4)?,
        mariadb: None,
        end: FilePosition { file: "".into(), offset: 0 },
        logs: Vec::new(),
        settings: Settings { clock_ahead, tls: tls(conn).await?, ..settings(&row) },
        replicas: Vec::new(),
        account: text(&row, 17),
        refused: Vec::new(),
    };
    let log = read_log(&mut server, conn).await;
    server.note_refusal("REPLICATION CLIENT", log)?;
    let replicas = replicas(conn).await;
    server.replicas = server.note_refusal("REPLICATION SLAVE", replicas)?.unwrap_or_default();
    Ok(server)
}

fn settings(row: &Row) -> Settings {
    Settings {
        log_bin: number(row, 5) == 1,
        binlog_format: text(row, 6),
        binlog_row_image: text(row, 7),
        binlog_row_metadata: text(row, 8),
        binlog_error_action: text(row, 9),
        binlog_checksum: text(row, 10),
        binlog_expire_seconds: number(row, 11),
        sync_binlog: number(row, 12),
        flush_log_at_commit: number(row, 13),
        log_replica_updates: number(row, 14) == 1,
        replica_workers: number(row, 15),
        replica_preserves_order: number(row, 16) == 1,
        ..Settings::default()
    }
}

/// What REPLICATION CLIENT shows.
async fn read_log(server: &mut Server, conn: &mut Conn) -> Result<()> {
    server.settings.channels = all(conn, "SHOW REPLICA STATUS").await?.iter().map(channel).collect();
    if server.settings.log_bin {
        server.take_status(&status(conn).await?);
        server.logs = logs(conn).await?;
    }
    Ok(())
}

async fn status(conn: &mut Conn) -> Result<Row> {
    // MySQL 8.2 renamed the statement; 8.4 removed the old name.
    match first(conn, "SHOW BINARY LOG STATUS").await {
        Err(error) if error.code() != Code::SourcePrivilege => first(conn, "SHOW MASTER STATUS").await,
        answer => answer,
    }
}

async fn replicas(conn: &mut Conn) -> Result<Vec<Replica>> {
    let rows = all(conn, "SHOW REPLICAS").await?;
    let replica = |row: &Row| Replica {
        id: u32::try_from(number(row, 0)).unwrap_or_default(),
        host: text(row, 1),
        uuid: Some(text(row, 4)),
    };
    Ok(rows.iter().map(replica).collect())
}
