//! Connections to MySQL: options, TLS, session settings, and what its errors mean.

use mysql_async::{Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts};

use crate::config::{SourceConfig, TlsMode};
use crate::error::{Code, Error, Result};

/// Largest packet accepted: MySQL's own upper limit (manual, `max_allowed_packet`).
const MAX_PACKET: usize = 1 << 30;

/// Server error numbers (MySQL error reference).
mod server_error {
    pub(super) const ACCESS_DENIED: [u16; 3] = [1044, 1045, 1698];
    pub(super) const SPECIFIC_ACCESS_DENIED: u16 = 1227;
    pub(super) const SOURCE_FATAL_READING_BINLOG: u16 = 1236;
    pub(super) const SECURE_TRANSPORT_REQUIRED: u16 = 3159;
}

/// Opens a connection.
///
/// # Errors
/// `SourceUnavailable`, `SourceAccessDenied`, `SourceTls`.
pub async fn connect(config: &SourceConfig) -> Result<Conn> {
    let at = format!("{}:{}", config.host, config.port);
    Conn::new(options(config)).await.map_err(|error| match &error {
        // rustls reports a refused certificate as invalid data of the TCP stream.
        mysql_async::Error::Io(IoError::Io(io))
            if io.kind() == std::io::ErrorKind::InvalidData && config.tls.mode != TlsMode::Disabled =>
        {
            Error::new(Code::SourceTls, format!("TLS to MySQL at {at} failed")).caused_by(describe(&error))
        }
        mysql_async::Error::Io(IoError::Io(_)) => {
            Error::new(Code::SourceUnavailable, format!("cannot reach MySQL at {at}")).caused_by(describe(&error))
        }
        _ => classify(&error, &at),
    })
}

fn options(config: &SourceConfig) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(config.host.clone())
        .tcp_port(config.port)
        .user(Some(config.user.clone()))
        .pass(Some(config.password.expose().to_owned()))
        .prefer_socket(false)
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
        TlsMode::VerifyCa => Some(verified.with_danger_skip_domain_validation(true)),
        TlsMode::VerifyIdentity => Some(verified),
    }
}

/// What a driver or server error means to the relay. Never passes on a text that may hold packet bytes.
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
        _ if ACCESS_DENIED.contains(&code) => Code::SourceAccessDenied,
        SPECIFIC_ACCESS_DENIED => Code::SourcePrivilege,
        SECURE_TRANSPORT_REQUIRED => Code::SourceTls,
        SOURCE_FATAL_READING_BINLOG => fatal_dump_code(message),
        _ => Code::SourceLost,
    }
}

/// Error 1236 covers everything that a dump thread can meet; only its text tells which.
fn fatal_dump_code(message: &str) -> Code {
    let has = |part: &str| message.contains(part);
    if has("same server_uuid") || has("same server_id") {
        Code::ServerIdTaken
    } else if has("purged") || has("Could not find first log file") {
        Code::PositionPurged
    } else if has("more GTIDs than the source") || has("more GTIDs than the master") {
        Code::CheckpointAhead
    } else if has("impossible position") || has("exceeded max_allowed_packet") || has("bogus data in log event") {
        Code::HistoryChanged
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
