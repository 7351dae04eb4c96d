//! One producer object, one producer epoch. Never reused after anything uncertain.
//!
//! A transactional one holds its records back until [`Producer::release`]: their partitions join the Kafka transaction
//! meanwhile, which takes a round trip and more, but nothing of it can overtake the transaction before (`hold`).
//! (librdkafka's `rd_kafka_pause_partitions` would say the same more plainly, but leaves an entry in a queue that no
//! producer empties.)

mod fence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::classify::{Answer, CommitSeen};
use super::events::{EventLog, Events, Trouble};
use super::hold::Hold;
use super::librdkafka::{NativeError, NativeProducer, TopicHandle};
use crate::config::{Config, DeliveryMode};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::kafka::{self, Call, REQUEST_TIMEOUT};
use crate::record::Record;
use crate::telemetry::Metrics;

/// `retry.backoff.ms`: half of it separates clean commits from ones that may have been sent twice. Clean commits take
/// tens of milliseconds at most.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(1000);

/// The property that says how long a transaction may stay open.
const TIMEOUT: &str = "transaction.timeout.ms";

/// Its value unless it is configured: how long a dead relay may hide later records from `read_committed` consumers.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// `message.timeout.ms`; librdkafka wants it at or below the transaction's.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(45);

/// librdkafka's `batch.num.messages` unless it is configured.
const BATCH_RECORDS: usize = 10_000;

/// librdkafka's `batch.size` unless it is configured.
pub(super) const BATCH_BYTES: usize = 1_000_000;

/// `linger.ms` where nothing is held back.
const LINGER: Duration = Duration::from_millis(5);

/// A producer behind its fence.
#[derive(Debug)]
pub struct Producer {
    native: Arc<NativeProducer<Events>>,
    events: Arc<EventLog>,
    topics: Vec<TopicHandle<Events>>,
    /// Present in a transactional producer.
    hold: Option<Hold>,
    /// How long a transaction may stay open, and a commit may take.
    transaction_timeout: Duration,
}

impl Producer {
    /// Creates a producer; with a transactional id it also fences the older ones of that id. Blocks.
    ///
    /// # Errors
    /// `KafkaUnavailable` when the brokers do not answer in time, `KafkaAcl`, `KafkaAuth`, `KafkaConfig`,
    /// `TransactionTimeout`.
    pub(super) fn create(
        config: &Config,
        id: Option<&str>,
        trouble: Arc<Trouble>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let events = Arc::new(EventLog::new(trouble));
        let client = client_config(config, id);
        let hold = id.map(|_| hold(&client));
        let transaction_timeout = commit_timeout(&client);
        let producer: ThreadedProducer<Events> = client
            .create_with_context(Events::new(metrics, Arc::clone(&events)))
            .map_err(|e| kafka::error(&e, "creating the Kafka producer"))?;
        let native = NativeProducer::new(producer);
        failpoint::hit("producer_created")?;
        if id.is_some() {
            fence::raise(&native, &config.kafka.checkpoint_topic)?;
        }
        failpoint::hit("init_done")?;
        Ok(Self { native: Arc::new(native), events, topics: Vec::new(), hold, transaction_timeout })
    }

    /// Adds the next topic; its index is the number of topics before.
    ///
    /// # Errors
    /// `DeliveryFailed`.
    pub fn add_topic(&mut self, name: &str) -> Result<()> {
        let handle = TopicHandle::open(&self.native, name).map_err(|e| delivery_error("adding a topic", &e))?;
        self.topics.push(handle);
        Ok(())
    }

    /// Asks what the topics that were just added are like; does not wait for the answer. librdkafka asks by itself, but of two
    /// topics added within a moment it may forget the second for `retry.backoff.ms`: its timer for that, started again while it
    /// runs, is put off by its own end (`rd_kafka_metadata_leader_query_tmr_cb` in `rdkafka_metadata.c`).
    pub fn look_up(&self, topics: &[Arc<str>]) {
        let (native, topics) = (Arc::clone(&self.native), topics.to_vec());
        // The answer reaches the client's own threads.
        kafka::aside(move || {
            let client = native.wrapper().client();
            let failed = topics.iter().find_map(|topic| client.fetch_metadata(Some(topic), REQUEST_TIMEOUT).err());
            if let Some(error) = failed {
                tracing::debug!(%error, "looking up new topics; the client goes on by itself");
            }
        });
    }

    /// Opens a Kafka transaction; at least once there is none.
    ///
    /// # Errors
    /// `DeliveryFailed`.
    pub fn open(&mut self) -> Result<()> {
        self.events.transaction_begins();
        let Some(hold) = &mut self.hold else { return Ok(()) };
        hold.begin(Instant::now());
        self.native.begin_transaction().map_err(|e| delivery_error("beginning a Kafka transaction", &e))
    }

    /// Whether so many more records and bytes can be enqueued without being sent at once, where that matters.
    pub fn can_hold(&self, records: usize, bytes: usize) -> bool {
        self.hold.as_ref().is_none_or(|hold| hold.fits(records, bytes))
    }

    /// Hands a record to librdkafka, on topic number `topic`. In a Kafka transaction it stays there until
    /// [`Producer::release`].
    ///
    /// # Errors
    /// `DeliveryFailed`; `Internal` for a record that cannot be held back.
    pub fn enqueue(&mut self, topic: usize, record: &Record<'_>) -> Result<()> {
        let handle = self.topics.get(topic);
        let handle = handle.ok_or_else(|| Error::new(Code::Internal, "a record names a topic that was never added"))?;
        if let Some(hold) = &mut self.hold {
            hold.count(record.weight())?;
        }
        handle.enqueue(record).map_err(|e| self.events.explain(delivery_error("enqueueing a record", &e)))
    }

    /// From now on records of the open transaction may be sent. The ones before must be acknowledged.
    ///
    /// # Errors
    /// `DeliveryFailed` if they were held back for so long that some may have been sent already.
    pub fn release(&mut self) -> Result<()> {
        self.hold.as_mut().map_or(Ok(()), |hold| hold.release(Instant::now()))
    }

    /// `transaction.timeout.ms`
    pub fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// Sends what was enqueued and released, and waits until all of it is acknowledged.
    ///
    /// # Errors
    /// `DeliveryFailed` if a record failed or the time is up; `Fenced`.
    pub fn send(&self) -> Call<()> {
        let (native, events) = (Arc::clone(&self.native), Arc::clone(&self.events));
        kafka::start(move || {
            flush(&native, &events)?;
            failpoint::hit("flushed")
        })
    }

    /// Commits the open transaction, all of whose records are acknowledged.
    ///
    /// # Errors
    /// None of its own: what the commit returned is for `classify` to judge.
    pub fn commit(&mut self) -> Call<(CommitSeen, Option<NativeError>)> {
        if let Some(hold) = &mut self.hold {
            hold.again();
        }
        let (native, events, timeout) = (Arc::clone(&self.native), Arc::clone(&self.events), self.transaction_timeout);
        kafka::start(move || {
            failpoint::hit("endtxn_before_send")?;
            let started = Instant::now();
            let result = native.commit_transaction(timeout);
            let elapsed = started.elapsed();
            let answer = match &result {
                Ok(()) => Answer::Ok,
                Err(e) if is_fence(e.code) => Answer::Fenced,
                Err(_) => Answer::Failed,
            };
            Ok((CommitSeen { answer, elapsed, disturbed: events.disturbed() }, result.err()))
        })
    }
}

fn hold(client: &ClientConfig) -> Hold {
    let number = |key: &str, usual| client.get(key).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let limits = (number("batch.num.messages", BATCH_RECORDS), number("batch.size", BATCH_BYTES));
    Hold::new(limits, Duration::from_millis(number("linger.ms", 0) as u64), Instant::now())
}

/// Waits until everything enqueued is acknowledged.
fn flush(native: &NativeProducer<Events>, events: &EventLog) -> Result<()> {
    let flushed = native.flush(MESSAGE_TIMEOUT).map_err(|e| delivery_error("waiting for acknowledgements", &e));
    flushed.and_then(|()| events.ensure_delivered()).map_err(|error| match native.fatal_error() {
        // A fence fails the records in many ways; what matters is that somebody else may be writing.
        Some(code) if is_fence(code) => Error::new(Code::Fenced, error.message()).caused_by(error.chain()),
        _ => events.explain(error),
    })
}

fn client_config(config: &Config, id: Option<&str>) -> ClientConfig {
    let mut client = kafka::base_config(&config.kafka);
    let own_or = |client: &mut ClientConfig, key: &str, value: Duration| {
        if client.get(key).is_none() {
            client.set(key, value.as_millis().to_string());
        }
    };
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("delivery.report.only.error", "true")
        // Our own bound on bytes in flight is the limit; librdkafka's would only turn it into an error.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", i32::MAX.to_string())
        .set("message.max.bytes", "1000000000")
        .set("retry.backoff.ms", RETRY_BACKOFF.as_millis().to_string())
        .set("retry.backoff.max.ms", RETRY_BACKOFF.as_millis().to_string());
    // librdkafka wants linger.ms < message.timeout.ms <= transaction.timeout.ms; the operator may have lowered these.
    let message = millis(&client, TIMEOUT).map_or(MESSAGE_TIMEOUT, |limit| limit.min(MESSAGE_TIMEOUT));
    own_or(&mut client, "message.timeout.ms", message);
    let Some(id) = id else {
        client.set("linger.ms", LINGER.as_millis().to_string());
        return client;
    };
    let message = millis(&client, "message.timeout.ms").unwrap_or(message);
    client.set("linger.ms", message.saturating_sub(LINGER).as_millis().to_string());
    client.set("transactional.id", id);
    own_or(&mut client, TIMEOUT, TRANSACTION_TIMEOUT);
    client
}

/// No longer than the coordinator keeps a transaction open.
fn commit_timeout(client: &ClientConfig) -> Duration {
    millis(client, TIMEOUT).unwrap_or(TRANSACTION_TIMEOUT)
}

/// How long a Kafka transaction of this relay may stay open; none at least once.
pub(super) fn transaction_timeout(config: &Config) -> Option<Duration> {
    let id = transactional_ids(config).into_iter().next()?;
    millis(&client_config(config, Some(&id)), TIMEOUT)
}

fn millis(client: &ClientConfig, key: &str) -> Option<Duration> {
    client.get(key)?.parse().ok().map(Duration::from_millis)
}

pub(super) fn is_fence(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

fn delivery_error(doing: &str, error: &NativeError) -> Error {
    Error::new(delivery_code(error.code), doing).caused_by(error.to_string())
}

/// A failed delivery is a fence, a refusal that needs a human, or a reason to begin anew.
pub(super) fn delivery_code(code: RDKafkaErrorCode) -> Code {
    match kafka::code_of(code) {
        _ if is_fence(code) => Code::Fenced,
        Code::KafkaUnavailable => Code::DeliveryFailed,
        other => other,
    }
}

/// The transactional ids of a relay, in the order of their use; none at least once.
pub fn transactional_ids(config: &Config) -> Vec<String> {
    match config.kafka.delivery {
        DeliveryMode::ExactlyOnce => {
            (0..super::incarnation::PRODUCERS).map(|n| format!("outboxd.{}.{n}", config.name)).collect()
        }
        DeliveryMode::AtLeastOnce => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
