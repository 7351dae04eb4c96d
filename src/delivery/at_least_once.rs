//! At least once: records are sent as they come, and a checkpoint follows only what is acknowledged.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::classify::InDoubt;
use super::flight::Producers as _;
use super::transaction::Transaction;
use super::{Deliverer, Memory};
use crate::batch::Batch;
use crate::channel::{Permit, Receiver};
use crate::error::Result;
use crate::failpoint;

/// A checkpoint at most this often, so that it does not cost more than the records.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Writes the first checkpoint of a run.
pub(super) async fn take_charge(deliverer: &mut Deliverer, bytes: &[u8]) -> Result<()> {
    let relay = deliverer.chain.tip().checkpoint.relay.clone();
    deliverer.outlet.enqueue_checkpoint(0, &relay, bytes)?;
    acknowledge(deliverer).await
}

/// Delivers until the channel closes or something ends the run.
pub(super) async fn run(
    deliverer: &mut Deliverer,
    mut batches: Receiver<Batch>,
    abort: CancellationToken,
    memory: &mut Memory,
) -> Result<()> {
    while let Some((batch, permit)) = next(deliverer, &mut batches, &abort).await? {
        step(deliverer, (batch, permit), &mut batches, &abort, memory).await?;
    }
    Ok(())
}

/// The next batch; `None` when there will be none, or when it is too late for one.
async fn next(
    deliverer: &Deliverer,
    batches: &mut Receiver<Batch>,
    abort: &CancellationToken,
) -> Result<Option<(Batch, Permit)>> {
    tokio::select! {
        biased;
        () = abort.cancelled() => Ok(None),
        () = deliverer.outlet.incarnation.failed().cancelled() => Err(deliverer.outlet.incarnation.failure()),
        next = batches.recv() => Ok(next),
    }
}

/// Records, and the checkpoint behind them.
async fn step(
    deliverer: &mut Deliverer,
    (first, permit): (Batch, Permit),
    batches: &mut Receiver<Batch>,
    abort: &CancellationToken,
    memory: &mut Memory,
) -> Result<()> {
    let previous = Some(deliverer.chain.last().id.clone());
    deliverer.outlet.incarnation.producer(0).open()?;
    let mut sent = Transaction::new(0, &first, permit, Instant::now());
    deliverer.outlet.enqueue(&first, &mut sent)?;
    deliverer.status.set_oldest_undelivered(sent.oldest());
    let deadline = tokio::time::Instant::now() + CHECKPOINT_INTERVAL;
    // There is no checkpoint within a source transaction: a large one is sent in parts.
    while sent.open || sent.has_room(&deliverer.limits) {
        if !sent.has_room(&deliverer.limits) {
            acknowledge(deliverer).await?;
            sent.part_acknowledged();
        }
        let next = match batches.try_recv() {
            Ok(next) => Some(next),
            Err(_) if sent.open => next(deliverer, batches, abort).await?,
            Err(_) => tokio::time::timeout_at(deadline, batches.recv()).await.ok().flatten(),
        };
        let Some((batch, permit)) = next else { break };
        deliverer.outlet.enqueue(&batch, &mut sent)?;
        sent.join(&batch, permit)?;
    }
    if sent.open {
        return Ok(());
    }
    failpoint::hit("all_produced")?;
    acknowledge(deliverer).await?;
    memory.in_doubt = Some(InDoubt { previous: previous.clone(), attempted: None });
    let recorded = deliverer.chain.record(&mut sent, &mut deliverer.outlet);
    // Once it is with the producer it may be written, whatever else goes wrong.
    memory.in_doubt = Some(InDoubt { previous, attempted: Some(deliverer.chain.tip().id.clone()) });
    recorded?;
    acknowledge(deliverer).await?;
    memory.in_doubt = None;
    deliverer.status.set_oldest_undelivered(None);
    failpoint::hit("commit_ok")?;
    deliverer.chain.committed(&mut sent)?;
    deliverer.committed(&sent, deliverer.chain.last(), memory)
}

async fn acknowledge(deliverer: &mut Deliverer) -> Result<()> {
    let sending = deliverer.outlet.incarnation.producer(0).send();
    // Bounded by the timeout of messages, so it may tick.
    deliverer.status.ticking(sending).await
}
