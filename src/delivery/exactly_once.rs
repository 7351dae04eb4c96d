//! Exactly once: several Kafka transactions are on their way at a time, each a step further than the one behind it.
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
//! The first batch of a transaction is followed by its checkpoint at once, so that the checkpoint's partition joins the
//! Kafka transaction together with the others; batches that come later get a second one. The last one counts.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::classify::{CommitSeen, InDoubt, Outcome, classify};
use super::librdkafka::NativeError;
use super::producer::RETRY_BACKOFF;
use super::transaction::Transaction;
use super::{Deliverer, Memory};
use crate::batch::Batch;
use crate::channel::{Permit, Receiver};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::kafka::Call;
use crate::telemetry::Metrics;

/// The coordinator answers a commit before its markers are written, and refuses a transaction of the same id begun
/// meanwhile; librdkafka then waits 20 ms. Nothing tells when they are written; most often it takes less than this.
const MARKER_TIME: Duration = Duration::from_millis(2);

/// Shortest time from one transaction's sending to the next one's. Each costs the brokers several requests, so more of
/// them would only keep these busy; rows that come meanwhile travel together. The first row after a pause waits for none.
const PACE: Duration = Duration::from_millis(3);

/// How often the loop shows that it is alive while something is on its way; all of that is bounded by timeouts.
const TICK: Duration = Duration::from_secs(1);

/// Writes the first checkpoint of a run, in a Kafka transaction of the first producer.
pub(super) async fn take_charge(deliverer: &mut Deliverer, bytes: &[u8]) -> Result<()> {
    deliverer.incarnation.producer(0).open()?;
    deliverer.incarnation.producer(0).release()?;
    deliverer.enqueue_encoded(0, bytes)?;
    let sending = deliverer.incarnation.producer(0).send();
    deliverer.status.ticking(sending).await?;
    let committing = deliverer.incarnation.producer(0).commit();
    judge(deliverer.status.ticking(committing).await?, &deliverer.metrics)?;
    deliverer.turn = 1;
    Ok(())
}

/// Delivers until the channel closes or something ends the run.
pub(super) async fn run(
    deliverer: &mut Deliverer,
    mut batches: Receiver<Batch>,
    abort: CancellationToken,
    memory: &mut Memory,
) -> Result<()> {
    let failed = deliverer.incarnation.failed().clone();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flight = Flight::new(deliverer);
    let mut closed = false;
    loop {
        flight.advance(&mut batches, closed, memory)?;
        if closed && flight.is_empty() {
            return Ok(());
        }
        let wake = flight.wake();
        tokio::select! {
            biased;
            // 1. A second signal or a drain that takes too long: what is open dies with the producers.
            () = abort.cancelled() => return Ok(()),
            // 2. A client has given up, or was fenced while idle.
            () = failed.cancelled() => return Err(flight.deliverer.incarnation.failure()),
            // 3. What is on its way, the oldest first.
            seen = finished(&mut flight.committing) => flight.ended(seen?, memory)?,
            sent = finished(&mut flight.sending) => flight.sent(sent)?,
            // 4. Work; the closed channel is the end of a drain.
            next = batches.recv(), if !closed && flight.has_room() => match next {
                Some((batch, permit)) => flight.take(batch, permit, memory)?,
                None => closed = true,
            },
            // 5. Time for what waits for nothing else.
            () = until(wake) => {}
            _ = tick.tick(), if !flight.is_empty() => flight.deliverer.status.tick(),
        }
    }
}

/// The Kafka transactions on their way.
struct Flight<'a> {
    deliverer: &'a mut Deliverer,
    filling: Option<Transaction>,
    /// Received, but too large to be held back behind what is being sent.
    waiting: Option<(Batch, Permit)>,
    sending: Option<(Transaction, Call<()>)>,
    /// When the last one began to be sent.
    sent_at: Option<Instant>,
    acknowledged: VecDeque<Transaction>,
    committing: Option<(Transaction, Call<Committed>)>,
    /// When each producer's last transaction was committed.
    committed_at: Vec<Option<Instant>>,
}

/// What is known of a commit when its call returns.
type Committed = (CommitSeen, Option<NativeError>);

impl<'a> Flight<'a> {
    fn new(deliverer: &'a mut Deliverer) -> Self {
        let committed_at = vec![None; deliverer.incarnation.producers()];
        Self {
            deliverer,
            filling: None,
            waiting: None,
            sending: None,
            sent_at: None,
            acknowledged: VecDeque::new(),
            committing: None,
            committed_at,
        }
    }

    fn in_order(&self) -> impl Iterator<Item = &Transaction> {
        let committing = self.committing.iter().map(|(transaction, _)| transaction);
        let sending = self.sending.iter().map(|(transaction, _)| transaction);
        committing.chain(&self.acknowledged).chain(sending).chain(&self.filling)
    }

    fn is_empty(&self) -> bool {
        self.in_order().next().is_none() && self.waiting.is_none()
    }

    /// Whether a batch can be taken now: into the transaction being filled, or because the next producer is free.
    fn has_room(&self) -> bool {
        let limits = &self.deliverer.limits;
        match &self.filling {
            _ if self.waiting.is_some() => false,
            Some(open) => open.records < limits.max_records && open.bytes < limits.max_bytes,
            None => {
                self.in_order().count() < self.committed_at.len()
                    && self.rested_at().is_none_or(|rested| rested <= Instant::now())
            }
        }
    }

    /// When the next producer may begin a transaction without meeting the markers of its last one.
    fn rested_at(&self) -> Option<Instant> {
        let turn = self.deliverer.turn % self.committed_at.len();
        self.committed_at[turn].map(|at| at + MARKER_TIME)
    }

    /// When the transaction being filled has waited long enough for more.
    fn lingered_at(&self) -> Option<Instant> {
        let open = self.filling.as_ref()?;
        let lingered = Instant::from_std(open.began) + self.deliverer.limits.linger;
        Some(self.sent_at.map_or(lingered, |sent| lingered.max(sent + PACE)))
    }

    /// When to look again although nothing has happened.
    fn wake(&self) -> Option<Instant> {
        match &self.filling {
            Some(_) if self.sending.is_some() => None,
            Some(_) => self.lingered_at(),
            None => self.rested_at().filter(|rested| *rested > Instant::now()),
        }
    }

    /// Takes a batch into the transaction being filled, or begins one with it.
    fn take(&mut self, batch: Batch, permit: Permit, memory: &mut Memory) -> Result<()> {
        let turn = self.filling.as_ref().map_or(self.deliverer.turn, |open| open.turn);
        let producer = self.deliverer.incarnation.producer(turn);
        if self.sending.is_some() && !producer.can_hold(batch.records.len(), batch.records.weight()) {
            self.waiting = Some((batch, permit));
            return Ok(());
        }
        match self.filling.take() {
            None => self.begin(&batch, permit, memory),
            Some(mut open) => {
                self.deliverer.enqueue(&batch, &mut open)?;
                open.join(&batch, permit)?;
                self.filling = Some(open);
                Ok(())
            }
        }
    }

    fn begin(&mut self, batch: &Batch, permit: Permit, memory: &mut Memory) -> Result<()> {
        let mut open = Transaction::new(self.deliverer.turn, batch, permit);
        let producer = self.deliverer.incarnation.producer(open.turn);
        producer.open()?;
        if self.sending.is_none() {
            producer.release()?;
        }
        failpoint::hit("txn_begun")?;
        self.deliverer.turn += 1;
        self.deliverer.enqueue(batch, &mut open)?;
        self.deliverer.record(&mut open)?;
        self.filling = Some(open);
        self.show(memory);
        Ok(())
    }

    /// Starts whatever waits for nothing any more.
    fn advance(&mut self, batches: &mut Receiver<Batch>, closed: bool, memory: &mut Memory) -> Result<()> {
        if self.sending.is_none() {
            self.release(batches, memory)?;
            let lingered = self.lingered_at().is_some_and(|at| at <= Instant::now());
            if (lingered || closed || !self.has_room())
                && let Some(open) = self.filling.take()
            {
                self.send(open)?;
            }
        }
        if self.committing.is_none()
            && let Some(acknowledged) = self.acknowledged.pop_front()
        {
            let call = self.deliverer.incarnation.producer(acknowledged.turn).commit();
            self.committing = Some((acknowledged, call));
            self.show(memory);
        }
        Ok(())
    }

    /// Everything before is acknowledged: nothing has to be held back any more, and the limits are those of `[batch]`.
    fn release(&mut self, batches: &mut Receiver<Batch>, memory: &mut Memory) -> Result<()> {
        if let Some(open) = &self.filling {
            self.deliverer.incarnation.producer(open.turn).release()?;
        }
        if let Some((batch, permit)) = self.waiting.take() {
            self.take(batch, permit, memory)?;
        }
        while self.filling.is_some()
            && self.has_room()
            && let Ok((batch, permit)) = batches.try_recv()
        {
            self.take(batch, permit, memory)?;
        }
        Ok(())
    }

    fn send(&mut self, mut open: Transaction) -> Result<()> {
        failpoint::hit(if open.records > 0 { "all_produced" } else { "heartbeat_checkpoint" })?;
        self.deliverer.record(&mut open)?;
        let call = self.deliverer.incarnation.producer(open.turn).send();
        self.sent_at = Some(Instant::now());
        self.sending = Some((open, call));
        Ok(())
    }

    /// The records and checkpoints of a transaction are acknowledged, or one is not.
    fn sent(&mut self, result: Result<()>) -> Result<()> {
        result?;
        self.acknowledged.extend(self.sending.take().map(|(transaction, _)| transaction));
        Ok(())
    }

    /// A commit has returned.
    fn ended(&mut self, committed: Committed, memory: &mut Memory) -> Result<()> {
        judge(committed, &self.deliverer.metrics)?;
        if let Some((transaction, _)) = self.committing.take() {
            let turn = transaction.turn % self.committed_at.len();
            self.committed_at[turn] = Some(Instant::now());
            self.deliverer.committed(transaction, memory)?;
        }
        self.show(memory);
        Ok(())
    }

    /// Says what is open: what would be in doubt if the run ended now, the lag, the load.
    fn show(&self, memory: &mut Memory) {
        let attempted = self.committing.as_ref().and_then(|(transaction, _)| transaction.checkpoint.as_ref());
        memory.in_doubt = (!self.is_empty()).then(|| InDoubt {
            previous: Some(self.deliverer.last.id.clone()),
            attempted: attempted.map(|checkpoint| checkpoint.id.clone()),
        });
        let deliverer = &self.deliverer;
        deliverer.status.set_oldest_undelivered(self.in_order().find_map(Transaction::oldest));
        deliverer
            .metrics
            .kafka_queue_messages
            .set(self.in_order().map(|transaction| transaction.records).sum::<usize>());
        deliverer.metrics.kafka_queue_bytes.set(self.in_order().map(|transaction| transaction.bytes).sum::<usize>());
    }
}

/// Only a clean commit is a success (`classify`).
fn judge((seen, error): Committed, metrics: &Metrics) -> Result<()> {
    let outcome = classify(seen, RETRY_BACKOFF);
    match outcome {
        Outcome::Clean => metrics.kafka_committed.inc(),
        Outcome::Tainted => metrics.kafka_renewed.inc(),
        Outcome::Uncertain | Outcome::Fenced => metrics.kafka_uncertain.inc(),
    }
    let cause = error.map_or_else(String::new, |e| e.to_string());
    match outcome {
        Outcome::Clean => Ok(()),
        Outcome::Tainted => {
            let disturbed = if seen.disturbed { ", with connection errors" } else { "" };
            Err(Error::new(Code::ProducerRenewed, format!("a commit took {:?}{disturbed}", seen.elapsed)))
        }
        Outcome::Uncertain => Err(Error::new(Code::DeliveryFailed, "committing").caused_by(cause)),
        Outcome::Fenced => Err(Error::new(Code::Fenced, "committing").caused_by(cause)),
    }
}

async fn finished<T>(slot: &mut Option<(Transaction, Call<T>)>) -> Result<T> {
    match slot {
        Some((_, call)) => call.await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
