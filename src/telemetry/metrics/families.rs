//! The families whose members are looked up while running.

use super::TopicMetrics;
use super::catalogue;
use super::handle::{Counters, Registry};

/// The families with labels that are not known at compile time.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) reconnects: Counters,
    pub(super) outbox_events: Counters,
    pub(super) outbox_ignored: Counters,
    pub(super) outbox_invalid: Counters,
    pub(super) kafka_records: Counters,
    pub(super) kafka_bytes: Counters,
    pub(super) kafka_errors: Counters,
    pub(super) errors: Counters,
    pub(super) tasks_panicked: Counters,
}

impl Families {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            reconnects: registry.counters(&catalogue::SOURCE_RECONNECTS),
            outbox_events: registry.counters(&catalogue::OUTBOX_EVENTS),
            outbox_ignored: registry.counters(&catalogue::OUTBOX_IGNORED),
            outbox_invalid: registry.counters(&catalogue::OUTBOX_INVALID),
            kafka_records: registry.counters(&catalogue::KAFKA_RECORDS),
            kafka_bytes: registry.counters(&catalogue::KAFKA_BYTES),
            kafka_errors: registry.counters(&catalogue::KAFKA_ERRORS),
            errors: registry.counters(&catalogue::ERRORS),
            tasks_panicked: registry.counters(&catalogue::TASKS_PANICKED),
        }
    }

    pub(super) fn topic(&self, label: &str) -> TopicMetrics {
        TopicMetrics { records: self.kafka_records.with(&[label]), bytes: self.kafka_bytes.with(&[label]) }
    }
}
