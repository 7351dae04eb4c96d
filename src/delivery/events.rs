//! What librdkafka reports beside the results of its calls: errors, and records that were not delivered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use tokio_util::sync::CancellationToken;

use super::producer::{delivery_code, is_fence};
use crate::error::{Code, Error, Result};
use crate::kafka::LogContext;
use crate::telemetry::Metrics;

/// Whether any producer of an incarnation is beyond repair.
#[derive(Debug, Default)]
pub struct Trouble {
    failed: CancellationToken,
    fenced: AtomicBool,
}

impl Trouble {
    /// Cancelled when a client has met an error that only a new incarnation can mend.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Whether the failure was another producer's fence.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Relaxed)
    }
}

/// What was reported of one producer.
#[derive(Debug)]
pub struct EventLog {
    trouble: Arc<Trouble>,
    /// Transport and timeout events so far.
    disturbances: AtomicU64,
    /// Their number when the open transaction began.
    at_begin: AtomicU64,
    /// Why a record was not delivered.
    undelivered: Mutex<Option<Undelivered>>,
}

/// A record that was not delivered.
#[derive(Debug)]
struct Undelivered {
    code: Code,
    /// Where it was to go.
    topic: String,
    partition: i32,
    cause: String,
}

impl EventLog {
    pub(super) fn new(trouble: Arc<Trouble>) -> Self {
        Self { trouble, disturbances: AtomicU64::new(0), at_begin: AtomicU64::new(0), undelivered: Mutex::default() }
    }

    pub(super) fn transaction_begins(&self) {
        self.at_begin.store(self.disturbances.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether an error was reported since the transaction began.
    pub(super) fn disturbed(&self) -> bool {
        self.disturbances.load(Ordering::Relaxed) != self.at_begin.load(Ordering::Relaxed)
    }

    pub(super) fn ensure_delivered(&self) -> Result<()> {
        match &*self.undelivered.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(Undelivered { code, topic, partition, cause }) => {
                let what = format!("a record for {topic}/{partition} was not delivered");
                Err(Error::new(*code, what).caused_by(cause.as_str()))
            }
        }
    }

    /// The reason behind an error of the producer: the broker's refusal of a record, if there was one.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.ensure_delivered() {
            Err(refused) if refused.code() != Code::DeliveryFailed => refused,
            _ => error,
        }
    }

    /// One refused record takes the others of its transaction along, and these may be reported first.
    fn not_delivered(&self, failure: Undelivered) {
        let mut known = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.code == Code::DeliveryFailed) {
            *known = Some(failure);
        }
    }
}

/// Receives a producer's events on the wrapper's polling thread.
pub struct Events {
    log: LogContext,
    events: Arc<EventLog>,
}

impl Events {
    pub(super) fn new(metrics: Arc<Metrics>, events: Arc<EventLog>) -> Self {
        Self { log: LogContext::new(metrics), events }
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.disturbances.fetch_add(1, Ordering::Relaxed);
        let code = error.rdkafka_error_code();
        let trouble = &self.events.trouble;
        if code.is_some_and(is_fence) {
            trouble.fenced.store(true, Ordering::Relaxed);
        }
        if code.is_some_and(|code| is_fence(code) || code == RDKafkaErrorCode::Fatal) {
            trouble.failed.cancel();
        }
        self.log.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Events {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.events.not_delivered(Undelivered {
                code: error.rdkafka_error_code().map_or(Code::DeliveryFailed, delivery_code),
                topic: message.topic().to_owned(),
                partition: message.partition(),
                // The broker's own words cannot be had: librdkafka frees them before this call (2.12.1).
                cause: error.to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_that_was_refused_is_named_and_not_the_ones_it_took_along() {
        let log = EventLog::new(Arc::default());
        assert!(log.ensure_delivered().is_ok());
        let lost = |code, topic: &str| {
            log.not_delivered(Undelivered { code, topic: topic.into(), partition: 0, cause: "because".into() });
            log.explain(Error::new(Code::DeliveryFailed, "enqueueing a record")).to_string()
        };
        assert_eq!(lost(Code::DeliveryFailed, "a"), "OBX-4201: enqueueing a record");
        let refused = "OBX-3008: a record for b/0 was not delivered";
        assert_eq!(lost(Code::TimestampInvalid, "b"), refused);
        assert_eq!(lost(Code::KafkaAcl, "c"), refused);
        assert_eq!(lost(Code::DeliveryFailed, "d"), refused);
        assert_eq!(log.ensure_delivered().unwrap_err().to_string(), refused);
    }
}
