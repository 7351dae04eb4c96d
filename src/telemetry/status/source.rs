//! What is known of MySQL, and how far behind it the topics are.

use super::{SourceFacts, Status};
use crate::position::FilePosition;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

impl Status {
    /// The binlog stream is open.
    pub fn source_connected(&self, source: SourceFacts) {
        self.facts().source = Some(source);
        self.connected.store(true, Ordering::Relaxed);
        self.contact();
    }

    /// How often MySQL promised to send something.
    pub fn heartbeat(&self, period: Duration) {
        self.heartbeat_ms.store(u64::try_from(period.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The binlog stream is closed.
    pub fn source_disconnected(&self) {
        self.connected.store(false, Ordering::Relaxed);
    }

    /// Whether the binlog stream is open.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// MySQL sent something, be it a heartbeat.
    pub fn contact(&self) {
        self.last_contact.set(Some(SystemTime::now()));
    }

    /// When MySQL last sent something.
    pub fn last_contact(&self) -> Option<SystemTime> {
        self.last_contact.get()
    }

    /// A source transaction committed at `time` was read.
    pub fn event(&self, time: SystemTime) {
        self.last_event.set(Some(time));
    }

    /// Commit time of the last source transaction read.
    pub fn last_event(&self) -> Option<SystemTime> {
        self.last_event.get()
    }

    /// Where reading is; for people, so once in a while is enough.
    pub fn reading(&self, position: FilePosition) {
        self.facts().reading = Some(position);
    }

    /// Why this run began where it did.
    pub fn resumed(&self, reason: impl Into<String>) {
        self.facts().resume_reason = Some(reason.into());
    }

    /// Commit time of the oldest source transaction that was read and is not delivered; `None` when caught up.
    pub fn set_oldest_undelivered(&self, time: Option<SystemTime>) {
        self.oldest_undelivered.set(time);
    }

    /// How far behind MySQL the topics are. Computed when asked, so that it grows while nothing moves. A standby does not
    /// know: 0, the leader shows it.
    pub fn lag(&self) -> Duration {
        if !self.leads.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let age = |time: Option<SystemTime>| time.and_then(|time| time.elapsed().ok()).unwrap_or_default();
        let undelivered = age(self.oldest_undelivered.get());
        let silent = age(self.last_contact.get());
        let heartbeat = Duration::from_millis(self.heartbeat_ms.load(Ordering::Relaxed));
        match self.is_connected() && silent <= heartbeat.saturating_mul(2) {
            true => undelivered,
            // What was committed since then is not known.
            false => undelivered.max(silent),
        }
    }
}
