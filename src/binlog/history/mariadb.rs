//! Resuming on a MariaDB by GTID: a position names the last transaction of each domain, so the dump begins one group early
//! by naming the transaction before the last one in that one's domain.
//!
//! While a distributed transaction is undecided the dump begins at its group, by file.

use super::{DumpFrom, Processed, Resume, Rewind, resume_file};
use crate::binlog::server::{MariadbGtids, Server, identity};
use crate::error::{Code, Error, Result};
use crate::position::{Gtid, GtidPosition, GtidState};

pub(super) fn resume(processed: &Processed, executed: &GtidPosition, server: &Server) -> Result<Resume> {
    let Some(gtids) = &server.mariadb else {
        return Err(Error::new(Code::Internal, "a MariaDB without GTIDs"));
    };
    ensure_servable(executed, gtids)?;
    if let Some(Gtid::Mariadb(gtid)) = processed.begun_gtid() {
        let mut published = executed.clone();
        published.advance(*gtid);
        ensure_not_ahead(&published, gtids)?;
    }
    if let Some(prepared) = processed.held().next() {
        // By GTID it cannot be asked for without all that follows it; by file it can, as on a server without GTIDs.
        if processed.server_uuid == server.uuid {
            return resume_file(processed, server);
        }
        let what = format!("{prepared} on {}, is undecided; this is {}", processed.server_uuid, server.uuid);
        return Err(Error::new(Code::OtherServer, what)
            .with_fix("Connect to the server named until the transaction is decided there: XA RECOVER lists it."));
    }
    let from = |position| DumpFrom::Gtid(GtidState::Mariadb(position));
    let everything_new = Resume { from: from(executed.clone()), rewind: None };
    let Some(expected) = &processed.terminator else { return Ok(everything_new) };
    if processed.server_uuid != server.uuid {
        // Never silent, as on MySQL.
        let own = gtids.state.behind(executed, |id| identity(id) != processed.server_uuid);
        tracing::warn!(
            from = processed.server_uuid,
            to = server.uuid,
            not_from_the_former = %own,
            "another server answers; its log contains the checkpoint's GTIDs, so the relay follows it"
        );
        return Ok(everything_new);
    }
    let Some(Gtid::Mariadb(last)) = &expected.gtid else {
        return Err(Error::new(Code::CheckpointUnreadable, "the last group in the checkpoint has no GTID"));
    };
    let before = match &expected.previous {
        Some(Gtid::Mariadb(gtid)) => Some(*gtid),
        _ => None,
    };
    let requested = executed.with_domain_at(last.domain, before);
    if !requested.absent_from(&gtids.state).is_empty() {
        // The number before the last one is higher, and was set by hand: the server does not accept it.
        return resume_file(processed, server);
    }
    if !requested.needed_before(&gtids.purged).is_empty() {
        tracing::warn!(gtid = %last, "the last processed group is purged: the source's history cannot be compared, \
             the GTIDs show that nothing needed is gone");
        return Ok(everything_new);
    }
    Ok(Resume { from: from(requested), rewind: Some(Rewind::new(expected.clone(), Vec::new())) })
}

/// The server has written all of `position`, and still has what comes behind it.
///
/// # Errors
/// `CheckpointAhead`, `PositionPurged`.
pub(super) fn ensure_servable(position: &GtidPosition, gtids: &MariadbGtids) -> Result<()> {
    ensure_not_ahead(position, gtids)?;
    let needed = position.needed_before(&gtids.purged);
    if needed.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::PositionPurged, format!("needed and purged: what follows {position} up to {needed}")))
}

fn ensure_not_ahead(position: &GtidPosition, gtids: &MariadbGtids) -> Result<()> {
    let absent = position.absent_from(&gtids.state);
    if absent.is_empty() {
        return Ok(());
    }
    let state = &gtids.state;
    let what = format!("processed but absent from this server: {absent}; its log has come to {state}");
    Err(Error::new(Code::CheckpointAhead, what))
}
