//! The one table of keys: path, kind with unit and range, default, meaning.
//!
//! Everything that has to know the keys reads this table: unknown keys and suggestions, types and units, defaults, the
//! environment's spelling, `docs/configuration.md`. `*` in a path stands for a name that the file chooses.

/// A documented key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted path.
    pub(super) path: &'static str,
    /// What its value may be.
    pub(super) kind: Kind,
    /// What happens if it is not set.
    pub(super) presence: Presence,
    /// One line for the reference.
    pub(super) meaning: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A whole number.
    Integer(i64, i64),
    /// `true` or `false`.
    Flag,
    /// A duration with a unit; the range is in milliseconds.
    Duration(u64, u64),
    /// A size with a unit; the range is in bytes.
    Size(u64, u64),
    /// A list of texts; comma-separated outside the file.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any scalar: handed to librdkafka as text.
    Property,
}

/// What happens if a key is not set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Presence {
    /// A mistake.
    Required,
    /// This value, written as in the file.
    Default(&'static str),
    /// Nothing, or what the text says.
    Optional(&'static str),
}

use Kind::{Choice, Duration, Flag, Integer, List, Property, Secret, Size, Text};
use Presence::{Default, Optional, Required};

const fn key(path: &'static str, kind: Kind, presence: Presence, meaning: &'static str) -> Key {
    Key { path, kind, presence, meaning }
}

const SECOND: u64 = 1_000;
const MIB: u64 = 1 << 20;

/// Every key, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    key(
        "name",
        Text,
        Required,
        "Identity of the relay: checkpoint key, transactional id, server id, metrics label. 1 to 100 of `A-Z a-z 0-9 . _ -`.",
    ),
    key(
        "shutdown_timeout",
        Duration(SECOND, 600 * SECOND),
        Default("20s"),
        "How long a drain may take before it is cut short; keep it below the service manager's own limit.",
    ),
    key("source.host", Text, Optional("this or `source.hosts`"), "Host name or address of the MySQL server."),
    key(
        "source.hosts",
        List,
        Optional("this or `source.host`"),
        "Servers of one replication topology, `host` or `host:port`: at each connect the first one that answers and has what follows the checkpoint is read.",
    ),
    key(
        "source.port",
        Integer(1, 65_535),
        Default("3306"),
        "TCP port of the MySQL server, and of `source.hosts` without one.",
    ),
    key("source.user", Text, Required, "Account with REPLICATION SLAVE and REPLICATION CLIENT."),
    key(
        "source.password",
        Secret,
        Optional("exactly one of the three"),
        "Password in clear text; the file must not be readable by others.",
    ),
    key(
        "source.password_file",
        Text,
        Optional("exactly one of the three"),
        "File that holds the password; one newline at its end is left out.",
    ),
    key(
        "source.password_env",
        Text,
        Optional("exactly one of the three"),
        "Environment variable that holds the password.",
    ),
    key(
        "source.start",
        Text,
        Default("now"),
        "Where the very first start begins: `now`, `earliest`, `gtid:SET` or `file:NAME:POSITION`. Ignored once there is a checkpoint.",
    ),
    key(
        "source.positions",
        Choice(&["auto", "gtid", "file"]),
        Default("auto"),
        "How positions are kept: by GTID or by binlog file; `auto`: by GTID if the server has them (MySQL with `gtid_mode = ON`, every MariaDB).",
    ),
    key(
        "source.server_id",
        Integer(0, 4_294_967_295),
        Default("0"),
        "Replica server id, unique among the replicas of the server; 0: derived from `name` (1000000 to 4294967295).",
    ),
    key(
        "source.heartbeat",
        Duration(SECOND, 3_600 * SECOND),
        Default("10s"),
        "Heartbeat period asked of the server; three silent periods end the connection.",
    ),
    key(
        "source.column_names",
        Choice(&["metadata", "information_schema"]),
        Default("metadata"),
        "Where column names come from: the binary log's own metadata (`binlog_row_metadata=FULL`), or the server's present tables, with the risks that `docs/values.md` names.",
    ),
    key(
        "source.tls.mode",
        Choice(&["disabled", "required", "verify-ca", "verify-identity"]),
        Optional("verify-identity; disabled if source.host is a loopback address"),
        "How far the server is verified.",
    ),
    key("source.tls.ca", Text, Optional("the bundled authorities"), "PEM file of the authority to trust."),
    key(
        "source.tls.allow_plaintext",
        Flag,
        Default("false"),
        "Allow `source.tls.mode = \"disabled\"` to a host that is not loopback.",
    ),
    key("kafka.brokers", List, Required, "Bootstrap servers, `host:port`."),
    key(
        "kafka.delivery",
        Choice(&["exactly-once", "at-least-once"]),
        Default("exactly-once"),
        "Records and checkpoint in one Kafka transaction, or checkpoint after the acknowledgement.",
    ),
    key(
        "kafka.checkpoint_topic",
        Text,
        Default("outboxd.checkpoints"),
        "Compacted topic that holds the checkpoint; created if it is missing.",
    ),
    key(
        "kafka.checkpoint_partition",
        Integer(0, 2_147_483_647),
        Optional("chosen by `name`"),
        "Partition of the checkpoint.",
    ),
    key("kafka.create_topics", Flag, Default("false"), "Create missing output topics."),
    key("kafka.partitions", Integer(1, 100_000), Default("6"), "Partitions of created output topics."),
    key(
        "kafka.replication_factor",
        Integer(-1, 32_767),
        Default("-1"),
        "Replication factor of created topics; -1: the broker's default.",
    ),
    key("kafka.librdkafka.*", Property, Optional(""), "Any librdkafka property that is not outboxd's own to set."),
    key(
        "batch.max_bytes",
        Size(MIB, 1_024 * MIB),
        Default("16MiB"),
        "Bytes of records in one Kafka transaction; also bounds what is in flight.",
    ),
    key("batch.max_records", Integer(1, 1_000_000), Default("50000"), "Records in one Kafka transaction."),
    key(
        "batch.linger",
        Duration(0, SECOND),
        Default("0ms"),
        "How long a Kafka transaction waits for more; `0ms`: it closes as soon as nothing waits.",
    ),
    key(
        "batch.max_stream_bytes",
        Size(MIB, 1_024 * 1_024 * MIB),
        Default("4GiB"),
        "Outbox row events of one source transaction that one Kafka transaction may carry. Above `max_bytes` they are streamed into it; it must end within `transaction.timeout.ms`.",
    ),
    key(
        "batch.oversize",
        Choice(&["stream", "split"]),
        Default("stream"),
        "What happens to a source transaction above `max_stream_bytes`. `stream`: outboxd stops; `split`: it travels in several Kafka transactions, exactly once, but not visible together.",
    ),
    key(
        "ha.standby",
        Flag,
        Default("false"),
        "Hot standby: of all instances of this name one leads, and another one takes over when it ends. Set it for all of them.",
    ),
    key(
        "ha.session_timeout",
        Duration(SECOND, 300 * SECOND),
        Default("10s"),
        "How long an instance in hot standby may be silent before another one leads; within the brokers' `group.min.session.timeout.ms` (6 s) and `group.max.session.timeout.ms`.",
    ),
    key("outbox.*.table", Text, Required, "The outbox table, `schema.table`."),
    key("outbox.*.id", Text, Default("id"), "Column for the header `id`."),
    key("outbox.*.aggregate_type", Text, Default("aggregatetype"), "Column for `{aggregate_type}` in the topic."),
    key("outbox.*.aggregate_id", Text, Default("aggregateid"), "Column for the record's key."),
    key("outbox.*.event_type", Text, Optional("none"), "Column for `{event_type}` in the topic."),
    key("outbox.*.payload", Text, Default("payload"), "Column for the record's value."),
    key(
        "outbox.*.topic",
        Text,
        Default("outbox.event.{aggregate_type}"),
        "Topic, with the fields `{aggregate_type}` and `{event_type}`.",
    ),
    key("outbox.*.timestamp", Text, Optional("the commit's time"), "Column for the record's timestamp."),
    key("outbox.*.source_header", Flag, Default("true"), "Add the header `outboxd-source` = POSITION#ORDINAL/COUNT."),
    key(
        "outbox.*.on_update",
        Choice(&["stop", "warn", "emit"]),
        Default("stop"),
        "What an update of an outbox row does; `emit` publishes the row as it is after the update.",
    ),
    key("outbox.*.headers.*", Text, Optional(""), "Header name = column."),
    key(
        "http.listen",
        Text,
        Default("127.0.0.1:9464"),
        "Address of health checks and metrics, `ip:port`; `off`: none.",
    ),
    key(
        "log.format",
        Choice(&["auto", "text", "json"]),
        Default("auto"),
        "`auto`: text on a terminal, JSON otherwise.",
    ),
    key("log.level", Text, Default("info"), "Level, or filter directives such as `outboxd=debug,info`."),
];

/// The key that a path belongs to.
pub(super) fn find(path: &[&str]) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let pattern: Vec<&str> = key.path.split('.').collect();
        pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, s)| *p == "*" || p == s)
    })
}

/// What may stand below the table at `path`; `*` if the file chooses the names. Empty if there is no such table.
pub(super) fn children(path: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
        let mut pattern = key.path.split('.');
        let below = path.iter().all(|segment| pattern.next().is_some_and(|p| p == "*" || p == *segment));
        if let Some(name) = pattern.next().filter(|name| below && !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

/// The environment variable that sets a key.
pub(super) fn variable(path: &str) -> String {
    format!("OUTBOXD__{}", path.to_uppercase().replace('.', "__"))
}

/// The closest of `candidates` to what was written, if it is close enough to be meant.
pub(super) fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&written.to_lowercase(), candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
