//! What the relay is doing now: written by the pipeline, read by the endpoints and the metrics.
//!
//! Hot values are atomics; facts that change a few times a run, or once a Kafka transaction, share a lock. Nothing in
//! here is a secret or a row's value, so all of it may be shown.

use crate::channel;
use crate::error::Error;
use crate::position::FilePosition;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

mod clock;
mod facts;
mod role;
mod snapshot;
mod source;

use clock::{AtomicInstant, AtomicTime};
pub use facts::{Blocked, CheckpointFacts, SinkFacts, SourceFacts};

/// No tick for this long means that the pipeline hangs. Longer than any wait of it: it ticks once a second when idle.
pub const TICK_LIMIT: Duration = Duration::from_secs(30);

/// State of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On the way to the first stream.
    Starting,
    /// Ready to lead when the instance that leads now ends.
    Standby,
    /// Reading and delivering.
    Streaming,
    /// Not streaming for a reason that is shown; tries again by itself, or is about to end.
    Stalled,
    /// Draining or closing.
    Stopping,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Standby, Self::Streaming, Self::Stalled, Self::Stopping];

    /// As it is shown everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Streaming => "streaming",
            Self::Stalled => "stalled",
            Self::Stopping => "stopping",
        }
    }
}

/// Load of the channel between source and delivery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Bytes in flight.
    pub in_flight_bytes: usize,
    /// Their bound.
    pub limit_bytes: usize,
    /// How long the source waited for room, over all runs.
    pub waited: Duration,
}

/// The relay's state, shared by `Arc`.
#[derive(Debug)]
pub struct Status {
    name: String,
    started_at: SystemTime,
    ticked: AtomicInstant,
    started: AtomicBool,
    /// Cleared in hot standby only, by an instance that does not lead.
    leads: AtomicBool,
    connected: AtomicBool,
    last_contact: AtomicTime,
    /// Heartbeat period of the source, milliseconds.
    heartbeat_ms: AtomicU64,
    last_event: AtomicTime,
    oldest_undelivered: AtomicTime,
    delivered: Delivered,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Delivered {
    rows: AtomicU64,
    records: AtomicU64,
    transactions: AtomicU64,
    kafka_transactions: AtomicU64,
}

#[derive(Debug)]
struct Facts {
    state: State,
    phase: &'static str,
    blocked: Option<Blocked>,
    panicked: Option<&'static str>,
    resume_reason: Option<String>,
    source: Option<SourceFacts>,
    reading: Option<FilePosition>,
    sink: Option<SinkFacts>,
    checkpoint: Option<CheckpointFacts>,
    gauge: Option<channel::Gauge>,
    waited_before: Duration,
}

/// The moment of a commit time in microseconds since the epoch; the epoch for one before it.
pub fn time_of(committed_at_us: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(committed_at_us).unwrap_or(0))
}

impl Status {
    /// Of a relay that starts now.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            started_at: SystemTime::now(),
            ticked: AtomicInstant::now(),
            started: AtomicBool::new(false),
            leads: AtomicBool::new(true),
            connected: AtomicBool::new(false),
            last_contact: AtomicTime::default(),
            heartbeat_ms: AtomicU64::new(u64::MAX),
            last_event: AtomicTime::default(),
            oldest_undelivered: AtomicTime::default(),
            delivered: Delivered::default(),
            facts: Mutex::new(Facts {
                state: State::Starting,
                phase: "starting",
                blocked: None,
                panicked: None,
                resume_reason: None,
                source: None,
                reading: None,
                sink: None,
                checkpoint: None,
                gauge: None,
                waited_before: Duration::ZERO,
            }),
        }
    }

    /// The relay's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    // --- liveness -------------------------------------------------------------------------------------------------

    /// The pipeline made progress, or looked and had nothing to do. At least once a second from its loop.
    pub fn tick(&self) {
        self.ticked.set_now();
    }

    /// Awaits `wait`, ticking. Only for waits with a time limit of their own (a back-off, a bounded connect): a tick
    /// that comes from a timer says nothing about progress.
    pub async fn ticking<F: Future>(&self, wait: F) -> F::Output {
        tokio::pin!(wait);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                output = &mut wait => return output,
                _ = second.tick() => self.tick(),
            }
        }
    }

    /// A task panicked. The relay is not live until it streams again.
    pub fn panicked(&self, task: &'static str) {
        self.facts().panicked = Some(task);
    }

    /// What is wrong with the process itself, if anything; MySQL and Kafka play no part in it.
    pub fn dead(&self) -> Option<String> {
        if let Some(task) = self.facts().panicked {
            return Some(format!("the task {task} panicked"));
        }
        let silent = self.ticked.elapsed();
        (silent > TICK_LIMIT).then(|| format!("the pipeline has not moved for {} s", silent.as_secs()))
    }

    // --- state ----------------------------------------------------------------------------------------------------

    /// A step on the way to streaming, e.g. `"reading the checkpoint"`. A reason for a stall stays on show meanwhile.
    pub fn starting(&self, phase: &'static str) {
        tracing::debug!(phase, "starting");
        self.tick();
        let mut facts = self.facts();
        facts.phase = phase;
        if facts.state == State::Streaming {
            facts.state = State::Starting;
        }
    }

    /// The stream is open.
    pub fn streaming(&self) {
        self.tick();
        self.set_started();
        let mut facts = self.facts();
        facts.state = State::Streaming;
        facts.blocked = None;
        facts.panicked = None;
    }

    /// A run ended with this error.
    pub fn stalled(&self, error: &Error) {
        self.tick();
        self.source_disconnected();
        let mut facts = self.facts();
        let since = facts.blocked.as_ref().map_or_else(SystemTime::now, |blocked| blocked.since);
        let (code, detail, fix) = (error.code(), error.chain(), error.fix().to_owned());
        facts.blocked = Some(Blocked { code, since, detail, fix });
        facts.state = State::Stalled;
    }

    /// Draining began.
    pub fn stopping(&self) {
        self.facts().state = State::Stopping;
    }

    /// The present state.
    pub fn state(&self) -> State {
        self.facts().state
    }

    /// Why it does not stream.
    pub fn blocked(&self) -> Option<Blocked> {
        self.facts().blocked.clone()
    }

    /// The first connect and checkpoint load are done.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Whether [`Status::set_started`] was called.
    pub fn started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    // --- delivery -------------------------------------------------------------------------------------------------

    /// Where records go.
    pub fn sink(&self, sink: SinkFacts) {
        self.facts().sink = Some(sink);
    }

    /// The checkpoint is now this.
    pub fn checkpoint(&self, checkpoint: CheckpointFacts) {
        self.facts().checkpoint = Some(checkpoint);
    }

    /// When the newest checkpoint was committed.
    pub fn last_checkpoint(&self) -> Option<SystemTime> {
        self.facts().checkpoint.as_ref().map(|checkpoint| checkpoint.time)
    }

    /// A Kafka transaction with so many outbox rows, records and source transactions was committed.
    pub fn delivered(&self, rows: u64, records: u64, transactions: u64) {
        self.tick();
        self.delivered.rows.fetch_add(rows, Ordering::Relaxed);
        self.delivered.records.fetch_add(records, Ordering::Relaxed);
        self.delivered.transactions.fetch_add(transactions, Ordering::Relaxed);
        self.delivered.kafka_transactions.fetch_add(1, Ordering::Relaxed);
    }

    /// The channel of a new run.
    pub fn attach(&self, gauge: channel::Gauge) {
        let mut facts = self.facts();
        facts.waited_before = facts.flow().waited;
        facts.gauge = Some(gauge);
    }

    /// The load of the present run's channel.
    pub fn flow(&self) -> Flow {
        self.facts().flow()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn flow(&self) -> Flow {
        let Some(gauge) = &self.gauge else { return Flow { waited: self.waited_before, ..Flow::default() } };
        Flow {
            in_flight_bytes: gauge.in_flight_bytes(),
            limit_bytes: gauge.limit(),
            waited: self.waited_before + gauge.waited(),
        }
    }
}

#[cfg(test)]
mod tests;
