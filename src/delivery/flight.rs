//! The Kafka transactions on their way, and what is done next about them. Pure: no client, no thread, no clock;
//! `exactly_once` does what is decided here.
//!
//! ```text
//!             filling           sending              acknowledged       committing
//! begin ─▶ takes batches, ─▶ let go, waits for ─▶ waits for the ─▶ EndTxn ─▶ clean: the checkpoint moves
//!          held back         acknowledgements     one before it             else: the run ends
//! ```
//!
//! Order (I3): records are let go when those of the transaction before are acknowledged, and a transaction is committed
//! when the one before is committed for certain. So a partition never holds a later record in front of an earlier one,
//! at most one commit is in doubt, and what is on its way behind it dies with the incarnation.
//!
//! A large source transaction comes in parts: its Kafka transaction is filled and sent again and again, and goes on to be
//! acknowledged only with the last one. One that is split goes on as soon as it is large or old enough, with a checkpoint
//! that says how far its source transaction is published; the next one begins there.
//!
//! The first batch of a transaction is followed by its checkpoint at once, so that the checkpoint's partition joins the
//! Kafka transaction together with the others; batches that come later get a second one. The last one counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::chain::Chain;
use super::classify::{CommitSeen, InDoubt, classify};
use super::producer::RETRY_BACKOFF;
use super::transaction::Transaction;
use crate::batch::Batch;
use crate::channel::Permit;
use crate::config::BatchConfig;
use crate::error::Result;
use crate::failpoint;

mod timing;

/// The producers behind one fence, as the protocol uses them. No call waits for an answer.
pub(crate) trait Producers {
    /// Opens a Kafka transaction on the producer whose turn it is. `held`: nothing of it may be sent before `release`.
    fn open(&mut self, turn: usize, held: bool) -> Result<()>;
    /// From now on what the open transaction holds may be sent.
    fn release(&mut self, turn: usize) -> Result<()>;
    /// Whether so many more records and bytes can be held back.
    fn can_hold(&mut self, turn: usize, records: usize, bytes: usize) -> bool;
    /// Hands a batch's records to the transaction's producer, and counts them.
    fn enqueue(&mut self, batch: &Batch, transaction: &mut Transaction) -> Result<()>;
    /// Hands an encoded checkpoint of `relay` to a producer.
    fn enqueue_checkpoint(&mut self, turn: usize, relay: &str, checkpoint: &[u8]) -> Result<()>;
}

/// What is to be started now, each by the number of the turn. The answers come back by [`Flight::sent`] and
/// [`Flight::ended`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Due {
    /// Send what this one holds, and wait until all of it is acknowledged.
    pub(crate) send: Option<usize>,
    /// Commit this one.
    pub(crate) commit: Option<usize>,
}

/// The Kafka transactions on their way.
#[derive(Debug)]
pub(crate) struct Flight {
    limits: BatchConfig,
    /// How long a Kafka transaction may take to come together.
    time: Option<Duration>,
    chain: Chain,
    /// Whose turn it is to open the next one.
    turn: usize,
    /// No batch comes any more.
    closed: bool,
    filling: Option<Transaction>,
    /// Received, but too large to be held back behind what is being sent.
    waiting: Option<(Batch, Permit)>,
    sending: Option<Transaction>,
    /// When the last one began to be sent.
    sent_at: Option<Instant>,
    acknowledged: VecDeque<Transaction>,
    committing: Option<Transaction>,
    /// When each producer's last transaction was committed.
    committed_at: Vec<Option<Instant>>,
    in_doubt: Option<InDoubt>,
    /// Something has begun or ended since it was last asked.
    changed: bool,
}

impl Flight {
    /// Nothing is on its way behind `chain`, and it is the turn of producer `turn` of so many.
    pub(crate) fn new(chain: Chain, (turn, producers): (usize, usize), limits: BatchConfig) -> Self {
        Self {
            limits,
            time: None,
            chain,
            turn,
            closed: false,
            filling: None,
            waiting: None,
            sending: None,
            sent_at: None,
            acknowledged: VecDeque::new(),
            committing: None,
            committed_at: vec![None; producers],
            in_doubt: None,
            changed: false,
        }
    }

    /// Kafka aborts a transaction after `timeout`: a tenth of it is left for the commit.
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { time: Some(timeout * 9 / 10), ..self }
    }

    /// The checkpoints so far.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What would be in doubt if the run ended now.
    pub(crate) fn in_doubt(&self) -> Option<&InDoubt> {
        self.in_doubt.as_ref()
    }

    /// The oldest first.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Transaction> {
        self.committing.iter().chain(&self.acknowledged).chain(&self.sending).chain(&self.filling)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_order().next().is_none() && self.waiting.is_none()
    }

    /// No batch comes any more: what is open is sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether everything is committed and nothing comes any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.is_empty()
    }

    /// Whether a batch is wanted now: it is not the end, and one can be taken into the transaction being filled, or the
    /// next producer is free.
    pub(crate) fn wants_batch(&self, now: Instant) -> bool {
        !self.closed && self.has_room(now)
    }

    fn has_room(&self, now: Instant) -> bool {
        match &self.filling {
            _ if self.waiting.is_some() => false,
            // What comes next belongs to what is being sent.
            _ if self.sending.as_ref().is_some_and(|transaction| transaction.open) => false,
            Some(open) => open.has_room(&self.limits),
            None => {
                self.in_order().count() < self.committed_at.len() && self.rested_at().is_none_or(|rested| rested <= now)
            }
        }
    }

    /// A batch has arrived that was wanted: it is taken into the transaction being filled, or begins one.
    pub(crate) fn take(
        &mut self,
        batch: Batch,
        permit: Permit,
        now: Instant,
        producers: &mut impl Producers,
    ) -> Result<()> {
        let turn = self.filling.as_ref().map_or(self.turn, |open| open.turn);
        if self.sending.is_some() && !producers.can_hold(turn, batch.records.len(), batch.records.weight()) {
            self.waiting = Some((batch, permit));
            return Ok(());
        }
        match self.filling.take() {
            None => self.begin(&batch, permit, now, producers),
            Some(mut open) => {
                producers.enqueue(&batch, &mut open)?;
                open.join(&batch, permit)?;
                self.filling = Some(open);
                Ok(())
            }
        }
    }

    fn begin(&mut self, batch: &Batch, permit: Permit, now: Instant, producers: &mut impl Producers) -> Result<()> {
        let mut open = Transaction::new(self.turn, batch, permit, now);
        producers.open(open.turn, self.sending.is_some())?;
        failpoint::hit("txn_begun")?;
        self.turn += 1;
        producers.enqueue(batch, &mut open)?;
        self.chain.record(&mut open, producers)?;
        self.filling = Some(open);
        self.note();
        Ok(())
    }

    /// Starts whatever waits for nothing any more. `next` is what has arrived meanwhile.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        next: impl FnMut() -> Option<(Batch, Permit)>,
        producers: &mut impl Producers,
    ) -> Result<Due> {
        let mut due = Due::default();
        if self.sending.is_none() {
            self.release(now, next, producers)?;
            self.ensure_in_time(now)?;
            // The reader has ended within a large source transaction, and says why.
            if self.closed && self.filling.take_if(|filling| filling.open).is_some() {
                self.note();
            }
            let lingered = self.lingered_at().is_some_and(|at| at <= now);
            let piece_ends = self.piece_ends_at().is_some_and(|at| at <= now);
            if (lingered || piece_ends || self.closed || !self.has_room(now))
                && let Some(mut open) = self.filling.take()
            {
                open.open &= !piece_ends;
                due.send = Some(self.send(open, now, producers)?);
            }
        }
        if self.committing.is_none()
            && let Some(acknowledged) = self.acknowledged.pop_front()
        {
            due.commit = Some(acknowledged.turn);
            self.committing = Some(acknowledged);
            self.note();
        }
        Ok(due)
    }

    /// Everything before is acknowledged: nothing has to be held back any more, and the limits are those of `[batch]`.
    fn release(
        &mut self,
        now: Instant,
        mut next: impl FnMut() -> Option<(Batch, Permit)>,
        producers: &mut impl Producers,
    ) -> Result<()> {
        if let Some(open) = &self.filling {
            producers.release(open.turn)?;
        }
        if let Some((batch, permit)) = self.waiting.take() {
            self.take(batch, permit, now, producers)?;
        }
        while self.filling.is_some()
            && self.has_room(now)
            && let Some((batch, permit)) = next()
        {
            self.take(batch, permit, now, producers)?;
        }
        Ok(())
    }

    fn send(&mut self, mut open: Transaction, now: Instant, producers: &mut impl Producers) -> Result<usize> {
        failpoint::hit(if open.has_records() { "all_produced" } else { "heartbeat_checkpoint" })?;
        self.chain.record(&mut open, producers)?;
        let turn = open.turn;
        self.sent_at = Some(now);
        self.sending = Some(open);
        Ok(turn)
    }

    /// The records and checkpoints of the transaction being sent are acknowledged, or one is not.
    pub(crate) fn sent(&mut self, result: Result<()>) -> Result<()> {
        result?;
        match self.sending.take() {
            Some(mut transaction) if transaction.open => {
                transaction.part_acknowledged();
                self.filling = Some(transaction);
            }
            whole => {
                failpoint::hit("checkpoint_acked")?;
                self.acknowledged.extend(whole);
            }
        }
        Ok(())
    }

    /// A commit has returned: only a clean one lets the run go on, and only now the checkpoint moves.
    pub(crate) fn ended(&mut self, seen: CommitSeen, now: Instant) -> Result<Option<Transaction>> {
        classify(seen, RETRY_BACKOFF).ensure_clean(seen)?;
        failpoint::hit("commit_ok")?;
        let Some(mut transaction) = self.committing.take() else { return Ok(None) };
        let turn = transaction.turn % self.committed_at.len();
        self.committed_at[turn] = Some(now);
        self.chain.committed(&mut transaction)?;
        self.note();
        Ok(Some(transaction))
    }

    /// The one whose commit was asked for when the run ended: perhaps it has happened.
    pub(super) fn take_committing(&mut self) -> Option<Transaction> {
        self.committing.take()
    }

    /// Whether something has begun or ended since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn note(&mut self) {
        self.changed = true;
        let attempted = self.committing.as_ref().and_then(|transaction| transaction.checkpoint.as_ref());
        self.in_doubt = (!self.is_empty()).then(|| InDoubt {
            previous: Some(self.chain.last().id.clone()),
            attempted: attempted.map(|checkpoint| checkpoint.id.clone()),
        });
    }
}

#[cfg(test)]
mod tests;
