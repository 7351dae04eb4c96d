//! What the pipeline tells about itself a few times a run.

use crate::config::DeliveryMode;
use crate::error::Code;
use crate::position::{FilePosition, GtidState, PositionMode};
use std::sync::Arc;
use std::time::SystemTime;

/// Why it does not stream.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// The error's code.
    pub code: Code,
    /// Since when nothing streams; kept when one obstacle follows another.
    pub since: SystemTime,
    /// What happened and where.
    pub detail: String,
    /// How to mend it.
    pub fix: String,
}

/// The server that is read.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// `host:port`.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Its `server_uuid`.
    pub server_uuid: String,
    /// How positions are kept.
    pub mode: PositionMode,
}

/// Where records go.
#[derive(Clone, Debug)]
pub struct SinkFacts {
    /// Bootstrap servers.
    pub brokers: Vec<String>,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The transactional ids, in exactly-once delivery.
    pub transactional_ids: Vec<String>,
    /// The guarantee.
    pub delivery: DeliveryMode,
}

/// The newest committed checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointFacts {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its sequence number.
    pub sequence: u64,
    /// When it was committed or, at start, confirmed.
    pub time: SystemTime,
    /// Up to where the source is delivered.
    pub position: Option<FilePosition>,
    /// What is delivered, in GTID mode.
    pub executed: Option<GtidState>,
}
