//! What librdkafka reports beside the results of its calls: errors, and records that were not delivered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
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
    /// Why the first record that was not delivered was not.
    undelivered: Mutex<Option<KafkaError>>,
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
            Some(error) => {
                let code = error.rdkafka_error_code().map_or(Code::DeliveryFailed, delivery_code);
                Err(Error::new(code, "a record was not delivered").caused_by(error.to_string()))
            }
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
        if let Err((error, _)) = result {
            let mut first = self.events.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.clone());
        }
    }
}
