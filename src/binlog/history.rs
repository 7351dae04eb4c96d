//! Where to resume, and proof that the log is the one that the checkpoint belongs to: **rewind one and verify**.
//!
//! A GTID checkpoint can resume silently with a hole after a reset, a restored backup or a truncated log, once the server
//! has overtaken it. So the dump begins one group early, and the terminator of that group must be, byte for byte, the
//! one whose fingerprint the checkpoint holds. Only then does the relay go on.

use std::sync::Arc;

use super::event::{BinlogEvent, Fingerprint, GroupStart};
use super::server::Server;
use crate::config::StartPosition;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, Gtid, GtidSet, GtidState, PositionMode};

mod mariadb;

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
            refuse("source.start = \"file:…\" on a server with GTIDs: use \"gtid:SET\"".into())
        }
        (PositionMode::File, StartPosition::Now) => Ok((server.end.clone(), None)),
        (PositionMode::File, StartPosition::Earliest) => Ok((oldest(), None)),
        (PositionMode::File, StartPosition::File { name, offset }) => {
            let position = FilePosition { file: name.as_str().into(), offset: *offset };
            ensure_in_logs(&position, server)?;
            Ok((position, None))
        }
        (PositionMode::File, StartPosition::Gtid(_)) => {
            refuse(format!("source.start = \"gtid:…\" on a server in file mode (gtid_mode = {})", server.gtid_mode))
        }
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
                "the server is in {} mode (gtid_mode = {}), the checkpoint is not",
                mode.as_str(),
                server.gtid_mode
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
    ensure_not_purged(executed, server)?;
    let from = |set: &GtidSet| DumpFrom::Gtid(GtidState::Mysql(set.clone()));
    let everything_new = Resume { from: from(executed), rewind: None };
    let Some(expected) = &processed.terminator else { return Ok(everything_new) };
    if processed.server_uuid != server.uuid {
        tracing::warn!(
            from = processed.server_uuid,
            to = server.uuid,
            "another server answers; its GTID set contains the checkpoint, so the relay follows it"
        );
        return Ok(everything_new);
    }
    let Some(Gtid::Mysql(last)) = &expected.gtid else {
        return Err(Error::new(Code::CheckpointUnreadable, "the last group in the checkpoint has no GTID"));
    };
    if server.purged.contains(last) {
        tracing::warn!(gtid = %last, "the last processed group is purged: the source's history cannot be compared, \
             the GTID sets show that nothing needed is gone");
        return Ok(everything_new);
    }
    let mut requested = executed.clone();
    requested.remove(last);
    Ok(Resume { from: from(&requested), rewind: Some(Rewind { expected: expected.clone() }) })
}

fn resume_file(processed: &Processed, server: &Server) -> Result<Resume> {
    if processed.server_uuid != server.uuid {
        return Err(Error::new(
            Code::OtherServer,
            format!("the checkpoint belongs to server_uuid {}, this is {}", processed.server_uuid, server.uuid),
        ));
    }
    ensure_in_logs(&processed.position, server)?;
    let Some(expected) = &processed.terminator else {
        return Ok(Resume { from: DumpFrom::File(processed.position.clone()), rewind: None });
    };
    let start = FilePosition { file: Arc::clone(&expected.file), offset: expected.start };
    ensure_in_logs(&start, server)?;
    // The re-read begins at the terminator, behind the GTID event that `gtid_mode = ON_PERMISSIVE` writes.
    let expected = Fingerprint { gtid: None, previous: None, ..expected.clone() };
    Ok(Resume { from: DumpFrom::File(start), rewind: Some(Rewind { expected }) })
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

/// The comparison of the re-read group. Fed with every event until it is done; rows of that group are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewind {
    expected: Fingerprint,
}

/// What a [`Rewind`] makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewound {
    /// Still inside the re-read group: drop the event.
    Dropped,
    /// The terminator matched; the next event is new.
    Verified,
}

impl Rewind {
    /// Judges the next event.
    ///
    /// # Errors
    /// `HistoryChanged` if the first group is not the expected one.
    pub fn check(&self, event: &BinlogEvent) -> Result<Rewound> {
        match event {
            BinlogEvent::GroupStart(start) => self.check_start(start),
            BinlogEvent::Terminator(terminator) if self.matches(&terminator.fingerprint) => Ok(Rewound::Verified),
            BinlogEvent::Terminator(terminator) => Err(self.changed(&describe(&terminator.fingerprint))),
            _ => Ok(Rewound::Dropped),
        }
    }

    /// In a file beyond 4 GiB a dump by GTID leaves the high bits of an offset open: the header carries 32.
    fn matches(&self, found: &Fingerprint) -> bool {
        let low = |offset: u64| offset & u64::from(u32::MAX);
        let same_place = low(found.start) == low(self.expected.start) && low(found.end) == low(self.expected.end);
        let (start, end) = (self.expected.start, self.expected.end);
        same_place && Fingerprint { start, end, ..found.clone() } == self.expected
    }

    /// Judges an error met before the comparison was done. A file position that is no event's start any more reads as
    /// damage; in GTID mode every dump begins at an event.
    pub fn explain(&self, error: Error) -> Error {
        let unreadable = matches!(error.code(), Code::EventCorrupt | Code::EventUndecodable | Code::EventUnsupported);
        if self.expected.gtid.is_none() && unreadable {
            return self.changed("what is no event").caused_by(error.chain());
        }
        error
    }

    fn check_start(&self, start: &GroupStart) -> Result<Rewound> {
        if start.gtid == self.expected.gtid {
            return Ok(Rewound::Dropped);
        }
        let found = start.gtid.as_ref().map_or_else(|| "an anonymous group".to_owned(), ToString::to_string);
        Err(self.changed(&format!("{found} at {}", start.start)))
    }

    fn changed(&self, found: &str) -> Error {
        let expected = describe(&self.expected);
        Error::new(Code::HistoryChanged, format!("source history changed: expected {expected}, found {found}"))
    }
}

fn describe(fingerprint: &Fingerprint) -> String {
    format!(
        "{}:{} (type {}, {} bytes, time {}, server id {}, crc {:08x}, {})",
        fingerprint.file,
        fingerprint.start,
        fingerprint.event_type,
        fingerprint.size,
        fingerprint.timestamp,
        fingerprint.server_id,
        fingerprint.crc32,
        fingerprint.gtid.as_ref().map_or_else(|| "anonymous".to_owned(), |gtid| format!("GTID {gtid}")),
    )
}

#[cfg(test)]
mod tests;
