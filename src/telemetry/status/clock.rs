//! Points in time that one task writes and others read, without a lock.

use super::{AtomicU64, Duration, Instant, Ordering, SystemTime};

/// A monotonic instant.
#[derive(Debug)]
pub(super) struct AtomicInstant {
    origin: Instant,
    /// Milliseconds since `origin`.
    millis: AtomicU64,
}

impl AtomicInstant {
    pub(super) fn now() -> Self {
        Self { origin: Instant::now(), millis: AtomicU64::new(0) }
    }

    pub(super) fn set_now(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Ordering::Relaxed)))
    }
}

/// A wall-clock time to the microsecond, or none.
#[derive(Debug, Default)]
pub(super) struct AtomicTime {
    /// Microseconds since 1970; 0 is none.
    micros: AtomicU64,
}

impl AtomicTime {
    pub(super) fn set(&self, time: Option<SystemTime>) {
        let since_epoch = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let micros = since_epoch.map_or(0, |age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        self.micros.store(micros, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<SystemTime> {
        let micros = Some(self.micros.load(Ordering::Relaxed)).filter(|micros| *micros > 0)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
    }
}
