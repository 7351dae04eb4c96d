//! How much a transactional producer holds back, and whether it still does. Pure.
//!
//! What holds records is `linger.ms`: librdkafka sends a batch when it is full, has lingered long enough, or when a flush
//! begins. So nothing may fill a batch, and nothing may be held for that long.

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};

/// What one producer holds back.
#[derive(Debug)]
pub(crate) struct Hold {
    /// A batch of so many records or bytes would be sent at once.
    limits: (usize, usize),
    /// What is held lingers so long.
    linger: Duration,
    /// Records and bytes held; `None` when they were let go.
    held: Option<(usize, usize)>,
    /// When the open transaction began.
    since: Instant,
}

impl Hold {
    /// Holds nothing yet. `limits`: records and bytes of the smallest batch that would be sent at once.
    pub(crate) fn new(limits: (usize, usize), linger: Duration, now: Instant) -> Self {
        Self { limits, linger, held: Some((0, 0)), since: now }
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// What is enqueued from now on is held again.
    pub(crate) fn again(&mut self) {
        self.held = Some((0, 0));
    }

    /// Whether so much more can be held. Counts all partitions together, so it errs on the safe side.
    pub(crate) fn fits(&self, records: usize, bytes: usize) -> bool {
        self.held.is_none_or(|held| held.0 + records < self.limits.0 && held.1 + bytes < self.limits.1)
    }

    /// One more record.
    ///
    /// # Errors
    /// `Internal` if it cannot be held back (I3).
    pub(crate) fn count(&mut self, weight: usize) -> Result<()> {
        let Some((records, bytes)) = self.held else { return Ok(()) };
        if !self.fits(1, weight) {
            return Err(Error::new(Code::Internal, "I3: a record would overtake those of the transaction before"));
        }
        self.held = Some((records + 1, bytes + weight));
        Ok(())
    }

    /// Nothing is held any more.
    ///
    /// # Errors
    /// `DeliveryFailed` if it was held for so long that some may have been sent already.
    pub(crate) fn release(&mut self, now: Instant) -> Result<()> {
        if self.held.take().is_some() && now.duration_since(self.since) >= self.linger {
            return Err(Error::new(Code::DeliveryFailed, "acknowledgements took as long as records may wait"));
        }
        Ok(())
    }
}
