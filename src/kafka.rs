//! What every Kafka client of ours shares: base configuration, folded logs, and what an error means.

pub mod creation;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use tokio::task::JoinHandle;

use crate::config::KafkaConfig;
use crate::error::{Code, Error, Result};
use crate::telemetry::Metrics;
use crate::telemetry::fold::Repeats;
use crate::telemetry::metrics::ErrorClass;

/// Longest wait for one answer of the cluster: metadata, watermarks, topic creation.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The same client error is logged once in this time.
const FOLD: Duration = Duration::from_secs(30);

/// Bounds for requests to the cluster's controller; librdkafka's own is a minute, in which the relay would seem to hang.
pub fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

/// What the cluster has: its brokers and all topics, since asking for one by name may create it. Blocks.
///
/// # Errors
/// As [`code`] says.
pub fn metadata(admin: &AdminClient<LogContext>) -> Result<Metadata> {
    admin.inner().fetch_metadata(None, REQUEST_TIMEOUT).map_err(|e| error(&e, "asking Kafka for its topics"))
}

/// Settings for every client: brokers, then the operator's own properties.
pub fn base_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("client.id", "outboxd")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        // KIP-714 pushes client metrics to brokers that ask; ours are scraped.
        .set("enable.metrics.push", "false");
    for (key, value) in &config.librdkafka {
        client.set(key, value);
    }
    client
}

/// Receives librdkafka's logs and errors: one line for a state, not one for each attempt.
#[derive(Debug)]
pub struct LogContext {
    repeats: Repeats,
    metrics: Arc<Metrics>,
}

impl LogContext {
    /// Counts errors in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { repeats: Repeats::new(FOLD), metrics }
    }
}

impl ConsumerContext for LogContext {}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka reports the same outage at error, warning and info level; its errors come through `error` as well.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is an answer that was asked for.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let code = error.rdkafka_error_code().map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
        self.metrics.kafka_error(&code, ErrorClass::Retriable);
        if let Some(folded) = self.repeats.admit(&code) {
            tracing::warn!(target: "librdkafka", code, folded, "kafka client: {reason}");
        }
    }
}

/// The catalogue's code for a client error.
pub fn code(error: &KafkaError) -> Code {
    if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)) {
        return Code::KafkaConfig;
    }
    error.rdkafka_error_code().map_or(Code::KafkaUnavailable, code_of)
}

/// The catalogue's code for a librdkafka or broker error code.
pub fn code_of(code: RDKafkaErrorCode) -> Code {
    match code {
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::SSL
        | RDKafkaErrorCode::UnsupportedSASLMechanism => Code::KafkaAuth,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::TransactionalIdAuthorizationFailed => Code::KafkaAcl,
        RDKafkaErrorCode::UnsupportedVersion
        | RDKafkaErrorCode::UnsupportedFeature
        | RDKafkaErrorCode::UnsupportedForMessageFormat => Code::KafkaVersion,
        RDKafkaErrorCode::InvalidTransactionTimeout => Code::TransactionTimeout,
        RDKafkaErrorCode::MessageSizeTooLarge => Code::RecordTooLarge,
        RDKafkaErrorCode::InvalidTimestamp => Code::TimestampInvalid,
        RDKafkaErrorCode::InvalidRecord => Code::RecordRefused,
        _ => Code::KafkaUnavailable,
    }
}

/// A topic that exists is not listed: Kafka leaves out what the client may not describe.
pub fn hidden(topic: &str) -> Error {
    Error::new(Code::KafkaAcl, format!("topic {topic} exists, but is not shown: Describe is missing"))
}

/// Wraps a client error; `context` says what was tried.
pub fn error(error: &KafkaError, context: impl Into<String>) -> Error {
    Error::new(code(error), context).caused_by(error.to_string())
}

/// A blocking call that runs elsewhere; it goes on even if this is dropped.
#[derive(Debug)]
#[must_use = "its result says whether it worked"]
pub struct Call<T>(JoinHandle<Result<T>>);

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|joined| joined.map_err(|e| Error::new(Code::TaskPanicked, "a blocking Kafka call").caused_by(e))?)
    }
}

/// Starts a blocking librdkafka call on a thread where it may block.
pub fn start<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
    Call(tokio::task::spawn_blocking(call))
}

/// Lets a blocking librdkafka call, for whose end nobody waits, run on a thread where it may block.
pub fn aside(call: impl FnOnce() + Send + 'static) {
    drop(tokio::task::spawn_blocking(call));
}

/// Runs a blocking librdkafka call on a thread where it may block.
///
/// # Errors
/// What the call returns; `TaskPanicked` if it panicked.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    start(call).await
}
