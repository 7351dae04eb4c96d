//! W1 and W2: a relay catches up with a segment of the log.

use std::path::Path;
use std::time::{Duration, Instant};

use testbed::Daemon;

use crate::process::{cpu_seconds, machine_busy_seconds, peak_rss_mb};
use crate::relay::{Relay, Variant};
use crate::stand::{Segment, Stand};
use crate::visible::Visible;
use crate::{Result, verify};

/// How often is looked; well below the seconds that a run takes.
const INTERVAL: Duration = Duration::from_millis(20);

/// All rows may be visible although the count still grows: markers of Kafka transactions count, too.
const SETTLE: Duration = Duration::from_secs(1);

/// Nothing new in this time is a failure.
const STALL: Duration = Duration::from_secs(60);

const STOP: Duration = Duration::from_secs(20);

/// Pause before a run, so that what the one before has left to do does not disturb it.
const REST: Duration = Duration::from_secs(1);

/// One run's figures. CPU counts from the start of the process on, in seconds per million rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// Between the first and the last visible sample.
    pub(crate) rows_per_second: f64,
    /// From the start of the process on.
    pub(crate) rows_per_second_with_start: f64,
    pub(crate) first_visible_seconds: f64,
    pub(crate) relay_cpu: f64,
    pub(crate) broker_cpu: f64,
    pub(crate) mysqld_cpu: f64,
    pub(crate) peak_rss_mb: f64,
    /// Cores that other programs (this bench among them) took meanwhile.
    pub(crate) others_cores: f64,
}

#[derive(Clone, Copy)]
struct Sample {
    at: f64,
    offsets: u64,
    /// Relay, broker, mysqld, machine.
    cpu: [f64; 4],
}

/// Runs a fresh relay over `segment` and reads everything back.
pub(crate) fn run(stand: &Stand, binary: &Path, segment: &Segment, variant: Variant, round: &str) -> Result<Drained> {
    let Variant { exactly_once, source_header } = variant;
    let name = format!("{}-{}{}-{round}", segment.schema, u8::from(exactly_once), u8::from(source_header));
    let relay = Relay::prepare(stand, name, segment.schema, &format!("gtid:{}", segment.start), variant)?;
    let visible = Visible::new(&stand.kafka.bootstrap(), &relay.topic)?;
    // Connects the client that samples.
    visible.offsets()?;
    std::thread::sleep(REST);
    let servers = [stand.kafka.pid(0)?, stand.mysql.pid()?];
    let before = [0.0, cpu_seconds(servers[0])?, cpu_seconds(servers[1])?, machine_busy_seconds()?];
    let started = Instant::now();
    let mut daemon = relay.run(binary)?;
    let samples = watch(&mut daemon, started, &visible, servers, segment.rows)?;
    let peak_rss_mb = peak_rss_mb(daemon.pid())?;
    daemon.sigterm()?;
    daemon.wait_exit(STOP)?;
    let verdict = verify::read_back(&stand.kafka.bootstrap(), &relay.topic, segment.rows)?;
    verdict.ensure_right(&format!("{} {}", segment.schema, variant.describe()))?;
    stand.delete_topic(&relay.topic)?;
    judge(&samples, before, segment.rows, peak_rss_mb)
}

fn watch(
    daemon: &mut Daemon,
    started: Instant,
    visible: &Visible,
    [broker, mysqld]: [u32; 2],
    rows: u64,
) -> Result<Vec<Sample>> {
    let mut samples: Vec<Sample> = Vec::new();
    loop {
        if let Some(status) = daemon.exited()? {
            return Err(format!("outboxd ended ({status}):\n{}", daemon.lines().join("\n")).into());
        }
        let offsets = visible.offsets()?;
        let at = started.elapsed().as_secs_f64();
        // Only growth is kept: the last sample then is the end, with the CPU used up to there.
        if samples.last().map_or(0, |last| last.offsets) < offsets {
            let cpu = [cpu_seconds(daemon.pid())?, cpu_seconds(broker)?, cpu_seconds(mysqld)?, machine_busy_seconds()?];
            samples.push(Sample { at, offsets, cpu });
        }
        let quiet = at - samples.last().map_or(0.0, |last| last.at);
        if samples.last().is_some_and(|last| last.offsets >= rows) && quiet > SETTLE.as_secs_f64() {
            return Ok(samples);
        }
        if quiet > STALL.as_secs_f64() {
            return Err(format!("outboxd stalls:\n{}", daemon.lines().join("\n")).into());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn judge(samples: &[Sample], before: [f64; 4], rows: u64, peak_rss_mb: f64) -> Result<Drained> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Err("no samples".into()) };
    let rows = rows as f64;
    // Markers are spread evenly enough over a run to be taken out by proportion.
    let rows_between = rows * (last.offsets - first.offsets) as f64 / last.offsets as f64;
    let used = |i: usize| last.cpu[i] - before[i];
    let per_million = |i: usize| used(i) / rows * 1e6;
    Ok(Drained {
        rows_per_second: if samples.len() > 1 { rows_between / (last.at - first.at) } else { rows / last.at },
        rows_per_second_with_start: rows / last.at,
        first_visible_seconds: first.at,
        relay_cpu: per_million(0),
        broker_cpu: per_million(1),
        mysqld_cpu: per_million(2),
        peak_rss_mb,
        others_cores: ((used(3) - used(0) - used(1) - used(2)) / last.at).max(0.0),
    })
}
