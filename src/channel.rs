//! The channel between source and delivery: one sender, one receiver, bounded by bytes.
//!
//! ```text
//! Sender ── acquire weight ─▶ queue ─▶ Receiver ─▶ (item, Permit) … committed ─▶ drop(Permit) ── releases weight
//! ```
//!
//! What is *in flight* is everything from `send` to the drop of the permit, so queue and delivery together. Keeping the
//! permit until the item's Kafka transaction has committed is what makes invariant I6 (bytes in flight ≤ the configured
//! bound) hold for the whole relay and not just for the queue.
//!
//! One exception keeps it free of deadlock: an item heavier than the bound travels, but only alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

pub use mpsc::error::TryRecvError;

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct Closed;

/// A channel that holds at most `limit` bytes in flight. Limits beyond 4 GiB count as 4 GiB.
pub fn channel<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let permits = u32::try_from(limit).unwrap_or(u32::MAX).max(1);
    let flow = Arc::new(Flow {
        permits,
        semaphore: Semaphore::new(usize::try_from(permits).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)),
        in_flight: AtomicUsize::new(0),
        waited: Mutex::default(),
    });
    // Unbounded, because the semaphore bounds it: each queued item holds a permit of at least one byte.
    let (sender, receiver) = mpsc::unbounded_channel();
    (Sender { queue: sender, flow: Arc::clone(&flow) }, Receiver { queue: receiver, flow })
}

/// The sending side.
#[derive(Debug)]
pub struct Sender<T> {
    queue: mpsc::UnboundedSender<(T, Permit)>,
    flow: Arc<Flow>,
}

impl<T> Sender<T> {
    /// Waits until `weight` bytes fit, then queues the item.
    ///
    /// Not cancel-safe: an item whose `send` is dropped while it waits is gone. Cancel only to end the run.
    pub async fn send(&mut self, item: T, weight: usize) -> Result<(), Closed> {
        let permit = self.flow.acquire(weight).await?;
        self.queue.send((item, permit)).map_err(|_| Closed)
    }

    /// What the channel holds, for metrics; stays valid after the channel.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.flow))
    }
}

/// The receiving side.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: mpsc::UnboundedReceiver<(T, Permit)>,
    flow: Arc<Flow>,
}

impl<T> Receiver<T> {
    /// The next item, in order; `None` once the sender is gone and the queue is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<(T, Permit)> {
        self.queue.recv().await
    }

    /// The next item if one is queued.
    pub fn try_recv(&mut self) -> Result<(T, Permit), TryRecvError> {
        self.queue.try_recv()
    }

    /// What the channel holds, for metrics; stays valid after the channel.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.flow))
    }
}

impl<T> Drop for Receiver<T> {
    /// Wakes a waiting sender: nobody will release weight for it any more.
    fn drop(&mut self) {
        self.flow.semaphore.close();
    }
}

/// The weight of a received item. Drop it when the item is committed, not when it is taken.
#[derive(Debug)]
#[must_use = "dropping the permit lets more bytes in flight; keep it until the item is committed"]
pub struct Permit {
    flow: Arc<Flow>,
    permits: usize,
    weight: usize,
}

impl Permit {
    /// The weight given to [`Sender::send`].
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.flow.in_flight.fetch_sub(self.weight, Ordering::Relaxed);
        self.flow.semaphore.add_permits(self.permits);
    }
}

/// A view of a channel's load.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Flow>);

impl Gauge {
    /// Bytes sent and not yet committed.
    pub fn in_flight_bytes(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// The bound on [`Gauge::in_flight_bytes`].
    pub fn limit(&self) -> usize {
        usize::try_from(self.0.permits).unwrap_or(usize::MAX)
    }

    /// How long the sender has waited for room since the channel was made, a wait that still lasts included.
    pub fn waited(&self) -> Duration {
        let waited = self.0.waited();
        waited.total + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[derive(Debug)]
struct Flow {
    permits: u32,
    semaphore: Semaphore,
    in_flight: AtomicUsize,
    waited: Mutex<Waited>,
}

/// Total and present wait change together, so that the total never runs backwards for a reader.
#[derive(Debug, Default)]
struct Waited {
    total: Duration,
    since: Option<Instant>,
}

impl Flow {
    async fn acquire(self: &Arc<Self>, weight: usize) -> Result<Permit, Closed> {
        // An item heavier than the bound takes every permit: it waits until nothing else is in flight.
        let permits = u32::try_from(weight).unwrap_or(u32::MAX).clamp(1, self.permits);
        let acquired = match self.semaphore.try_acquire_many(permits) {
            Ok(acquired) => acquired,
            Err(tokio::sync::TryAcquireError::Closed) => return Err(Closed),
            Err(tokio::sync::TryAcquireError::NoPermits) => {
                let _wait = Wait::start(self);
                self.semaphore.acquire_many(permits).await.map_err(|_| Closed)?
            }
        };
        let permits = acquired.num_permits();
        acquired.forget();
        self.in_flight.fetch_add(weight, Ordering::Relaxed);
        Ok(Permit { flow: Arc::clone(self), permits, weight })
    }

    fn waited(&self) -> MutexGuard<'_, Waited> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait in progress; a guard, because a cancelled `send` ends its wait too.
struct Wait<'a>(&'a Flow);

impl<'a> Wait<'a> {
    fn start(flow: &'a Flow) -> Self {
        flow.waited().since = Some(Instant::now());
        Self(flow)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.waited();
        if let Some(since) = waited.since.take() {
            waited.total += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests;
