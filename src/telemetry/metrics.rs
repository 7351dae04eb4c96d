//! Every metric of a relay, as typed handles that are resolved once and cost an atomic addition each.
//!
//! `metrics/catalogue.rs` declares names, labels and help; `metrics/handle.rs` wraps the `prometheus` crate.

use super::status::{State, Status};
use crate::error::Code;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

pub mod catalogue;
mod events;
mod families;
mod handle;
mod of_status;

pub use events::SourceEvents;
use families::Families;
use handle::Registry;
pub use handle::{Counter, Gauge, SecondsCounter, SecondsGauge, SecondsHistogram, SizeHistogram};
use of_status::OfStatus;

/// Media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = handle::CONTENT_TYPE;

/// Topics that get a label of their own; the rest share [`OTHER_TOPIC`].
pub const MAX_TOPIC_LABELS: usize = 200;

/// The topic label of all topics beyond [`MAX_TOPIC_LABELS`].
pub const OTHER_TOPIC: &str = "_other";

/// Tasks known to [`Metrics::task_panicked`] from the start.
const TASKS: [&str; 3] = ["reader", "delivery", "admin"];

/// librdkafka errors worth a series before they happen.
const KAFKA_ERRORS: [(&str, ErrorClass); 5] = [
    ("AllBrokersDown", ErrorClass::Retriable),
    ("BrokerTransportFailure", ErrorClass::Retriable),
    ("OperationTimedOut", ErrorClass::Retriable),
    ("MessageTimedOut", ErrorClass::Abortable),
    ("Fenced", ErrorClass::Fatal),
];

/// What is running.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// Crate version.
    pub version: &'static str,
    /// Source revision, if the build was told (`OUTBOXD_REVISION`).
    pub revision: &'static str,
    /// Version of the linked librdkafka.
    pub librdkafka: String,
}

impl BuildInfo {
    /// Of this binary.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("OUTBOXD_REVISION").unwrap_or("unknown"),
            librdkafka: rdkafka::util::get_rdkafka_version().1,
        }
    }
}

/// How librdkafka classifies an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// librdkafka tries again by itself.
    Retriable,
    /// The Kafka transaction cannot commit.
    Abortable,
    /// The producer is finished.
    Fatal,
}

impl ErrorClass {
    fn label(self) -> &'static str {
        match self {
            Self::Retriable => "retriable",
            Self::Abortable => "abortable",
            Self::Fatal => "fatal",
        }
    }
}

/// All metrics of one relay. Unlabelled ones are fields; labelled ones are looked up once and kept by the caller.
#[derive(Debug)]
pub struct Metrics {
    /// Binlog events by type, resolved.
    pub source_events: SourceEvents,
    /// Bytes of binlog events.
    pub source_bytes: Counter,
    /// Source transactions that MySQL had not compressed.
    pub source_transactions_plain: Counter,
    /// Source transactions that MySQL had compressed.
    pub source_transactions_compressed: Counter,
    /// XA transactions prepared and undecided.
    pub source_xa_undecided: Gauge,
    /// Commit in MySQL to commit in Kafka.
    pub end_to_end_latency: SecondsHistogram,
    /// Kafka transactions that committed cleanly.
    pub kafka_committed: Counter,
    /// Kafka transactions that committed, after which the producer was replaced.
    pub kafka_renewed: Counter,
    /// Kafka transactions whose outcome the checkpoint had to tell.
    pub kafka_uncertain: Counter,
    /// Begin to commit.
    pub kafka_transaction_seconds: SecondsHistogram,
    /// Records in a Kafka transaction.
    pub kafka_transaction_records: SizeHistogram,
    /// Bytes in a Kafka transaction.
    pub kafka_transaction_bytes: SizeHistogram,
    /// Kafka transactions that ended within a source transaction.
    pub kafka_split: Counter,
    /// Another instance took over.
    pub kafka_fenced: Counter,
    /// Records in librdkafka's queue.
    pub kafka_queue_messages: Gauge,
    /// Bytes in librdkafka's queue.
    pub kafka_queue_bytes: Gauge,
    /// Checkpoints committed.
    pub checkpoint_commits: Counter,

    registry: Registry,
    families: Families,
    of_status: OfStatus,
    topics: Mutex<HashSet<String>>,
}

impl Metrics {
    /// All families, with every series that can be known now at 0. `tables` are the outbox tables, as `database.table`;
    /// `name` becomes the label `relay` of every series.
    pub fn new<'a>(name: &str, build: &BuildInfo, tables: impl IntoIterator<Item = &'a str>) -> Self {
        let registry = Registry::new(HashMap::from([("relay".to_owned(), name.to_owned())]));
        let version = [build.version, build.revision, build.librdkafka.as_str()];
        registry.gauges(&catalogue::BUILD_INFO).with(&version).set(1_u64);
        let transactions = registry.counters(&catalogue::SOURCE_TRANSACTIONS);
        let results = registry.counters(&catalogue::KAFKA_TRANSACTIONS);
        let metrics = Self {
            source_events: SourceEvents::new(&registry.counters(&catalogue::SOURCE_EVENTS)),
            source_bytes: registry.counter(&catalogue::SOURCE_BYTES),
            source_transactions_plain: transactions.with(&["false"]),
            source_transactions_compressed: transactions.with(&["true"]),
            source_xa_undecided: registry.gauge(&catalogue::SOURCE_XA_UNDECIDED),
            end_to_end_latency: registry.seconds_histogram(&catalogue::LATENCY_SECONDS),
            kafka_committed: results.with(&["committed"]),
            kafka_renewed: results.with(&["renewed"]),
            kafka_uncertain: results.with(&["uncertain"]),
            kafka_transaction_seconds: registry.seconds_histogram(&catalogue::KAFKA_TRANSACTION_SECONDS),
            kafka_transaction_records: registry.size_histogram(&catalogue::KAFKA_TRANSACTION_RECORDS),
            kafka_transaction_bytes: registry.size_histogram(&catalogue::KAFKA_TRANSACTION_BYTES),
            kafka_split: registry.counter(&catalogue::KAFKA_SPLIT),
            kafka_fenced: registry.counter(&catalogue::KAFKA_FENCED),
            kafka_queue_messages: registry.gauge(&catalogue::KAFKA_QUEUE_MESSAGES),
            kafka_queue_bytes: registry.gauge(&catalogue::KAFKA_QUEUE_BYTES),
            checkpoint_commits: registry.counter(&catalogue::CHECKPOINT_COMMITS),
            families: Families::new(&registry),
            of_status: OfStatus::new(&registry),
            topics: Mutex::default(),
            registry,
        };
        metrics.create_known_series(tables);
        metrics
    }

    fn create_known_series<'a>(&self, tables: impl IntoIterator<Item = &'a str>) {
        tables.into_iter().for_each(|table| drop(self.table(table)));
        self.families.topic(OTHER_TOPIC);
        for &code in Code::ALL {
            self.families.errors.with(&[&code.to_string()]);
            self.families.reconnects.with(&[reconnect_reason(code)]);
        }
        for (code, class) in KAFKA_ERRORS {
            self.families.kafka_errors.with(&[code, class.label()]);
        }
        for task in TASKS {
            self.families.tasks_panicked.with(&[task]);
        }
        self.of_status.show_state(State::Starting);
    }

    /// The counters of one outbox table, `database.table`. Resolve once and keep.
    pub fn table(&self, table: &str) -> TableMetrics {
        let ignored = |reason| self.families.outbox_ignored.with(&[table, reason]);
        let rows = Code::ALL.iter().filter(|code| is_row_error(**code));
        TableMetrics {
            events: self.families.outbox_events.with(&[table]),
            ignored_update: ignored("update"),
            ignored_delete: ignored("delete"),
            ignored_truncate: ignored("truncate"),
            invalid: rows.map(|code| (*code, self.families.outbox_invalid.with(&[table, &snake(*code)]))).collect(),
        }
    }

    /// The counters of one topic. Resolve once and keep.
    pub fn topic(&self, topic: &str) -> TopicMetrics {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() < MAX_TOPIC_LABELS && !topics.contains(topic) {
            topics.insert(topic.to_owned());
        }
        let label = if topics.contains(topic) { topic } else { OTHER_TOPIC };
        self.families.topic(label)
    }

    /// An error ended a run.
    pub fn error(&self, code: Code) {
        self.families.errors.with(&[&code.to_string()]).inc();
    }

    /// The binlog stream is about to be opened again after this error.
    pub fn source_reconnect(&self, code: Code) {
        self.families.reconnects.with(&[reconnect_reason(code)]).inc();
    }

    /// librdkafka reported an error; `code` is the name of its code, a closed list.
    pub fn kafka_error(&self, code: &str, class: ErrorClass) {
        self.families.kafka_errors.with(&[code, class.label()]).inc();
    }

    /// A task panicked; its name is a constant of the program.
    pub fn task_panicked(&self, task: &'static str) {
        self.families.tasks_panicked.with(&[task]).inc();
    }

    /// Copies what the status knows better: state, times, lag, bytes in flight. Called before each [`Metrics::encode`].
    pub fn observe(&self, status: &Status) {
        self.of_status.observe(status);
    }

    /// Prometheus' text format; serve it as [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        self.registry.encode()
    }
}

/// Counters of one outbox table.
#[derive(Clone, Debug)]
pub struct TableMetrics {
    /// Committed inserts.
    pub events: Counter,
    /// Updated rows.
    pub ignored_update: Counter,
    /// Deleted rows.
    pub ignored_delete: Counter,
    /// TRUNCATE statements.
    pub ignored_truncate: Counter,
    invalid: Vec<(Code, Counter)>,
}

impl TableMetrics {
    /// A row could not become a record; codes other than 30xx are not about rows and count nowhere.
    pub fn invalid(&self, code: Code) {
        self.invalid.iter().filter(|(of, _)| *of == code).for_each(|(_, counter)| counter.inc());
    }
}

/// Counters of one topic.
#[derive(Clone, Debug)]
pub struct TopicMetrics {
    /// Records committed.
    pub records: Counter,
    /// Bytes of keys and values committed.
    pub bytes: Counter,
}

fn is_row_error(code: Code) -> bool {
    (3000..4000).contains(&code.number())
}

/// A short closed list, by what an operator would look at.
fn reconnect_reason(code: Code) -> &'static str {
    match code.number() {
        2001 => "unavailable",
        2002 => "lost",
        2003 => "silent",
        2007 => "server_id",
        2300..3000 => "stream",
        4000..5000 => "kafka",
        _ => "other",
    }
}

/// `TopicName` → `topic_name`.
fn snake(code: Code) -> String {
    let name = format!("{code:?}");
    let lower = name.char_indices().flat_map(|(index, letter)| {
        let gap = (index > 0 && letter.is_ascii_uppercase()).then_some('_');
        gap.into_iter().chain([letter.to_ascii_lowercase()])
    });
    lower.collect()
}

#[cfg(test)]
mod tests;
