//! Where the relay resumes: one record in a compacted Kafka topic, written in the same Kafka transaction as the records
//! that it covers.
//!
//! # Why this is safe
//!
//! - The checkpoint of a batch and the records of the batch commit together or not at all (I4), so the newest committed
//!   checkpoint names exactly the source transactions whose records are visible.
//! - It is read only behind a fence (I5): [`Fence`] can only be had from a producer whose `init_transactions` returned,
//!   and from then on no older producer of this relay can commit anything.
//! - It only moves forward (I1), from where the last committed one ended (I2): [`Checkpoint::advance`] refuses anything
//!   else, and each record carries the hash of the one before it.

pub mod codec;
pub(crate) mod newest;
pub mod store;
mod topic;

#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

use crate::binlog::begun::Begun;
use crate::binlog::event::Fingerprint;
use crate::binlog::history::Processed;
use crate::binlog::xa::{PreparedXa, XaStep};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, Flavour, GtidState, MixedGtids};

/// Proof that every older producer of this relay is shut out. Made by `delivery` when `init_transactions` has returned
/// (or, at least once, by the documented absence of a fence).
#[derive(Debug)]
pub struct Fence(());

impl Fence {
    pub(crate) fn established() -> Self {
        Self(())
    }
}

/// How many replaced places a checkpoint names.
const REPLACED: usize = 8;

/// Who wrote a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Random id of the process.
    pub instance: String,
    /// Its host name.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// How many producers the process has had, from 1.
    pub incarnation: u64,
    /// When the process started, seconds since the epoch.
    pub started_at: u64,
    /// Where it runs: the same for the process that its supervisor starts in its place. Empty if that does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "instance {} (pid {} on {})", self.instance, self.pid, self.host)
    }
}

/// The source that the position belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Whose server it is.
    pub flavour: Flavour,
    /// `@@server_uuid`; on MariaDB, which has none, made of `@@server_id`.
    pub server_uuid: String,
    /// `@@version`
    pub server_version: String,
}

/// What has been processed so far, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Event groups passed since the first start.
    pub groups: u64,
    /// Records published since the first start.
    pub records: u64,
}

/// The relay's durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Relay name.
    pub relay: String,
    /// Who wrote it.
    pub owner: Owner,
    /// The owner before this one, if it was another process.
    pub taken_over_from: Option<Owner>,
    /// Places whose instances were replaced by one at another place, the latest last. The owner's is not among them.
    pub replaced: Vec<String>,
    /// Counts the checkpoints of this relay, from 1.
    pub sequence: u64,
    /// CRC32 of the encoded checkpoint before this one; 0 for the first.
    pub previous: u32,
    /// Kafka cluster that it was written to.
    pub cluster_id: String,
    /// Source that it belongs to.
    pub source: SourceIdentity,
    /// End of the last processed group, or of the file's head if that came later.
    pub position: FilePosition,
    /// Executed GTIDs, in GTID mode.
    pub executed: Option<GtidState>,
    /// Terminator of the last processed group, or the file's head.
    pub terminator: Option<Fingerprint>,
    /// Distributed transactions prepared and undecided at this position, in the log's order.
    pub xa_pending: Vec<PreparedXa>,
    /// The source transaction behind this position, if some of its records are published already.
    pub begun: Option<Box<Begun>>,
    /// Commit time of the last processed group on its origin, microseconds since the epoch.
    pub committed_at_us: i64,
    /// Totals.
    pub counters: Counters,
    /// Fingerprint of the mapping in force.
    pub config: String,
}

/// Which checkpoint: enough to tell two of them apart after an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointId {
    /// Its sequence number.
    pub sequence: u64,
    /// CRC32 of its encoded form.
    pub crc32: u32,
}

/// How far the source is processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Event groups passed.
    pub groups: u64,
    /// Records of the group behind them that come before this place.
    pub records: u64,
}

impl Place {
    /// Between two groups, behind so many.
    pub fn between(groups: u64) -> Self {
        Self { groups, records: 0 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {} and {} records", self.groups, self.records)
    }
}

/// The step over exactly the groups of a batch, or over a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointDelta {
    /// Where it begins.
    pub from: Place,
    /// Where it ends.
    pub to: Place,
    /// GTIDs of its groups.
    pub gtids: Option<GtidState>,
    /// End of its last group, or of the head of the file that begins behind it.
    pub end: FilePosition,
    /// Terminator of its last group, or that head.
    pub terminator: Fingerprint,
    /// Distributed transactions that its groups prepared or decided, in the log's order.
    pub xa: Vec<XaStep>,
    /// Commit time of its last group on its origin, microseconds since the epoch.
    pub committed_at_us: i64,
    /// Records made from its groups.
    pub records: u64,
    /// The group that it ends in, if a checkpoint may be taken there.
    pub begun: Option<Box<Begun>>,
}

impl CheckpointDelta {
    /// Whether it moves over no group: a part of a large one moves no position.
    fn is_within(&self) -> bool {
        self.from.groups == self.to.groups
    }

    /// Whether it moves the position: behind groups, or behind the head of a file.
    fn moves(&self) -> bool {
        !self.is_within() || self.terminator.is_file_head()
    }

    /// Joins the delta that follows directly.
    ///
    /// # Errors
    /// `Internal` if `next` does not begin where this one ends (I2).
    pub fn join(&mut self, next: Self) -> Result<()> {
        ensure_follows(self.to, next.from)?;
        if self.moves() && next.is_within() {
            if self.is_within() {
                self.committed_at_us = next.committed_at_us;
            }
            (self.to, self.begun) = (next.to, next.begun);
            self.records += next.records;
            if next.terminator.is_file_head() {
                (self.end, self.terminator) = (next.end, next.terminator);
            }
            return Ok(());
        }
        let mut gtids = self.gtids.take();
        match (&mut gtids, &next.gtids) {
            (Some(gtids), Some(later)) => gtids.advance_to(later).map_err(mixed)?,
            (None, Some(later)) => gtids = Some(later.clone()),
            (_, None) => {}
        }
        let mut xa = std::mem::take(&mut self.xa);
        next.xa.into_iter().for_each(|step| step.append(&mut xa));
        *self = Self { from: self.from, gtids, xa, records: self.records + next.records, ..next };
        Ok(())
    }
}

impl Checkpoint {
    /// The checkpoint behind `delta`, written by `owner`. `id` is this one's identity.
    ///
    /// # Errors
    /// `Internal` if the delta does not begin here, or ends where no checkpoint may be taken (I1, I2).
    pub fn advance(&self, id: &CheckpointId, delta: &CheckpointDelta) -> Result<Self> {
        ensure_follows(self.place(), delta.from)?;
        if published(delta.begun.as_deref()) != delta.to.records {
            let what = format!("I2: a checkpoint behind {}, inside a source transaction", delta.to);
            return Err(Error::new(Code::Internal, what));
        }
        let mut next = self.clone();
        next.sequence = id.sequence + 1;
        next.previous = id.crc32;
        next.begun = delta.begun.clone();
        next.counters = Counters { groups: delta.to.groups, records: self.counters.records + delta.records };
        if delta.moves() {
            next.pass(delta)?;
        }
        Ok(next)
    }

    /// How far the source is processed.
    pub fn place(&self) -> Place {
        Place { groups: self.counters.groups, records: published(self.begun.as_deref()) }
    }

    /// Moves behind the groups of `delta`, or behind the head of a file.
    fn pass(&mut self, delta: &CheckpointDelta) -> Result<()> {
        if let (Some(executed), Some(gtids)) = (&mut self.executed, &delta.gtids) {
            executed.advance_to(gtids).map_err(mixed)?;
        }
        self.position = delta.end.clone();
        self.terminator = Some(delta.terminator.clone());
        delta.xa.iter().for_each(|step| self.take_xa(step));
        if !delta.is_within() {
            self.committed_at_us = delta.committed_at_us;
        }
        Ok(())
    }

    fn take_xa(&mut self, step: &XaStep) {
        let xid = match step {
            XaStep::Prepared(prepared) => &prepared.xid,
            XaStep::Decided(xid) => xid,
        };
        self.xa_pending.retain(|pending| pending.xid != *xid);
        if let XaStep::Prepared(prepared) = step {
            self.xa_pending.push(prepared.clone());
        }
    }

    /// The same position under a new owner: says who is in charge from now on.
    #[must_use]
    pub fn taken_over(&self, id: &CheckpointId, owner: Owner) -> Self {
        let mut next = self.clone();
        next.sequence = id.sequence + 1;
        next.previous = id.crc32;
        if next.owner.instance == owner.instance {
            next.owner = owner;
            return next;
        }
        let former = std::mem::replace(&mut next.owner, owner);
        next.replaced.retain(|place| *place != next.owner.place && *place != former.place);
        if former.place != next.owner.place && !former.place.is_empty() {
            next.replaced.push(former.place.clone());
            next.replaced.drain(..next.replaced.len().saturating_sub(REPLACED));
        }
        next.taken_over_from = Some(former);
        next
    }

    /// Whether the instance at this place was replaced by one elsewhere and has not taken over since.
    pub fn has_replaced(&self, place: &str) -> bool {
        self.replaced.iter().any(|replaced| replaced == place)
    }

    /// What history needs to know of it.
    pub fn processed(&self) -> Processed {
        Processed {
            flavour: self.source.flavour,
            server_uuid: self.source.server_uuid.clone(),
            position: self.position.clone(),
            executed: self.executed.clone(),
            terminator: self.terminator.clone(),
            prepared: self.xa_pending.clone(),
            begun: self.begun.clone(),
        }
    }
}

/// Records of the group behind a place that are published.
fn published(begun: Option<&Begun>) -> u64 {
    begun.map_or(0, |begun| begun.published)
}

fn mixed(error: MixedGtids) -> Error {
    Error::new(Code::Internal, "the step of a checkpoint").caused_by(error)
}

fn ensure_follows(ended: Place, begins: Place) -> Result<()> {
    if ended == begins {
        return Ok(());
    }
    Err(Error::new(Code::Internal, format!("I2: a step begins behind {begins}, the last one ended behind {ended}")))
}
