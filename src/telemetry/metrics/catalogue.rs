//! Every metric, once: name, type, labels, help. `docs/metrics.md` is generated from this table.
//!
//! Rules: prefix `outboxd_`, base units (seconds, bytes), `_total` on counters, ages as `_timestamp_seconds`. Labels are
//! tables, topics and closed lists; never GTIDs, file names, keys or row values. Every series exists from the start, so
//! that `rate()` and alerts need no special case for "never happened".

/// What is counted or measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// A value that comes and goes.
    Gauge,
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// The declaration of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Full name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Label names besides `relay`, which every series has.
    pub labels: &'static [&'static str],
    /// One or two sentences.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($ident:ident = $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(pub(super) const $ident: Family = Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// Every metric of outboxd's own; the process's (`process_*`) come on top.
        pub const ALL: &[Family] = &[$($ident),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

const LATENCY: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const DURATION: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const RECORDS: &[f64] = &[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
/// 1 KiB to 64 MiB.
const BYTES: &[f64] =
    &[1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

catalogue! {
    BUILD_INFO = Gauge, "outboxd_build_info", ["version", "revision", "librdkafka"],
        "Always 1; the labels say what is running.";
    STATE = Gauge, "outboxd_state", ["state"],
        "1 for the state the relay is in, 0 for the others: starting, standby, streaming, stalled, stopping.";

    SOURCE_CONNECTED = Gauge, "outboxd_source_connected", [],
        "1 while the binlog stream is connected.";
    SOURCE_LAST_CONTACT = Gauge, "outboxd_source_last_contact_timestamp_seconds", [],
        "When MySQL last sent anything, heartbeats included (Unix time; 0: not yet).";
    SOURCE_LAST_EVENT = Gauge, "outboxd_source_last_event_timestamp_seconds", [],
        "The commit time of the last source transaction read (Unix time of MySQL's clock; 0: none yet).";
    LAG = Gauge, "outboxd_lag_seconds", [],
        "Age of the oldest source transaction that was read and is not yet delivered, by MySQL's commit time; 0 when caught up. While disconnected at least the time since the last contact.";
    LATENCY_SECONDS = Histogram(LATENCY), "outboxd_end_to_end_latency_seconds", [],
        "From the commit in MySQL to the commit in Kafka, for each source transaction with outbox rows.";
    SOURCE_EVENTS = Counter, "outboxd_source_events_total", ["type"],
        "Binlog events read, by type.";
    SOURCE_BYTES = Counter, "outboxd_source_bytes_total", [],
        "Bytes of binlog events read.";
    SOURCE_TRANSACTIONS = Counter, "outboxd_source_transactions_total", ["compressed"],
        "Source transactions read to their commit, by whether MySQL had compressed them.";
    SOURCE_XA_UNDECIDED = Gauge, "outboxd_source_xa_undecided", [],
        "XA transactions prepared in the log and neither committed nor rolled back. One that stays is held in memory and needs its log file.";
    SOURCE_RECONNECTS = Counter, "outboxd_source_reconnects_total", ["reason"],
        "Times the binlog stream was torn down to be opened again, by the error that ended it.";

    OUTBOX_EVENTS = Counter, "outboxd_outbox_events_total", ["table"],
        "Committed inserts read from an outbox table.";
    OUTBOX_IGNORED = Counter, "outboxd_outbox_ignored_total", ["table", "reason"],
        "Changes of an outbox table that are no events: update, delete (rows) or truncate (statements).";
    OUTBOX_INVALID = Counter, "outboxd_outbox_invalid_total", ["table", "reason"],
        "Outbox rows that could not become records; the reason is the error's name in docs/errors.md.";

    KAFKA_RECORDS = Counter, "outboxd_kafka_records_total", ["topic"],
        "Records committed to Kafka. Topics beyond the first 200 count as `_other`.";
    KAFKA_BYTES = Counter, "outboxd_kafka_bytes_total", ["topic"],
        "Bytes of keys and values committed to Kafka, before compression.";
    KAFKA_ERRORS = Counter, "outboxd_kafka_errors_total", ["code", "class"],
        "Errors reported by librdkafka, by its code and by what it means: retriable, abortable or fatal.";
    KAFKA_TRANSACTIONS = Counter, "outboxd_kafka_transactions_total", ["result"],
        "Kafka transactions: committed; renewed (committed, but so slowly that the producer was replaced); uncertain (the checkpoint had to decide).";
    KAFKA_TRANSACTION_SECONDS = Histogram(DURATION), "outboxd_kafka_transaction_seconds", [],
        "Duration of a Kafka transaction, from its begin to its commit.";
    KAFKA_TRANSACTION_RECORDS = Histogram(RECORDS), "outboxd_kafka_transaction_records", [],
        "Records in a Kafka transaction.";
    KAFKA_TRANSACTION_BYTES = Histogram(BYTES), "outboxd_kafka_transaction_bytes", [],
        "Bytes of keys and values in a Kafka transaction.";
    KAFKA_SPLIT = Counter, "outboxd_kafka_split_total", [],
        "Kafka transactions that ended within a source transaction (`batch.oversize = \"split\"`): its records did not become visible together.";
    KAFKA_FENCED = Counter, "outboxd_kafka_fenced_total", [],
        "Times Kafka fenced this instance's producer: another instance of the same name took over.";
    KAFKA_QUEUE_MESSAGES = Gauge, "outboxd_kafka_queue_messages", [],
        "Records in librdkafka's queue.";
    KAFKA_QUEUE_BYTES = Gauge, "outboxd_kafka_queue_bytes", [],
        "Bytes in librdkafka's queue.";

    CHECKPOINT_LAST_SUCCESS = Gauge, "outboxd_checkpoint_last_success_timestamp_seconds", [],
        "When a checkpoint was last committed or, at start, confirmed (Unix time; 0: not yet).";
    CHECKPOINT_COMMITS = Counter, "outboxd_checkpoint_commits_total", [],
        "Checkpoints committed.";

    BUFFER_BYTES = Gauge, "outboxd_buffer_bytes", [],
        "Bytes in flight: read from MySQL and not yet committed to Kafka.";
    BUFFER_LIMIT_BYTES = Gauge, "outboxd_buffer_limit_bytes", [],
        "The bound on outboxd_buffer_bytes.";
    BACKPRESSURE = Counter, "outboxd_backpressure_seconds_total", ["stage"],
        "Time for which reading stood still because this stage had no room.";

    ERRORS = Counter, "outboxd_errors_total", ["code"],
        "Errors that ended a run, by code; docs/errors.md explains each.";
    TASKS_PANICKED = Counter, "outboxd_tasks_panicked_total", ["task"],
        "Tasks that panicked.";
}
