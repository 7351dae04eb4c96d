//! W7: single-row transactions at a fixed rate, whatever the relay does (open loop), until a consumer has each record.
//!
//! Writers and consumer are threads of this process, so one monotonic clock times both.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::relay::{Relay, Variant};
use crate::rows::{self, Random};
use crate::stand::{self, PARTITIONS, Stand};
use crate::{Result, process, verify};

/// Divides the number of keys, as [`rows::SESSIONS`] does and for the same reason.
const WRITERS: usize = 4;

/// Rows a second that are measured.
pub(crate) const RATES: [u64; 2] = [200, 1_000];

/// Rows a second and seconds before; not measured.
const WARM_UP: (u64, u64) = (500, 3);

const PATIENCE: Duration = Duration::from_secs(30);

/// Latencies of one rate in one round.
#[derive(Debug)]
pub(crate) struct Latencies {
    pub(crate) rate: u64,
    /// From the return of the writer's COMMIT.
    pub(crate) from_commit: Histogram<u64>,
    /// From the time at which the transaction should have begun.
    pub(crate) from_intended: Histogram<u64>,
    /// Of relay, broker and mysqld, percent of a core.
    pub(crate) cpu_percent: [f64; 3],
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [0.5, 0.99].map(|q| self.from_commit.value_at_quantile(q) as f64 / 1e3);
        write!(f, "{} rows/s, p50 {p50:.1} ms, p99 {p99:.1} ms", self.rate)
    }
}

/// Microseconds since `epoch`, by row number; 0 before it happened.
struct Times {
    epoch: Instant,
    committed: Vec<AtomicU64>,
    seen: Vec<AtomicU64>,
    stop: AtomicBool,
}

impl Times {
    fn new(rows: usize) -> Self {
        let zeros = || std::iter::repeat_with(AtomicU64::default).take(rows).collect();
        Self { epoch: Instant::now(), committed: zeros(), seen: zeros(), stop: AtomicBool::new(false) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn missing(&self, rows: std::ops::Range<usize>) -> usize {
        self.seen[rows].iter().filter(|seen| seen.load(Ordering::Acquire) == 0).count()
    }
}

/// Consecutive rows at one rate.
#[derive(Clone, Copy, Debug)]
struct Phase {
    rate: u64,
    first: u64,
    rows: u64,
}

impl Phase {
    /// Microseconds from the start of the phase to the intended start of row `n`.
    fn due(self, n: u64) -> u64 {
        (n - self.first) * 1_000_000 / self.rate
    }
}

/// Runs a fresh relay and all rates.
pub(crate) fn run(stand: &Stand, binary: &Path, variant: Variant, round: u32, seconds: u64) -> Result<Vec<Latencies>> {
    let schema = format!("w7_{}{round}", u8::from(variant.exactly_once));
    stand.create_outbox(&schema)?;
    let relay = Relay::prepare(stand, schema.clone(), &schema, "now", variant)?;
    let mut daemon = relay.run(binary)?;
    testbed::wait::until(PATIENCE, "the relay to be ready", || {
        testbed::http_get(&relay.http, "/readyz").is_ok_and(|(status, _)| status == 200)
    })?;
    let rates = std::iter::once(WARM_UP).chain(RATES.map(|rate| (rate, seconds)));
    let mut rows = 0;
    let phases: Vec<Phase> = rates
        .map(|(rate, seconds)| {
            let phase = Phase { rate, first: rows, rows: rate * seconds };
            rows += phase.rows;
            phase
        })
        .collect();
    let times = Arc::new(Times::new(usize::try_from(rows)?));
    let (brokers, topic, consuming) = (stand.kafka.bootstrap(), relay.topic.clone(), Arc::clone(&times));
    let consumer = std::thread::spawn(move || consume(&brokers, &topic, &consuming));
    let mut measured = Vec::new();
    for phase in phases {
        let processes = [daemon.pid(), stand.kafka.pid(0)?, stand.mysql.pid()?];
        let before = process::cpu_seconds_of(processes)?;
        let started = Instant::now();
        let begin = write(stand, &schema, phase, &times)?;
        let (after, elapsed) = (process::cpu_seconds_of(processes)?, started.elapsed().as_secs_f64());
        let cpu_percent = std::array::from_fn(|n| (after[n] - before[n]) / elapsed * 100.0);
        let range = usize::try_from(phase.first)?..usize::try_from(phase.first + phase.rows)?;
        testbed::wait::until(PATIENCE, "all rows to be seen", || times.missing(range.clone()) == 0)?;
        measured.push(evaluate(&times, phase, begin, cpu_percent)?);
    }
    times.stop.store(true, Ordering::Release);
    consumer.join().map_err(|_| "the consumer panicked")??;
    daemon.sigterm()?;
    daemon.wait_exit(PATIENCE)?;
    verify::read_back(&stand.kafka.bootstrap(), &relay.topic, rows)?.ensure_right("W7")?;
    stand.delete_topic(&relay.topic)?;
    // The warm-up is the first.
    Ok(measured.split_off(1))
}

/// Writes a phase; returns when it began.
fn write(stand: &Stand, schema: &str, phase: Phase, times: &Arc<Times>) -> Result<u64> {
    let options = Opts::from_url(&stand.mysql.root_url())?;
    // Late enough for all writers to be connected.
    let begin = times.now() + 200_000;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (options, times) = (options.clone(), Arc::clone(times));
                scope.spawn(move || write_every(options, schema, phase, writer, begin, &times))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer panicked")?)
    })?;
    Ok(begin)
}

/// One session: its rows, each at its time or as soon after it as the row before has committed.
fn write_every(options: Opts, schema: &str, phase: Phase, writer: usize, begin: u64, times: &Times) -> Result<()> {
    // A thread and runtime of its own: sleeping threads wake more precisely than a runtime's timers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut conn = runtime.block_on(Conn::new(options))?;
    let mut random = Random::new(phase.first + writer as u64);
    for n in (phase.first..phase.first + phase.rows).filter(|n| n % WRITERS as u64 == writer as u64) {
        let sql = stand::insert(schema, "outbox", &[n], &mut random);
        let wait = (begin + phase.due(n)).saturating_sub(times.now());
        std::thread::sleep(Duration::from_micros(wait));
        runtime.block_on(conn.query_drop(sql))?;
        times.committed[usize::try_from(n)?].store(times.now(), Ordering::Release);
    }
    runtime.block_on(conn.disconnect())?;
    Ok(())
}

fn consume(brokers: &str, topic: &str, times: &Times) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-latency")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    while !times.stop.load(Ordering::Acquire) {
        let Some(record) = consumer.poll(Duration::from_millis(50)) else { continue };
        let now = times.now();
        let record = record?;
        let n = record.payload().and_then(rows::number).ok_or("a record without a row number")?;
        times.seen[usize::try_from(n)?].store(now, Ordering::Release);
    }
    Ok(())
}

fn evaluate(times: &Times, phase: Phase, begin: u64, cpu_percent: [f64; 3]) -> Result<Latencies> {
    let mut from_commit = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    let mut from_intended = from_commit.clone();
    for n in phase.first..phase.first + phase.rows {
        let row = usize::try_from(n)?;
        let seen = times.seen[row].load(Ordering::Acquire);
        // A record may well be seen before its writer has MySQL's answer.
        from_commit.record(seen.saturating_sub(times.committed[row].load(Ordering::Acquire)).max(1))?;
        from_intended.record(seen.saturating_sub(begin + phase.due(n)).max(1))?;
    }
    Ok(Latencies { rate: phase.rate, from_commit, from_intended, cpu_percent })
}
