//! Exactly once: does what `flight` says, with real producers and a real clock.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::classify::{CommitSeen, Outcome, classify};
use super::flight::{Due, Flight, Producers as _};
use super::librdkafka::NativeError;
use super::producer::RETRY_BACKOFF;
use super::transaction::Transaction;
use super::{Deliverer, Memory};
use crate::batch::Batch;
use crate::channel::Receiver;
use crate::error::{Error, Result};
use crate::kafka::Call;
use crate::telemetry::Metrics;

/// How often the loop shows that it is alive while something is on its way; all of that is bounded by timeouts.
const TICK: Duration = Duration::from_secs(1);

/// Writes the first checkpoint of a run, in a Kafka transaction of the first producer.
pub(super) async fn take_charge(deliverer: &mut Deliverer, bytes: &[u8]) -> Result<()> {
    let relay = deliverer.chain.tip().checkpoint.relay.clone();
    deliverer.outlet.open(0, false)?;
    deliverer.outlet.enqueue_checkpoint(0, &relay, bytes)?;
    let sending = deliverer.outlet.incarnation.producer(0).send();
    deliverer.status.ticking(sending).await?;
    let committing = deliverer.outlet.incarnation.producer(0).commit();
    let (seen, error) = deliverer.status.ticking(committing).await?;
    count(seen, &deliverer.metrics);
    classify(seen, RETRY_BACKOFF).ensure_clean(seen).map_err(|refused| explain(refused, error))?;
    deliverer.first_turn = 1;
    Ok(())
}

/// Delivers until the channel closes or something ends the run.
pub(super) async fn run(
    deliverer: &mut Deliverer,
    batches: Receiver<Batch>,
    abort: CancellationToken,
    memory: &mut Memory,
) -> Result<()> {
    let producers = deliverer.outlet.incarnation.producers();
    let timeout = deliverer.outlet.incarnation.transaction_timeout();
    let mut flight = Flight::new(deliverer.chain.clone(), (deliverer.first_turn, producers), deliverer.limits.clone())
        .within(timeout);
    let ended = fly(deliverer, &mut flight, batches, abort, memory).await;
    memory.in_doubt = flight.in_doubt().cloned();
    // Kafka fences a transaction that it times out; the next try would end as this one.
    let ended = ended.map_err(|error| flight.ensure_in_time(Instant::now()).err().unwrap_or(error));
    memory.unsettled = flight.take_committing().map(|transaction| deliverer.outlet.unsettled(transaction));
    ended
}

async fn fly(
    deliverer: &mut Deliverer,
    flight: &mut Flight,
    mut batches: Receiver<Batch>,
    abort: CancellationToken,
    memory: &mut Memory,
) -> Result<()> {
    let failed = deliverer.outlet.incarnation.failed().clone();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sending: Option<Call<()>> = None;
    let mut committing: Option<Call<Committed>> = None;
    loop {
        let Due { send, commit } = flight.advance(Instant::now(), || batches.try_recv().ok(), &mut deliverer.outlet)?;
        if let Some(turn) = send {
            sending = Some(deliverer.outlet.incarnation.producer(turn).send());
        }
        if let Some(turn) = commit {
            committing = Some(deliverer.outlet.incarnation.producer(turn).commit());
        }
        if flight.take_changed() {
            deliverer.show(flight);
        }
        if flight.is_drained() {
            return Ok(());
        }
        let now = Instant::now();
        tokio::select! {
            biased;
            // 1. A second signal or a drain that takes too long: what is open dies with the producers.
            () = abort.cancelled() => return Ok(()),
            // 2. A client has given up, or was fenced while idle.
            () = failed.cancelled() => return Err(deliverer.outlet.incarnation.failure()),
            // 3. What is on its way, the oldest first.
            seen = finished(&mut committing) => {
                committing = None;
                let (seen, error) = seen?;
                count(seen, &deliverer.metrics);
                let committed = flight.ended(seen, Instant::now()).map_err(|refused| explain(refused, error))?;
                if let Some(transaction) = committed {
                    deliverer.committed(&transaction, flight.chain().last(), memory)?;
                }
            }
            sent = finished(&mut sending) => {
                sending = None;
                flight.sent(sent)?;
            }
            // 4. Work; the closed channel is the end of a drain.
            next = batches.recv(), if flight.wants_batch(now) => match next {
                Some((batch, permit)) => flight.take(batch, permit, Instant::now(), &mut deliverer.outlet)?,
                None => flight.close(),
            },
            // 5. Time for what waits for nothing else.
            () = until(flight.wake(now)) => {}
            _ = tick.tick(), if !flight.is_empty() => deliverer.status.tick(),
        }
    }
}

/// What is known of a commit when its call returns.
type Committed = (CommitSeen, Option<NativeError>);

impl Deliverer {
    /// Shows the lag and the load.
    fn show(&self, flight: &Flight) {
        self.status.set_oldest_undelivered(flight.in_order().find_map(Transaction::oldest));
        let unsent = || flight.in_order().map(|transaction| transaction.unsent);
        self.metrics.kafka_queue_messages.set(unsent().map(|(records, _)| records).sum::<usize>());
        self.metrics.kafka_queue_bytes.set(unsent().map(|(_, bytes)| bytes).sum::<usize>());
    }
}

fn count(seen: CommitSeen, metrics: &Metrics) {
    match classify(seen, RETRY_BACKOFF) {
        Outcome::Clean => metrics.kafka_committed.inc(),
        Outcome::Tainted => metrics.kafka_renewed.inc(),
        Outcome::Uncertain | Outcome::Fenced => metrics.kafka_uncertain.inc(),
    }
}

fn explain(refused: Error, cause: Option<NativeError>) -> Error {
    match cause {
        Some(cause) => refused.caused_by(cause.to_string()),
        None => refused,
    }
}

async fn finished<T>(call: &mut Option<Call<T>>) -> Result<T> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
