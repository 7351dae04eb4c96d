//! The composition root: wires the stages and decides nothing. Read `run_once` first.
//!
//! A run is the unit of recovery: no stage heals itself. Whatever goes wrong ends the run, and [`supervise`] starts
//! another one from the checkpoint that Kafka holds, or ends the process with the code of the error.

pub mod doctor;
mod lead;
mod read;
mod rivals;
#[cfg(test)]
mod simulation;
mod source;
mod start;
mod supervise;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use crate::channel::channel;
use crate::checkpoint::Owner;
use crate::checkpoint::store::Store;
use crate::config::Config;
use crate::delivery::incarnation::Incarnation;
use crate::delivery::topics::Catalog;
use crate::delivery::{Deliverer, Memory};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::findings::{self, Finding, Level};
use crate::outbox::Large;
use crate::shutdown::Shutdown;
use crate::telemetry::{Metrics, Status};

pub use supervise::supervise;

/// Rows of undecided distributed transactions held in memory, in units of `batch.max_bytes`.
const PREPARED_LIMIT: usize = 16;

/// And in bytes, whatever `batch.max_bytes` is.
const PREPARED_MAX: usize = 1 << 30;

/// Runs in a row that may meet the same damage at the same place before a human has to look.
const SAME_DAMAGE: u32 = 2;

/// I6: one Kafka transaction that is being committed, and a quarter of the next one to begin it with at once.
fn in_flight_limit(max_bytes: usize) -> usize {
    max_bytes.saturating_add(max_bytes / 4)
}

/// What an operator asked for at the command line, for this process alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders {
    /// Start over although the output topics hold records of this source.
    pub first_start: bool,
    /// Take over although an instance that replaced the one at this place still works.
    pub take_over: bool,
}

/// What all runs of a process share.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    /// This process.
    owner: Owner,
    orders: Orders,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    /// Warnings of the last preflight: said again only when they change.
    warned: Mutex<Vec<Finding>>,
    /// Runs in a row that met damage before they had proven the history.
    damaged_starts: Arc<AtomicU32>,
}

impl Relay {
    /// Logs what is to be known; refuses if anything is wrong.
    fn judge(&self, found: &[Finding]) -> Result<()> {
        findings::ensure_none_wrong(found)?;
        let warnings: Vec<Finding> = found.iter().filter(|f| f.level == Level::Warning).cloned().collect();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().filter(|warning| !warned.contains(warning)) {
            tracing::warn!(check = warning.check, fix = warning.fix, "{}", warning.what);
        }
        *warned = warnings;
        Ok(())
    }
}

/// How a run ends if nothing goes wrong.
#[derive(Debug)]
enum Ended {
    /// Everything that was read is delivered.
    Drained,
    /// So is everything before a large group, which the next run reads again and carries.
    Before(Arc<Large>),
}

/// One run: fence, load, prove, stream. `large`: a large group that was read before.
///
/// # Errors
/// The first error of any stage; its code says what `supervise` does about it.
async fn run_once(relay: &Relay, memory: &mut Memory, large: Option<Arc<Large>>, shutdown: &Shutdown) -> Result<Ended> {
    // Nothing is at risk before the stream: a drain need not wait for the step in hand. Every step has a time limit of
    // its own, the longest above the watchdog's.
    let started = tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => return Ok(Ended::Drained),
        started = relay.status.ticking(Box::pin(start_run(relay, memory))) => started?,
    };
    let Started { deliverer, source, catalog, store } = started;
    // Its consumers are not needed while streaming; closing them takes a while.
    let closing = tokio::task::spawn_blocking(move || drop(store));

    let (sender, receiver) = channel(in_flight_limit(relay.config.batch.max_bytes));
    relay.status.attach(sender.gauge());
    let from = deliverer.last().checkpoint();
    let reader = read::Reader::new(relay, source, catalog, (from, large), shutdown.drain.clone())?;
    // The reader has a thread of its own to run on; the delivery runs here.
    let reading = tokio::spawn(reader.run(sender));
    let stop_reading = reading.abort_handle();
    let delivered = deliverer.run(receiver, shutdown.abort.clone(), memory).await;
    if delivered.is_err() || shutdown.abort.is_cancelled() {
        stop_reading.abort();
    }
    let dropped = failpoint::hit("producer_dropped");
    let read = reading.await;
    closing.await.map_err(|e| Error::new(Code::TaskPanicked, "closing the checkpoint's readers").caused_by(e))?;
    delivered.and(dropped)?;
    match read {
        Ok(result) => result,
        Err(stopped) if stopped.is_cancelled() => Ok(Ended::Drained),
        Err(panicked) => Err(Error::new(Code::TaskPanicked, "the reader").caused_by(panicked)),
    }
}

/// What a start has come to.
struct Started {
    deliverer: Deliverer,
    source: source::Source,
    catalog: Catalog,
    store: Store,
}

/// Fence, load, prove.
async fn start_run(relay: &Relay, memory: &mut Memory) -> Result<Started> {
    let config = &relay.config;
    relay.status.starting("connecting to Kafka");
    let store = Store::open(config, Arc::clone(&relay.metrics)).await?;
    rivals::ensure_no_successor(relay, &store, memory).await?;

    relay.status.starting("fencing older producers");
    let (incarnation, fence) = Incarnation::begin(config, Arc::clone(&relay.metrics)).await?;
    relay.status.starting("reading the checkpoint");
    let found = store.load(&fence).await?;
    failpoint::hit("checkpoint_read")?;
    rivals::ensure_still_ours(relay, memory, found.as_ref())?;
    relay.status.starting("checking topics");
    let catalog = Catalog::new(&config.kafka, Arc::clone(&relay.metrics), Arc::clone(&relay.status))?;
    catalog.ensure_configured(config.outboxes.iter().map(|outbox| &outbox.topic)).await?;

    relay.status.starting("taking charge");
    let begin = start::Beginning { relay, store: &store, catalog: &catalog };
    let (deliverer, source) = begin.begin(incarnation, found, memory).await?;
    Ok(Started { deliverer, source, catalog, store })
}
