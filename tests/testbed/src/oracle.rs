//! Was everything delivered exactly once? Compares what MySQL committed with what Kafka shows.
//!
//! - Truth: [`truth::read`] parses what the real `mysqlbinlog -v` prints of the complete log, and
//!   [`truth::cross_check`] compares it with the rows that the table still holds.
//! - Observation: [`crate::Observer`], Kafka's own console consumer, reading committed records of all topics.
//! - [`judge`] compares the two by the rows' ids and gives a [`Verdict`].
//! - [`Verdict::add_checkpoints`] compares every checkpoint record with the truth: each must cover whole source
//!   transactions, exactly those of its position, and name the one before it.
//! - [`Verdict::add_stable`] looks at every last stable offset that a partition has had: what was visible there ended with
//!   a checkpoint.
//! - [`Verdict::add_metrics`] compares what the relay counted with the truth.
//!
//! No code is shared with the relay, not even the partitioner.

use std::collections::BTreeMap;
use std::fmt;

mod checkpoints;
mod judge;
mod metrics;
mod murmur2;
mod position;
mod stable;
#[cfg(test)]
mod tests;
pub mod truth;

pub use checkpoints::Checkpoints;
pub use judge::judge;
pub use murmur2::partition;
pub use stable::edges;

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// As JSON values: white space and the order of members do not matter.
    Json,
    /// Byte for byte.
    Bytes,
}

/// What a correct relay makes of a committed row.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The topic is this followed by the row's aggregate type.
    pub topic_prefix: String,
    /// The header that holds the row's id.
    pub id_header: String,
    /// The header `POSITION#ORDINAL/COUNT`.
    pub source_header: String,
    /// The header that holds the event type. If it is given, a record must have exactly these three, in the order id,
    /// event type, source.
    pub event_type_header: Option<String>,
    /// How values are compared.
    pub value: ValueForm,
    /// The number of partitions of each topic; the partition is not checked for topics that are not listed, nor
    /// for records without a key.
    pub partitions: BTreeMap<String, u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            topic_prefix: "outbox.event.".to_owned(),
            id_header: "id".to_owned(),
            source_header: "outboxd-source".to_owned(),
            event_type_header: None,
            value: ValueForm::Json,
            partitions: BTreeMap::new(),
        }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// A committed row has no record.
    Lost,
    /// A committed row has more than one record.
    Duplicated,
    /// A record belongs to no committed row.
    Phantom,
    /// A record comes after a later row's with the same key.
    ReorderedInKey,
    /// A record comes after a later row's in the same partition.
    OutOfLogOrder,
    /// Of a source transaction some records are seen and some are not, at the end or at any last stable offset.
    Torn,
    /// A record's key or value is not the row's.
    Changed,
    /// A record's headers are not those of its row.
    ChangedHeaders,
    /// A record is in another topic than its row's.
    WrongTopic,
    /// A record is in another partition than the Java client would choose for its key.
    WrongPartition,
    /// A checkpoint does not follow the one before it.
    CheckpointOrder,
    /// A checkpoint covers other rows than its position says, or a part of a source transaction.
    CheckpointCover,
    /// The relay counted something else than happened.
    Miscounted,
}

impl Defect {
    /// All defects, in the order of the report.
    pub const ALL: [Self; 13] = [
        Self::Lost,
        Self::Duplicated,
        Self::Phantom,
        Self::ReorderedInKey,
        Self::OutOfLogOrder,
        Self::Torn,
        Self::Changed,
        Self::ChangedHeaders,
        Self::WrongTopic,
        Self::WrongPartition,
        Self::CheckpointOrder,
        Self::CheckpointCover,
        Self::Miscounted,
    ];

    /// The name in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Phantom => "phantom",
            Self::ReorderedInKey => "reordered in key",
            Self::OutOfLogOrder => "out of log order",
            Self::Torn => "torn transactions",
            Self::Changed => "changed",
            Self::WrongTopic => "wrong topic",
            Self::ChangedHeaders => "changed headers",
            Self::WrongPartition => "wrong partition",
            Self::CheckpointOrder => "checkpoint order",
            Self::CheckpointCover => "checkpoint cover",
            Self::Miscounted => "miscounted",
        }
    }
}

/// How many examples of each defect are kept.
const EXAMPLES: usize = 10;

/// The outcome of a comparison.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Verdict {
    /// Rows that MySQL committed.
    pub committed: usize,
    /// Records that were seen.
    pub observed: usize,
    /// Checkpoint records that were looked at.
    pub checkpoints: usize,
    /// Last stable offsets that were looked at.
    pub stable_offsets: usize,
    defects: BTreeMap<Defect, (usize, Vec<String>)>,
}

impl Verdict {
    /// Whether every committed row was seen exactly once, whole, unchanged and in its place.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.defects.is_empty()
    }

    /// How often a defect was found.
    #[must_use]
    pub fn count(&self, defect: Defect) -> usize {
        self.defects.get(&defect).map_or(0, |(count, _)| *count)
    }

    /// Up to ten examples of a defect.
    #[must_use]
    pub fn examples(&self, defect: Defect) -> &[String] {
        self.defects.get(&defect).map_or(&[], |(_, examples)| examples)
    }

    fn add(&mut self, defect: Defect, example: impl FnOnce() -> String) {
        let (count, examples) = self.defects.entry(defect).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<18}{:>10}", "committed rows", self.committed)?;
        writeln!(f, "{:<18}{:>10}", "records seen", self.observed)?;
        writeln!(f, "{:<18}{:>10}", "checkpoints", self.checkpoints)?;
        writeln!(f, "{:<18}{:>10}", "stable offsets", self.stable_offsets)?;
        for defect in Defect::ALL {
            writeln!(f, "{:<18}{:>10}", defect.name(), self.count(defect))?;
            for example in self.examples(defect) {
                writeln!(f, "    {example}")?;
            }
        }
        let verdict = if self.is_clean() { "clean" } else { "BROKEN" };
        write!(f, "{:<18}{verdict:>10}", "verdict")
    }
}
