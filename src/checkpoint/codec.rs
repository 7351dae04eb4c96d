//! The checkpoint's stored form: versioned JSON. A golden file per format keeps it readable for good.
//!
//! A record says the oldest format whose readers understand all of it, so that an older binary can take over whenever
//! it would lose nothing, and refuses otherwise.

use serde::{Deserialize, Serialize};

use super::{Checkpoint, CheckpointId, Counters, Owner, SourceIdentity};
use crate::binlog::begun::Begun;
use crate::binlog::event::Fingerprint;
use crate::binlog::xa::PreparedXa;
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, GtidState};

/// The newest format that this binary reads and writes. Format 2 added `xa_pending`, format 3 the head of a file as
/// `terminator`, format 4 `begun`.
pub const FORMAT: u32 = 4;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    relay: String,
    owner: Owner,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_over_from: Option<Owner>,
    /// Readers of any format may drop it: it only keeps two supervisors from restarting against each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
    sequence: u64,
    previous: u32,
    cluster_id: String,
    source: SourceIdentity,
    file: String,
    offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terminator: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xa_pending: Vec<PreparedXa>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Box<Begun>>,
    committed_at_us: i64,
    counters: Counters,
    config: String,
}

/// Just enough to tell a newer format from a damaged record.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// The oldest format whose readers understand all of it.
fn format_of(checkpoint: &Checkpoint) -> u32 {
    let at_head = checkpoint.terminator.as_ref().is_some_and(Fingerprint::is_file_head);
    match at_head {
        _ if checkpoint.begun.is_some() => 4,
        true => 3,
        false if !checkpoint.xa_pending.is_empty() => 2,
        false => 1,
    }
}

/// Encodes a checkpoint; its identity comes along.
///
/// # Errors
/// `Internal`: the types have no value that JSON cannot hold.
pub fn encode(checkpoint: &Checkpoint) -> Result<(Vec<u8>, CheckpointId)> {
    let stored = Stored {
        format: format_of(checkpoint),
        relay: checkpoint.relay.clone(),
        owner: checkpoint.owner.clone(),
        taken_over_from: checkpoint.taken_over_from.clone(),
        replaced: checkpoint.replaced.clone(),
        sequence: checkpoint.sequence,
        previous: checkpoint.previous,
        cluster_id: checkpoint.cluster_id.clone(),
        source: checkpoint.source.clone(),
        file: checkpoint.position.file.to_string(),
        offset: checkpoint.position.offset,
        executed: checkpoint.executed.as_ref().map(ToString::to_string),
        terminator: checkpoint.terminator.clone(),
        xa_pending: checkpoint.xa_pending.clone(),
        begun: checkpoint.begun.clone(),
        committed_at_us: checkpoint.committed_at_us,
        counters: checkpoint.counters.clone(),
        config: checkpoint.config.clone(),
    };
    let bytes = serde_json::to_vec(&stored)
        .map_err(|e| Error::new(Code::Internal, "checkpoint does not encode").caused_by(e))?;
    let id = CheckpointId { sequence: checkpoint.sequence, crc32: crc32fast::hash(&bytes) };
    Ok((bytes, id))
}

/// Decodes a stored checkpoint.
///
/// # Errors
/// `CheckpointUnreadable` for a newer format or a damaged record.
pub fn decode(bytes: &[u8]) -> Result<(Checkpoint, CheckpointId)> {
    let damaged = |e: String| Error::new(Code::CheckpointUnreadable, format!("the checkpoint record is damaged: {e}"));
    let Versioned { format } = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    if format > FORMAT {
        return Err(Error::new(
            Code::CheckpointUnreadable,
            format!("the checkpoint has format {format}; this binary reads up to {FORMAT}"),
        ));
    }
    let stored: Stored = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    let executed = stored
        .executed
        .map(|text| match stored.source.flavour {
            Flavour::Mysql => text.parse().map(GtidState::Mysql),
            Flavour::Mariadb => text.parse().map(GtidState::Mariadb),
        })
        .transpose()
        .map_err(|e| damaged(format!("executed GTIDs: {e}")))?;
    let id = CheckpointId { sequence: stored.sequence, crc32: crc32fast::hash(bytes) };
    let checkpoint = Checkpoint {
        relay: stored.relay,
        owner: stored.owner,
        taken_over_from: stored.taken_over_from,
        replaced: stored.replaced,
        sequence: stored.sequence,
        previous: stored.previous,
        cluster_id: stored.cluster_id,
        source: stored.source,
        position: FilePosition { file: stored.file.as_str().into(), offset: stored.offset },
        executed,
        terminator: stored.terminator,
        xa_pending: stored.xa_pending,
        begun: stored.begun,
        committed_at_us: stored.committed_at_us,
        counters: stored.counters,
        config: stored.config,
    };
    Ok((checkpoint, id))
}
