//! One incarnation: one producer object, one producer epoch. Never reused after anything uncertain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use tokio_util::sync::CancellationToken;

use super::classify::{Answer, CommitSeen};
use super::librdkafka::{NativeError, NativeProducer};
use crate::checkpoint::Fence;
use crate::config::{Config, DeliveryMode};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT};
use crate::record::Record;
use crate::telemetry::Metrics;

/// `retry.backoff.ms`: half of it separates clean commits from ones that may have been sent twice. Clean commits take
/// tens of milliseconds at most.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(1000);

/// `transaction.timeout.ms`: how long a dead relay may hide later records from `read_committed` consumers.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// `message.timeout.ms`; librdkafka wants it at or below the transaction's.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(45);

/// How long one `init_transactions` call waits before the state is reported and the call repeated.
const INIT_STEP: Duration = Duration::from_secs(10);

/// A producer behind its fence.
#[derive(Debug)]
pub struct Incarnation {
    producer: Arc<NativeProducer<Events>>,
    events: Arc<EventLog>,
    transactional: bool,
}

impl Incarnation {
    /// Creates a producer and fences every older one of this relay. At least once: nothing to fence.
    ///
    /// # Errors
    /// `KafkaUnavailable` when the brokers do not answer in time, `KafkaAcl`, `KafkaAuth`, `KafkaConfig`,
    /// `TransactionTimeout`.
    pub async fn begin(config: &Config, metrics: Arc<Metrics>) -> Result<(Self, Fence)> {
        let transactional = config.kafka.delivery == DeliveryMode::ExactlyOnce;
        let events = Arc::new(EventLog::default());
        let context = Events { log: LogContext::new(metrics), events: Arc::clone(&events) };
        let producer: ThreadedProducer<Events> = client_config(config)
            .create_with_context(context)
            .map_err(|e| kafka::error(&e, "creating the Kafka producer"))?;
        let producer = Arc::new(NativeProducer::new(producer));
        failpoint::hit("producer_created")?;
        if transactional {
            let (fencing, topic) = (Arc::clone(&producer), config.kafka.checkpoint_topic.clone());
            kafka::blocking(move || {
                // Connected first: without a broker at hand librdkafka looks for the coordinator again only after 500 ms.
                let client = fencing.wrapper().client();
                client
                    .fetch_metadata(Some(&topic), REQUEST_TIMEOUT)
                    .map_err(|e| kafka::error(&e, "connecting the Kafka producer"))?;
                fencing.init_transactions(INIT_STEP).map_err(|e| init_error(&e))
            })
            .await?;
        }
        failpoint::hit("init_done")?;
        Ok((Self { producer, events, transactional }, Fence::established()))
    }

    /// Cancelled when the client has met an error that only a new incarnation can mend.
    pub fn failed(&self) -> &CancellationToken {
        &self.events.failed
    }

    /// Whether the failure was another producer's fence.
    pub fn is_fenced(&self) -> bool {
        self.events.fenced.load(Ordering::Relaxed) > 0
    }

    /// Number of topics added so far.
    pub fn topics(&self) -> usize {
        self.producer.topics()
    }

    /// Adds the next topic; its index is the number of topics before.
    ///
    /// # Errors
    /// `DeliveryFailed`.
    pub fn add_topic(&mut self, name: &str) -> Result<()> {
        let Some(producer) = Arc::get_mut(&mut self.producer) else {
            return Err(Error::new(Code::Internal, "a topic is added while a commit is under way"));
        };
        producer.add_topic(name).map_err(|e| delivery_error("adding a topic", &e))
    }

    /// Opens a Kafka transaction; at least once there is none.
    ///
    /// # Errors
    /// `DeliveryFailed`.
    pub fn open(&self) -> Result<()> {
        self.events.transaction_begins();
        if !self.transactional {
            return Ok(());
        }
        self.producer.begin_transaction().map_err(|e| delivery_error("beginning a Kafka transaction", &e))
    }

    /// Hands a record to librdkafka, on topic number `topic`.
    ///
    /// # Errors
    /// `DeliveryFailed`.
    pub fn enqueue(&self, topic: usize, record: &Record<'_>) -> Result<()> {
        self.producer.enqueue(topic, record).map_err(|e| delivery_error("enqueueing a record", &e))
    }

    /// Waits until everything enqueued is acknowledged.
    ///
    /// # Errors
    /// `DeliveryFailed` if a record failed or the time is up.
    pub async fn acknowledge(&self) -> Result<()> {
        let (producer, events) = (Arc::clone(&self.producer), Arc::clone(&self.events));
        kafka::blocking(move || flush(&producer, &events)).await
    }

    /// Waits for every acknowledgement, then commits. The time of the commit proper is measured without that wait.
    ///
    /// # Errors
    /// `DeliveryFailed` if a record failed: nothing was committed then.
    pub async fn commit(&self) -> Result<(CommitSeen, Option<NativeError>)> {
        let (producer, events) = (Arc::clone(&self.producer), Arc::clone(&self.events));
        kafka::blocking(move || {
            flush(&producer, &events)?;
            failpoint::hit("flushed")?;
            failpoint::hit("endtxn_before_send")?;
            let started = Instant::now();
            let result = producer.commit_transaction(TRANSACTION_TIMEOUT);
            let elapsed = started.elapsed();
            let answer = match &result {
                Ok(()) => Answer::Ok,
                Err(e) if is_fence(e.code) => Answer::Fenced,
                Err(_) => Answer::Failed,
            };
            Ok((CommitSeen { answer, elapsed, disturbed: events.disturbed() }, result.err()))
        })
        .await
    }
}

/// Waits until everything enqueued is acknowledged.
fn flush(producer: &NativeProducer<Events>, events: &EventLog) -> Result<()> {
    let flushed = producer.flush(MESSAGE_TIMEOUT).map_err(|e| delivery_error("waiting for acknowledgements", &e));
    flushed.and_then(|()| events.ensure_delivered()).map_err(|error| match producer.fatal_error() {
        // A fence fails the records in many ways; what matters is that somebody else may be writing.
        Some(code) if is_fence(code) => Error::new(Code::Fenced, error.message()).caused_by(error.chain()),
        _ => error,
    })
}

fn client_config(config: &Config) -> ClientConfig {
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
    // librdkafka wants it at or below the transaction's timeout, which the operator may have lowered.
    let transaction =
        client.get("transaction.timeout.ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
    own_or(&mut client, "message.timeout.ms", transaction.map_or(MESSAGE_TIMEOUT, |limit| limit.min(MESSAGE_TIMEOUT)));
    own_or(&mut client, "linger.ms", Duration::from_millis(5));
    if let Some(id) = transactional_id(config) {
        client.set("transactional.id", id);
        own_or(&mut client, "transaction.timeout.ms", TRANSACTION_TIMEOUT);
    }
    client
}

/// The transactional id of a relay, which its ACLs name; none at least once.
pub fn transactional_id(config: &Config) -> Option<String> {
    (config.kafka.delivery == DeliveryMode::ExactlyOnce).then(|| format!("outboxd.{}", config.name))
}

/// How long a Kafka transaction of this relay may stay open; none at least once.
pub(super) fn transaction_timeout(config: &Config) -> Option<Duration> {
    transactional_id(config)?;
    client_config(config).get("transaction.timeout.ms").and_then(|text| text.parse().ok()).map(Duration::from_millis)
}

fn is_fence(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

fn init_error(error: &NativeError) -> Error {
    Error::new(kafka::code_of(error.code), "fencing older producers of this relay").caused_by(error.to_string())
}

fn delivery_error(doing: &str, error: &NativeError) -> Error {
    Error::new(delivery_code(error.code), doing).caused_by(error.to_string())
}

/// A failed delivery is a fence, a refusal that needs a human, or a reason to begin anew.
fn delivery_code(code: RDKafkaErrorCode) -> Code {
    match kafka::code_of(code) {
        _ if is_fence(code) => Code::Fenced,
        Code::KafkaUnavailable => Code::DeliveryFailed,
        other => other,
    }
}

/// What the client reports beside its calls' results.
#[derive(Debug, Default)]
struct EventLog {
    /// Transport and timeout events so far.
    disturbances: AtomicU64,
    /// Their number when the open transaction began.
    at_begin: AtomicU64,
    /// Records that were not delivered, and why the first of them was not.
    undelivered: std::sync::Mutex<Option<KafkaError>>,
    fenced: AtomicU64,
    failed: CancellationToken,
}

impl EventLog {
    fn transaction_begins(&self) {
        self.at_begin.store(self.disturbances.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn disturbed(&self) -> bool {
        self.disturbances.load(Ordering::Relaxed) != self.at_begin.load(Ordering::Relaxed)
    }

    fn ensure_delivered(&self) -> Result<()> {
        let undelivered = self.undelivered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*undelivered {
            None => Ok(()),
            Some(error) => {
                let code = error.rdkafka_error_code().map_or(Code::DeliveryFailed, delivery_code);
                Err(Error::new(code, "a record was not delivered").caused_by(error.to_string()))
            }
        }
    }
}

/// Receives the producer's events on the wrapper's polling thread.
struct Events {
    log: LogContext,
    events: Arc<EventLog>,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.disturbances.fetch_add(1, Ordering::Relaxed);
        let code = error.rdkafka_error_code();
        if code.is_some_and(is_fence) {
            self.events.fenced.fetch_add(1, Ordering::Relaxed);
        }
        if code.is_some_and(|code| is_fence(code) || code == RDKafkaErrorCode::Fatal) {
            self.events.failed.cancel();
        }
        self.log.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Events {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.events.undelivered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            first.get_or_insert_with(|| error.clone());
        }
    }
}
