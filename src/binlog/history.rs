//! Where to resume, and proof that the log is the one that the checkpoint belongs to: **rewind one and verify**.
//!
//! A GTID checkpoint can resume silently with a hole after a reset, a restored backup or a truncated log, once the server
//! has overtaken it. So the dump begins one group early, and the terminator of that group must be, byte for byte, the
//! one whose fingerprint the checkpoint holds. Only then does the relay go on.

use std::sync::Arc;

use super::begun::Begun;
use super::event::Fingerprint;
use super::server::Server;
use super::xa::PreparedXa;
use crate::config::StartPosition;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, Gtid, GtidSet, GtidState, PositionMode};

mod mariadb;
mod rewind;

pub use rewind::{Rewind, Rewound};

/// Offset of the first event in a binlog file, behind the magic number.
pub const FIRST_EVENT: u64 = 4;

/// What a checkpoint says about the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processed {
    /// Whose server was read.
    pub flavour: Flavour,
    /// `server_uuid` of the server that was read.
    pub server_uuid: String,
    /// End of the last processed group.
    pub position: FilePosition,
    /// Executed GTIDs in GTID mode.
    pub executed: Option<GtidState>,
    /// Terminator of the last processed group; absent until the first one.
    pub terminator: Option<Fingerprint>,
    /// Distributed transactions prepared and undecided there, in the log's order.
    pub prepared: Vec<PreparedXa>,
    /// The group behind that position, if some of its records are published.
    pub begun: Option<Box<Begun>>,
}

impl Processed {
    /// GTID of the group that is published in part.
    fn begun_gtid(&self) -> Option<&Gtid> {
        self.begun.as_ref()?.terminator.gtid.as_ref()
    }

    /// The prepared groups that are read again, for their rows.
    fn held(&self) -> impl Iterator<Item = &PreparedXa> {
        self.prepared.iter().filter(|prepared| prepared.rows)
    }
}

/// What to ask the server for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Where the dump begins.
    pub from: DumpFrom,
    /// The group that is read again and compared, if any.
    pub rewind: Option<Rewind>,
}

/// The two forms of a dump request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpFrom {
    /// Everything that was not executed by then.
    Gtid(GtidState),
    /// From this event on.
    File(FilePosition),
}

/// The server's facts with the mode that the configuration asks for; without a wish, by GTID if it has them.
///
/// # Errors
/// `PositionMode` if GTIDs are asked of a server without them.
pub fn choose_mode(server: Server, wish: Option<PositionMode>) -> Result<Server> {
    match wish {
        Some(PositionMode::Gtid) if server.mode == PositionMode::File => Err(Error::new(
            Code::PositionMode,
            format!("source.positions = \"gtid\", but the server has gtid_mode = {}", server.gtid_mode),
        )
        .with_fix("Set gtid_mode to ON on the server, or `source.positions` to \"auto\".")),
        wish => Ok(Server { mode: wish.unwrap_or(server.mode), ..server }),
    }
}

/// Where a first start begins, as the position to store in the first checkpoint.
///
/// # Errors
/// `StartPosition`, `PositionPurged`, `CheckpointAhead`.
pub fn first_start(start: &StartPosition, server: &Server) -> Result<(FilePosition, Option<GtidState>)> {
    let refuse = |what: String| Err(Error::new(Code::StartPosition, what));
    let oldest = || FilePosition {
        file: server.logs.first().map(|log| log.name.as_str()).unwrap_or_default().into(),
        offset: FIRST_EVENT,
    };
    match (server.mode, start) {
        (PositionMode::Gtid, StartPosition::Now) => Ok((server.end.clone(), Some(executed_by(server)))),
        (PositionMode::Gtid, StartPosition::Earliest) => Ok((oldest(), Some(purged_by(server)))),
        (PositionMode::Gtid, StartPosition::Gtid(state)) => {
            match (state, &server.mariadb) {
                (GtidState::Mysql(set), None) => {
                    ensure_not_ahead(set, server)?;
                    ensure_not_purged(set, server)?;
                }
                (GtidState::Mariadb(position), Some(gtids)) => mariadb::ensure_servable(position, gtids)?,
                _ => {
                    return refuse(format!(
                        "source.start names GTIDs of another product than {}",
                        server.flavour().as_str()
                    ));
                }
            }
            Ok((oldest(), Some(state.clone())))
        }
        (PositionMode::Gtid, StartPosition::File { .. }) => {
            refuse("source.start = \"file:…\" where positions are kept by GTID: use \"gtid:SET\"".into())
        }
        (PositionMode::File, StartPosition::Now) => Ok((server.end.clone(), None)),
        (PositionMode::File, StartPosition::Earliest) => Ok((oldest(), None)),
        (PositionMode::File, StartPosition::File { name, offset }) => {
            let position = FilePosition { file: name.as_str().into(), offset: *offset };
            ensure_in_logs(&position, server)?;
            Ok((position, None))
        }
        (PositionMode::File, StartPosition::Gtid(_)) => refuse(
            "source.start = \"gtid:…\" where positions are kept by file (gtid_mode, source.positions)".to_owned(),
        ),
    }
}

/// How to resume behind a checkpoint.
///
/// # Errors
/// `PositionMode`, `OtherServer`, `CheckpointAhead`, `PositionPurged`.
pub fn resume(processed: &Processed, server: &Server) -> Result<Resume> {
    if processed.flavour != server.flavour() {
        return Err(Error::new(
            Code::OtherServer,
            format!(
                "the checkpoint belongs to a {} server ({}), this is {} ({})",
                processed.flavour.as_str(),
                processed.server_uuid,
                server.flavour().as_str(),
                server.version
            ),
        ));
    }
    match (server.mode, &processed.executed) {
        (PositionMode::Gtid, Some(GtidState::Mysql(executed))) => resume_gtid(processed, executed, server),
        (PositionMode::Gtid, Some(GtidState::Mariadb(executed))) => mariadb::resume(processed, executed, server),
        (PositionMode::File, None) => resume_file(processed, server),
        (mode, _) => Err(Error::new(
            Code::PositionMode,
            format!(
                "positions are kept by {} now (gtid_mode = {}, source.positions), the checkpoint's are not",
                mode.as_str(),
                if server.mariadb.is_some() { "always" } else { server.gtid_mode.as_str() }
            ),
        )),
    }
}

/// What the server has executed by now.
fn executed_by(server: &Server) -> GtidState {
    match &server.mariadb {
        None => GtidState::Mysql(server.executed.clone()),
        Some(gtids) => GtidState::Mariadb(gtids.state.position()),
    }
}

/// What was executed before the oldest log.
fn purged_by(server: &Server) -> GtidState {
    match &server.mariadb {
        None => GtidState::Mysql(server.purged.clone()),
        Some(gtids) => GtidState::Mariadb(gtids.purged.position()),
    }
}

fn resume_gtid(processed: &Processed, executed: &GtidSet, server: &Server) -> Result<Resume> {
    ensure_not_ahead(executed, server)?;
    if let Some(Gtid::Mysql(gtid)) = processed.begun_gtid() {
        let mut published = executed.clone();
        published.insert(gtid);
        ensure_not_ahead(&published, server)?;
    }
    ensure_not_purged(executed, server)?;
    let mut requested = executed.clone();
    for prepared in processed.held() {
        let Some(Gtid::Mysql(gtid)) = &prepared.gtid else {
            return Err(Error::new(Code::CheckpointUnreadable, format!("{prepared}: no GTID")));
        };
        ensure_kept(prepared, !server.purged.contains(gtid))?;
        requested.remove(gtid);
    }
    let from = |set: &GtidSet| DumpFrom::Gtid(GtidState::Mysql(set.clone()));
    let everything_new = Resume { from: from(&requested), rewind: None };
    let Some(expected) = &processed.terminator else { return Ok(everything_new) };
    if processed.server_uuid != server.uuid {
        // Never silent: among them may be transactions that the server committed before it became the source.
        let own = server.executed.subtract(executed).without(&processed.server_uuid);
        tracing::warn!(
            from = processed.server_uuid,
            to = server.uuid,
            not_from_the_former = %own,
            "another server answers; its GTID set contains the checkpoint, so the relay follows it"
        );
        return Ok(everything_new);
    }
    let Some(Gtid::Mysql(last)) = &expected.gtid else {
        return Err(Error::new(Code::CheckpointUnreadable, "the last group in the checkpoint has no GTID"));
    };
    // What is purged goes file by file: a group that is gone from a file that is there was cut off.
    if server.purged.contains(last) && server.logs.iter().any(|log| log.name == *expected.file) {
        return Err(Error::new(
            Code::HistoryChanged,
            format!("source history changed: {last} is gone from {}, which the server still has", expected.file),
        ));
    }
    if server.purged.contains(last) {
        tracing::warn!(gtid = %last, "the last processed group is purged: the source's history cannot be compared, \
             the GTID sets show that nothing needed is gone");
        return Ok(everything_new);
    }
    requested.remove(last);
    let rewind = Rewind::new(expected.clone(), processed.held().cloned().collect());
    Ok(Resume { from: from(&requested), rewind: Some(rewind) })
}

fn resume_file(processed: &Processed, server: &Server) -> Result<Resume> {
    if processed.server_uuid != server.uuid {
        return Err(Error::new(
            Code::OtherServer,
            format!("the checkpoint belongs to server_uuid {}, this is {}", processed.server_uuid, server.uuid),
        ));
    }
    ensure_in_logs(&processed.position, server)?;
    if let Some(begun) = &processed.begun {
        ensure_in_logs(&begun.ends_at(), server)?;
    }
    let Some(expected) = &processed.terminator else {
        return Ok(Resume { from: DumpFrom::File(processed.position.clone()), rewind: None });
    };
    let start = FilePosition { file: Arc::clone(&expected.file), offset: expected.start };
    ensure_in_logs(&start, server)?;
    // The re-read begins at the terminator, behind the GTID event that `gtid_mode = ON_PERMISSIVE` writes.
    let expected = Fingerprint { gtid: None, previous: None, ..expected.clone() };
    for prepared in processed.held() {
        ensure_kept(prepared, server.logs.iter().any(|log| log.name == *prepared.file))?;
    }
    // They are in the log's order, so the first one is the oldest.
    let mut from = processed.held().next().map_or(start, PreparedXa::starts_at);
    // A dump cannot begin there. A file grows that far by one group at its end, so little is read for nothing.
    if from.offset > u64::from(u32::MAX) {
        from.offset = FIRST_EVENT;
    }
    let rewind = Rewind::new(expected, processed.held().cloned().collect());
    Ok(Resume { from: DumpFrom::File(from), rewind: Some(rewind) })
}

fn ensure_not_ahead(executed: &GtidSet, server: &Server) -> Result<()> {
    let surplus = executed.subtract(&server.executed);
    if surplus.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::CheckpointAhead,
        format!("processed but absent from this server: {surplus} ({} transactions)", surplus.count()),
    ))
}

fn ensure_not_purged(executed: &GtidSet, server: &Server) -> Result<()> {
    let missing = server.purged.subtract(executed);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::PositionPurged, format!("needed and purged: {missing} ({} transactions)", missing.count())))
}

fn ensure_kept(prepared: &PreparedXa, kept: bool) -> Result<()> {
    if kept {
        return Ok(());
    }
    let what = format!("needed and purged: {prepared}; it was not decided when its log was purged");
    Err(Error::new(Code::PositionPurged, what).with_fix(
        "Restore that log or read from a replica that still has it. To see what is undecided: XA RECOVER CONVERT XID. \
         To go on without the rows of that transaction, start over under a new `name`.",
    ))
}

fn ensure_in_logs(position: &FilePosition, server: &Server) -> Result<()> {
    let Some(log) = server.logs.iter().find(|log| log.name == *position.file) else {
        let oldest = server.logs.first().map(|log| log.name.as_str()).unwrap_or("none");
        return Err(Error::new(
            Code::PositionPurged,
            format!("{} is gone from the server; its oldest log is {oldest}", position.file),
        ));
    };
    if position.offset <= log.size {
        return Ok(());
    }
    Err(Error::new(
        Code::HistoryChanged,
        format!("source history changed: the checkpoint is at {position}, but that file has only {} bytes", log.size),
    ))
}

#[cfg(test)]
mod tests;
