//! How long a Kafka transaction is filled, how soon the next one follows, and when to look again.

use std::time::{Duration, Instant};

use super::Flight;
use crate::error::{Code, Error, Result};

/// The coordinator answers a commit before its markers are written, and refuses a transaction of the same id begun
/// meanwhile; librdkafka then waits 20 ms. Nothing tells when they are written; most often it takes less than this.
const MARKER_TIME: Duration = Duration::from_millis(2);

/// Shortest time from one transaction's sending to the next one's. Each costs the brokers several requests, so more of
/// them would only keep these busy; rows that come meanwhile travel together. The first row after a pause waits for none.
const PACE: Duration = Duration::from_millis(3);

impl Flight {
    /// When the next producer may begin a transaction without meeting the markers of its last one.
    pub(super) fn rested_at(&self) -> Option<Instant> {
        let turn = self.turn % self.committed_at.len();
        self.committed_at[turn].map(|at| at + MARKER_TIME)
    }

    /// When the transaction being filled has waited long enough for more.
    pub(super) fn lingered_at(&self) -> Option<Instant> {
        let filling = self.filling.as_ref().filter(|filling| filling.is_worth_sending())?;
        let lingered = filling.began + self.limits.linger;
        Some(self.sent_at.map_or(lingered, |sent| lingered.max(sent + PACE)))
    }

    /// When the rest of a large source transaction must have come.
    fn complete_by(&self) -> Option<Instant> {
        let open = self.in_order().find(|transaction| transaction.open)?;
        Some(open.began + self.time?)
    }

    /// When the transaction being filled is to be committed although its source transaction goes on, if that is split.
    pub(super) fn piece_ends_at(&self) -> Option<Instant> {
        let piece = self.filling.as_ref().filter(|filling| filling.is_piece())?;
        let full = piece.has_bytes(self.limits.max_stream_bytes).then_some(piece.began);
        full.or_else(|| Some(piece.began + self.time? / 2))
    }

    /// Whether no Kafka transaction has been open for too long because of a large source transaction.
    ///
    /// # Errors
    /// `TransactionTooLong`.
    pub(crate) fn ensure_in_time(&self, now: Instant) -> Result<()> {
        match self.complete_by() {
            Some(by) if by <= now => Err(Error::new(
                Code::TransactionTooLong,
                "nine tenths of transaction.timeout.ms are over, and the source transaction goes on",
            )),
            _ => Ok(()),
        }
    }

    /// When to look again although nothing has happened.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        match &self.filling {
            Some(_) if self.sending.is_some() => None,
            Some(_) => [self.lingered_at(), self.piece_ends_at(), self.complete_by()].into_iter().flatten().min(),
            None => self.rested_at().filter(|rested| *rested > now),
        }
    }
}
