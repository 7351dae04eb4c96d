//! Which server is read: the first of the configured hosts that answers, is set up for it, and has what follows the
//! checkpoint.

use mysql_async::Conn;

use super::Relay;
use crate::binlog::columns::Present;
use crate::binlog::history::{self, DumpFrom, Processed, Resume, Rewind};
use crate::binlog::interpret::Interpreter;
use crate::binlog::server::Server;
use crate::binlog::stream::EventStream;
use crate::binlog::{connect, preflight};
use crate::checkpoint::SourceIdentity;
use crate::config::{ColumnNames, Host};
use crate::error::{Code, Disposition, Error, Result};
use crate::failpoint;
use crate::position::Flavour;
use crate::telemetry::status::SourceFacts;

/// An open stream of the source, at the place where the checkpoint ends.
pub(super) struct Source {
    pub(super) events: EventStream,
    pub(super) interpreter: Interpreter,
    pub(super) rewind: Option<Rewind>,
    pub(super) from: DumpFrom,
    /// The checkpoint was taken on this server's log.
    pub(super) same_log: bool,
    /// For what the log leaves out.
    pub(super) columns: Present,
}

impl Source {
    /// Waits until the server has shown that it can send from where it was asked to.
    pub(super) async fn prove(&mut self) -> Result<()> {
        self.events.prove(&self.from).await.map_err(|error| match error.code() {
            Code::HistoryChanged | Code::PositionPurged | Code::CheckpointAhead | Code::EventCorrupt => {
                Error::new(Code::StartPosition, "source.start is no place in the server's log").caused_by(error.chain())
            }
            _ => error,
        })
    }
}

/// A server that may be read.
pub(super) struct Reached {
    pub(super) conn: Conn,
    pub(super) server: Server,
    pub(super) host: Host,
    /// Where to go on, if there is a checkpoint.
    pub(super) resume: Option<Resume>,
    /// See [`Source`].
    pub(super) columns: Present,
}

/// Tries the hosts in their order. A host that cannot be reached may hold what the others lack, so the relay stops for
/// good only if every host has been seen.
pub(super) async fn reach(relay: &Relay, processed: Option<&Processed>) -> Result<Reached> {
    let mut errors: Vec<(&Host, Error)> = Vec::new();
    for host in &relay.config.source.hosts {
        match try_host(relay, host, processed).await {
            Ok(reached) => {
                for (host, error) in &errors {
                    tracing::warn!(%host, code = %error.code(), error = error.chain(), "this server is not read");
                }
                return Ok(reached);
            }
            Err(error) => errors.push((host, error)),
        }
    }
    Err(joined(errors))
}

async fn try_host(relay: &Relay, host: &Host, processed: Option<&Processed>) -> Result<Reached> {
    let config = &relay.config;
    let mut conn = connect::connect(&config.source, host).await?;
    failpoint::hit("source_connected")?;
    let server = connect::within("reading its settings", Server::read(&mut conn)).await??;
    let server = history::choose_mode(server, config.source.positions)?;
    let looking = preflight::tables::read(&mut conn, &config.outboxes);
    let tables = connect::within("looking for the outbox tables", looking).await??;
    let facts = preflight::Facts { server: &server, tables: &tables, config, resuming: processed.is_some() };
    relay.judge(&preflight::inspect(&facts))?;
    // Whether this one has what is needed decides if the next one is tried.
    let resume = processed.map(|processed| history::resume(processed, &server)).transpose()?;
    let columns = Present {
        tables: preflight::tables::columns(tables),
        names: config.source.column_names == ColumnNames::InformationSchema,
        types: server.flavour() == Flavour::Mariadb,
    };
    Ok(Reached { conn, server, host: host.clone(), resume, columns })
}

/// One error for all hosts, with the code of the first one that may pass.
fn joined(mut errors: Vec<(&Host, Error)>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0).1;
    }
    let passing = errors.iter().find(|(_, error)| error.disposition() == Disposition::Restart);
    let Some((_, first)) = passing.or(errors.first()) else {
        return Error::new(Code::Internal, "source.hosts is empty");
    };
    let (code, fix) = (first.code(), first.fix().to_owned());
    let each: Vec<String> = errors.iter().map(|(host, error)| format!("{host}: {error}")).collect();
    Error::new(code, each.join("; ")).with_fix(fix)
}

pub(super) fn facts(server: &Server, host: &Host) -> SourceFacts {
    SourceFacts {
        host: host.to_string(),
        version: server.version.clone(),
        server_uuid: server.uuid.clone(),
        mode: server.mode,
    }
}

pub(super) fn identity(server: &Server) -> SourceIdentity {
    SourceIdentity {
        flavour: server.flavour(),
        server_uuid: server.uuid.clone(),
        server_version: server.version.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_may_come_back_keeps_the_relay_trying() {
        let host = |name: &str| Host { name: name.into(), port: 3306 };
        let (a, b) = (host("a"), host("b"));
        let away = || Error::new(Code::SourceUnavailable, "away");
        let behind = || Error::new(Code::CheckpointAhead, "lacks x:1");
        let both = joined(vec![(&a, behind()), (&b, away())]);
        assert_eq!(both.code(), Code::SourceUnavailable);
        assert_eq!(both.message(), "a:3306: OBX-2202: lacks x:1; b:3306: OBX-2001: away");
        assert_eq!(joined(vec![(&a, behind()), (&b, behind())]).code(), Code::CheckpointAhead);
        assert_eq!(joined(vec![(&a, behind())]).message(), "lacks x:1");
    }
}
