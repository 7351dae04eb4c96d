//! Configuration: layers → checked [`Config`], every mistake reported at once.
//!
//! ```text
//! FILE (TOML) ─┐
//! OUTBOXD__…  ─┼─▶ layers ─▶ known keys, types, units ─▶ cross-field rules ─▶ Config
//! --set k=v   ─┘
//! ```

use std::path::PathBuf;
use std::time::Duration;

mod checks;
mod diagnose;
mod document;
mod fingerprint;
mod keys;
mod layers;
mod outboxes;
mod properties;
mod reference;
mod secret;
mod settings;
mod template;
mod units;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use checks::derive_server_id;
pub use diagnose::{Mistake, Mistakes};
pub use fingerprint::selection;
pub use layers::Sources;
pub use outboxes::{OnUpdate, OutboxConfig};
pub use reference::reference;
pub use secret::Secret;
pub use template::{TopicPart, TopicTemplate};

/// A checked configuration, and what should be known about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Mistake>,
}

/// Reads and merges the layers and checks everything; on failure all mistakes are in the answer, not only the first.
pub fn load(sources: &Sources) -> Result<Loaded, Mistakes> {
    let document = document::Document::load(sources.file.as_deref()).map_err(Mistakes::new)?;
    let mut mistakes = Vec::new();
    let merged = layers::merge(&document, sources, &mut mistakes);
    layers::warn_near_misses(sources, &merged, &mut mistakes);
    let mut settings = settings::Settings::new(&document, merged, mistakes);
    let config = checks::config(&mut settings, sources);
    let found = Mistakes::new(settings.mistakes);
    match config {
        Some(config) if found.errors() == 0 => Ok(Loaded { config, warnings: found.into_inner() }),
        _ => Err(found),
    }
}

/// The checked configuration of one relay.
#[derive(Clone, Debug)]
pub struct Config {
    /// Identity: checkpoint key, transactional id, default server id, metrics label.
    pub name: String,
    /// How long a drain may take before it is cut short.
    pub shutdown_timeout: Duration,
    /// `[source]`
    pub source: SourceConfig,
    /// `[kafka]`
    pub kafka: KafkaConfig,
    /// `[batch]`
    pub batch: BatchConfig,
    /// `[ha]`
    pub ha: HaConfig,
    /// `[outbox.NAME]`, in file order.
    pub outboxes: Vec<OutboxConfig>,
    /// `[http]`
    pub http: HttpConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[source]`: the MySQL server to read from.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Where it may be; the first one that has what follows the checkpoint is read.
    pub hosts: Vec<Host>,
    /// Account name.
    pub user: String,
    /// Password, resolved from `password`, `password_file` or `password_env`.
    pub password: Secret,
    /// Where the very first start begins.
    pub start: StartPosition,
    /// How positions are kept; `None`: as the server can.
    pub positions: Option<crate::position::PositionMode>,
    /// Replica server id; already derived from the name if the file says 0.
    pub server_id: u32,
    /// Told to the server where a replica tells its `server_uuid`: the same for every process of this relay, so that the
    /// server can tell them from other replicas.
    pub replica_uuid: uuid::Uuid,
    /// Heartbeat period asked of the server; three silent periods end the connection.
    pub heartbeat: Duration,
    /// Where column names come from.
    pub column_names: ColumnNames,
    /// `[source.tls]`
    pub tls: TlsConfig,
}

/// `[ha]`: several instances of one relay.
#[derive(Clone, Copy, Debug)]
pub struct HaConfig {
    /// Whether they stand by for each other.
    pub standby: bool,
    /// How long one may be silent before another one leads.
    pub session_timeout: Duration,
}

/// `source.column_names`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnNames {
    /// The log's own metadata.
    Metadata,
    /// The server's present tables, where the log has no names.
    InformationSchema,
}

/// A server of `source.host` or `source.hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host name or address.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// `source.start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// The server's present end of log.
    Now,
    /// The oldest log that the server still has.
    Earliest,
    /// After these executed GTIDs.
    Gtid(crate::position::GtidState),
    /// At this offset of this binlog file.
    File {
        /// Binlog file name.
        name: String,
        /// Byte offset of an event's start.
        offset: u64,
    },
}

/// `[source.tls]`.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// How far the server is verified.
    pub mode: TlsMode,
    /// Authority to trust besides the bundled ones.
    pub ca: Option<PathBuf>,
}

/// `source.tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain TCP: loopback only, unless `source.tls.allow_plaintext`.
    Disabled,
    /// Encrypted, server not verified.
    Required,
    /// Certificate chain verified, host name not.
    VerifyCa,
    /// Certificate chain and host name verified.
    VerifyIdentity,
}

/// `[kafka]`.
#[derive(Clone)]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port`.
    pub brokers: Vec<String>,
    /// Delivery guarantee.
    pub delivery: DeliveryMode,
    /// Compacted topic that holds the checkpoint.
    pub checkpoint_topic: String,
    /// Explicit partition of the checkpoint; by default chosen by the name.
    pub checkpoint_partition: Option<i32>,
    /// Create missing output topics.
    pub create_topics: bool,
    /// Partitions of created output topics.
    pub partitions: i32,
    /// Replication factor of created topics; -1: the broker's default.
    pub replication_factor: i32,
    /// librdkafka properties passed through (never the ones that are ours).
    pub librdkafka: Vec<(String, String)>,
}

impl std::fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of properties may be secrets (`sasl.password`, `ssl.key.pem`): only their names are shown.
        let properties: Vec<&str> = self.librdkafka.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("delivery", &self.delivery)
            .field("checkpoint_topic", &self.checkpoint_topic)
            .field("checkpoint_partition", &self.checkpoint_partition)
            .field("create_topics", &self.create_topics)
            .field("partitions", &self.partitions)
            .field("replication_factor", &self.replication_factor)
            .field("librdkafka", &properties)
            .finish()
    }
}

/// `kafka.delivery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    /// Records and checkpoint in one Kafka transaction.
    ExactlyOnce,
    /// Checkpoint after the records were acknowledged.
    AtLeastOnce,
}

/// `[batch]`: limits of one Kafka transaction.
#[derive(Clone, Debug)]
pub struct BatchConfig {
    /// Bytes of records in one Kafka transaction; also bounds what is in flight.
    pub max_bytes: usize,
    /// Records in one Kafka transaction.
    pub max_records: usize,
    /// Wait this long for more before a Kafka transaction closes; zero: close as soon as nothing waits.
    pub linger: Duration,
    /// Bytes of row events of one source transaction that one Kafka transaction may carry.
    pub max_stream_bytes: u64,
    /// What becomes of a larger one.
    pub oversize: Oversize,
}

/// What becomes of a source transaction that is more than one Kafka transaction may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The relay stops.
    Stream,
    /// It travels in several, so its records do not become visible together.
    Split,
}

/// `[http]`.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Listen address; `None`: no HTTP.
    pub listen: Option<std::net::SocketAddr>,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Line format.
    pub format: LogFormat,
    /// `tracing` filter directives, e.g. `info` or `outboxd=debug,info`.
    pub level: String,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Human-readable lines.
    Text,
    /// One JSON object a line.
    Json,
}
