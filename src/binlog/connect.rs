//! Connections to MySQL: options, TLS, session settings, and what its errors mean.

use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts};
use mysql_common::packets::GnoInterval;

use super::history::{DumpFrom, FIRST_EVENT};
use super::stream::EventStream;

use crate::config::{Host, SourceConfig, TlsMode};
use crate::error::{Code, Error, Result};
use crate::position::{GtidState, Interval, Sid};

/// Largest packet accepted: MySQL's own upper limit (manual, `max_allowed_packet`).
const MAX_PACKET: usize = 1 << 30;

/// How long the server waits for us to take the next bytes, seconds.
const NET_WRITE_TIMEOUT_SECONDS: u32 = 600;

/// That we know MariaDB's own events, GTIDs among them (`MARIA_SLAVE_CAPABILITY_GTID`); without it they come as dummies.
const MARIADB_CAPABILITY: u32 = 4;

/// The server's name in a certificate whose name does not matter. mysql_async lets a certificate with the wrong name pass
/// if the error's text holds this word, which rustls printed once and prints no more; but the text holds the name that was
/// asked for. rustls looks at the name only after the chain has been found valid.
const ANY_NAME: &str = "NotValidForName";

/// What SHOW REPLICAS lists us as.
const HOSTNAME: &[u8] = b"outboxd";

/// Longest wait for a connection or an answer.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// TCP keepalive: the heartbeat finds a dead server, this finds a dead path while nothing is read.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);

/// Server error numbers (MySQL error reference).
mod server_error {
    /// Wrong password or host, locked account, expired password.
    pub(super) const ACCESS_DENIED: [u16; 6] = [1044, 1045, 1130, 1698, 1862, 3118];
    pub(super) const SPECIFIC_ACCESS_DENIED: u16 = 1227;
    pub(super) const SOURCE_FATAL_READING_BINLOG: u16 = 1236;
    pub(super) const SECURE_TRANSPORT_REQUIRED: u16 = 3159;
    /// MariaDB's number for what MySQL says in the text of 1236.
    pub(super) const SLAVE_SAME_ID: u16 = 4052;
    /// A setting that the server does not know: MariaDB, or MySQL before 8.0.
    pub(super) const UNKNOWN_SYSTEM_VARIABLE: u16 = 1193;
}

/// Opens a connection.
///
/// # Errors
/// `SourceUnavailable`, `SourceAccessDenied`, `SourceTls`.
pub async fn connect(config: &SourceConfig, host: &Host) -> Result<Conn> {
    let at = host.to_string();
    within(&at, Conn::new(options(config, host))).await?.map_err(|error| match &error {
        // rustls reports a refused certificate as invalid data of the TCP stream.
        mysql_async::Error::Io(IoError::Io(io))
            if io.kind() == std::io::ErrorKind::InvalidData && config.tls.mode != TlsMode::Disabled =>
        {
            Error::new(Code::SourceTls, format!("TLS to MySQL at {at} failed")).caused_by(describe(&error))
        }
        mysql_async::Error::Io(IoError::Io(_)) => {
            Error::new(Code::SourceUnavailable, format!("cannot reach MySQL at {at}")).caused_by(describe(&error))
        }
        mysql_async::Error::Server(server) if server_error::ACCESS_DENIED.contains(&server.code) => {
            refused(&error, &at, config.tls.mode)
        }
        _ => classify(&error, &at),
    })
}

/// Bounds a wait for the server: a host that swallows packets must not look like work in progress.
///
/// # Errors
/// `SourceUnavailable` when the time is up.
pub async fn within<F: Future>(what: &str, wait: F) -> Result<F::Output> {
    tokio::time::timeout(ANSWER_TIMEOUT, wait).await.map_err(|_| {
        Error::new(Code::SourceUnavailable, format!("no answer from MySQL within {ANSWER_TIMEOUT:?}: {what}"))
    })
}

/// A refused login. An account with REQUIRE SSL is refused by the same words as a wrong password.
fn refused(error: &mysql_async::Error, at: &str, mode: TlsMode) -> Error {
    let code = Code::SourceAccessDenied;
    let refused = Error::new(code, format!("{at}: {}", code.title())).caused_by(describe(error));
    if mode != TlsMode::Disabled {
        return refused;
    }
    let fix = format!("{} If the account has REQUIRE SSL, set `source.tls.mode` to \"verify-ca\".", code.fix());
    refused.with_fix(fix)
}

fn options(config: &SourceConfig, host: &Host) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(host.name.clone())
        .tcp_port(host.port)
        .user(Some(config.user.clone()))
        .pass(Some(config.password.expose().to_owned()))
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .tcp_nodelay(true)
        .max_allowed_packet(Some(MAX_PACKET))
        .ssl_opts(tls(config))
        .into()
}

fn tls(config: &SourceConfig) -> Option<SslOpts> {
    let roots = config.tls.ca.iter().map(|path| path.clone().into()).collect::<Vec<_>>();
    let verified = SslOpts::default().with_disable_built_in_roots(!roots.is_empty()).with_root_certs(roots);
    match config.tls.mode {
        TlsMode::Disabled => None,
        TlsMode::Required => {
            Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
        }
        TlsMode::VerifyCa => {
            Some(verified.with_danger_skip_domain_validation(true).with_danger_tls_hostname_override(Some(ANY_NAME)))
        }
        TlsMode::VerifyIdentity => Some(verified),
    }
}

/// What a driver or server error means to the relay, after the login. Never passes on a text that may hold packet bytes.
pub fn classify(error: &mysql_async::Error, context: &str) -> Error {
    let code = match error {
        mysql_async::Error::Server(server) => server_code(server.code, &server.message),
        mysql_async::Error::Io(IoError::Tls(_)) => Code::SourceTls,
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => Code::SourceTls,
        mysql_async::Error::Io(IoError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => Code::EventCorrupt,
        _ => Code::SourceLost,
    };
    Error::new(code, format!("{context}: {}", code.title())).caused_by(describe(error))
}

fn server_code(code: u16, message: &str) -> Code {
    use server_error::*;
    match code {
        // Behind the login. COM_BINLOG_DUMP without REPLICATION SLAVE is answered like a wrong password.
        _ if ACCESS_DENIED.contains(&code) => Code::SourcePrivilege,
        SPECIFIC_ACCESS_DENIED => Code::SourcePrivilege,
        SECURE_TRANSPORT_REQUIRED => Code::SourceTls,
        UNKNOWN_SYSTEM_VARIABLE => Code::SourceVersion,
        SOURCE_FATAL_READING_BINLOG => fatal_dump_code(message),
        SLAVE_SAME_ID => Code::ServerIdTaken,
        _ => Code::SourceLost,
    }
}

/// Error 1236 covers everything that a dump thread can meet; only its text tells which.
fn fatal_dump_code(message: &str) -> Code {
    let has = |part: &str| message.contains(part);
    if has("same server_uuid") || has("same server_id") {
        Code::ServerIdTaken
    } else if has("purged") || has("Could not find first log file") || has("Could not find GTID state requested") {
        Code::PositionPurged
    } else if has("more GTIDs than the source")
        || has("more GTIDs than the master")
        || has("not in the master's binlog")
    {
        Code::CheckpointAhead
    } else if has("is missing the GTID requested")
        || has("impossible position")
        || has("exceeded max_allowed_packet")
        || has("bogus data in log event")
    {
        Code::HistoryChanged
    } else if has("anonymous transaction") {
        Code::GroupWithoutGtid
    } else if has("truncated in the middle of event") {
        Code::EventCorrupt
    } else {
        Code::SourceLost
    }
}

/// The error's own words, without packet contents.
fn describe(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(server) => format!("MySQL error {}: {}", server.code, server.message),
        mysql_async::Error::Io(IoError::Io(io)) => io.to_string(),
        mysql_async::Error::Io(IoError::Tls(tls)) => tls.to_string(),
        mysql_async::Error::Driver(DriverError::UnexpectedPacket { payload }) => {
            format!("unexpected packet of {} bytes", payload.len())
        }
        mysql_async::Error::Driver(driver) => driver.to_string(),
        mysql_async::Error::Other(_) => "driver error".to_owned(),
        mysql_async::Error::Url(url) => url.to_string(),
    }
}

/// Asks for the binlog: turns the connection into a stream of events.
///
/// # Errors
/// What [`classify`] makes of the server's answer.
pub async fn dump(mut conn: Conn, config: &SourceConfig, from: &DumpFrom) -> Result<EventStream> {
    let (heartbeat, uuid) = (config.heartbeat.as_nanos(), config.replica_uuid);
    // Both spellings: the server reads the one that its version knows (8.0.26 renamed them). With a UUID the server ends
    // an older dump of the same relay, but not that of another replica that happens to have our server id. While Kafka
    // is away the stream stands still, so the server must be patient for longer than a Kafka transaction may take.
    conn.query_drop(format!(
        "SET @source_heartbeat_period = {heartbeat}, @master_heartbeat_period = {heartbeat}, \
         @mariadb_slave_capability = {MARIADB_CAPABILITY}, @replica_uuid = '{uuid}', @slave_uuid = '{uuid}', \
         SESSION net_write_timeout = {NET_WRITE_TIMEOUT_SECONDS}"
    ))
    .await
    .map_err(|e| classify(&e, "preparing the binlog stream"))?;
    let request = BinlogStreamRequest::new(config.server_id).with_hostname(HOSTNAME);
    let result = match from {
        // Never a file name and position with a GTID set: the server would prefer them.
        DumpFrom::Gtid(GtidState::Mysql(set)) => {
            let sids = set.sids().map(|(sid, intervals)| request_sid(sid, intervals)).collect::<Result<Vec<_>>>()?;
            conn.get_binlog_stream(request.with_gtid().with_gtid_set(sids)).await
        }
        DumpFrom::Gtid(GtidState::Mariadb(position)) => {
            conn.query_drop(format!("SET @slave_connect_state = '{position}', @slave_gtid_strict_mode = 1"))
                .await
                .map_err(|e| classify(&e, "preparing the binlog stream"))?;
            conn.get_binlog_stream(request.with_pos(FIRST_EVENT)).await
        }
        DumpFrom::File(position) => {
            // The protocol's position has 32 bits.
            if position.offset > u64::from(u32::MAX) {
                return Err(Error::new(
                    Code::PositionUnreachable,
                    format!("{position} is beyond 4 GiB, where a dump by file position cannot begin"),
                ));
            }
            let request = request.with_filename(position.file.as_bytes()).with_pos(position.offset);
            conn.get_binlog_stream(request).await
        }
    };
    let events = result.map_err(|e| classify(&e, "asking for the binlog stream"))?;
    Ok(EventStream::new(events, config.heartbeat))
}

fn request_sid(sid: &Sid, intervals: &[Interval]) -> Result<mysql_common::packets::Sid<'static>> {
    let mut request = mysql_common::packets::Sid::new(*sid.uuid.as_bytes());
    if let Some(tag) = &sid.tag {
        let tag = mysql_common::packets::Tag::new(tag.as_str().to_owned())
            .map_err(|e| Error::new(Code::Internal, "GTID tag").caused_by(e.to_string()))?;
        request = request.with_tag(tag);
    }
    // On the wire an interval's end is exclusive.
    let intervals = intervals.iter().map(|i| GnoInterval::new(i.first, i.last + 1)).collect();
    Ok(request.with_intervals(intervals))
}
