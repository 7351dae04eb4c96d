//! Markdown, ready for `docs/performance.md`.

use std::time::SystemTime;

use rdkafka::util::get_rdkafka_version;
use testbed::cache::Servers;

use crate::Result;
use crate::ceiling::Ceiling;
use crate::drain::Drained;
use crate::figures::{Figures, Table};
use crate::latency::Latencies;
use crate::relay::Variant;

/// All rounds of one bulk case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) variant: Variant,
    pub(crate) rounds: Vec<Drained>,
}

impl Case {
    fn figures(&self, figure: impl Fn(&Drained) -> f64) -> Figures {
        self.rounds.iter().map(figure).collect()
    }

    fn speed(&self) -> Figures {
        self.figures(|run| run.rows_per_second)
    }
}

/// What is compared.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) w1: Vec<Case>,
    pub(crate) w2: Vec<Case>,
    pub(crate) w3: Vec<Case>,
    pub(crate) producers: Vec<Ceiling>,
}

/// Rows of the other table beside each outbox row in W3.
pub(crate) const FOREIGN: usize = 9;

/// Where and with what.
pub(crate) fn facts() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let cpu =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |c| c.1);
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let servers = Servers::find()?;
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    Ok(format!(
        "{date}: {cpu}, {cores} cores for everything; load average before the start {load}; MySQL {mysql}, \
         Kafka {kafka} (1 broker, 6 partitions), librdkafka {librdkafka}, outboxd {outboxd}.\n",
        date = &date[..10],
        load = load.split(' ').next().unwrap_or_default(),
        mysql = servers.mysql.version,
        kafka = servers.kafka_version,
        librdkafka = get_rdkafka_version().1,
        outboxd = env!("CARGO_PKG_VERSION"),
    ))
}

/// A bulk workload.
pub(crate) fn bulk(title: &str, rows: u64, cases: &[Case]) {
    println!(
        "### {title}\n\n{rows} rows, {} rounds: median (min–max). CPU in seconds per million rows.\n",
        rounds(cases)
    );
    let mut table = Table::new(&[
        "delivery",
        "rows/s",
        "rows/s with start",
        "start → first, s",
        "relay CPU",
        "broker CPU",
        "mysqld CPU",
        "peak RSS, MB",
        "other programs, cores",
    ]);
    for case in cases {
        table.row([
            case.variant.describe(),
            case.speed().thousands(),
            case.figures(|run| run.rows_per_second_with_start).thousands(),
            case.figures(|run| run.first_visible_seconds).show(1.0, 2),
            case.figures(|run| run.relay_cpu).show(1.0, 2),
            case.figures(|run| run.broker_cpu).show(1.0, 2),
            case.figures(|run| run.mysqld_cpu).show(1.0, 2),
            case.figures(|run| run.peak_rss_mb).show(1.0, 0),
            case.figures(|run| run.others_cores).show(1.0, 2),
        ]);
    }
    print!("{table}");
}

fn rounds(cases: &[Case]) -> usize {
    cases.first().map_or(0, |case| case.rounds.len())
}

/// Both ceilings.
pub(crate) fn ceilings(readers: &[Ceiling], producers: &[Ceiling]) {
    println!("### Ceilings on the rows of W1\n\nCPU in seconds per million rows.\n");
    let mut table = Table::new(&["ceiling", "rows/s", "CPU", "broker CPU", "mysqld CPU", "commit p50, ms"]);
    for (name, rounds) in [("reader without a sink", readers), ("producer from memory, exactly once", producers)] {
        let figures = |figure: fn(&Ceiling) -> f64| rounds.iter().map(figure).collect::<Figures>();
        table.row([
            name.to_owned(),
            figures(|c| c.rows_per_second).thousands(),
            figures(|c| c.cpu).show(1.0, 2),
            figures(|c| c.broker_cpu).show(1.0, 2),
            figures(|c| c.mysqld_cpu).show(1.0, 2),
            rounds.iter().filter_map(|c| c.commit_p50_ms).collect::<Figures>().show(1.0, 1),
        ]);
    }
    print!("{table}");
}

/// Ratios of medians within this run.
pub(crate) fn ratios(measured: &Measured) {
    let case = |cases: &[Case], exactly_once, figure: fn(&Case) -> Figures| {
        let wanted = Variant { exactly_once, source_header: false };
        cases.iter().find(|case| case.variant == wanted).and_then(|case| figure(case).median())
    };
    let Measured { w1, w2, w3, producers } = measured;
    let speed = |cases, exactly_once| case(cases, exactly_once, Case::speed);
    let cpu = |cases| case(cases, true, |case| case.figures(|run| run.relay_cpu));
    let producer = producers.iter().map(|c| c.rows_per_second).collect::<Figures>().median();
    let mut table = Table::new(&["ratio of rows/s", ""]);
    let mut ratio = |name: &str, above: Option<f64>, below: Option<f64>| {
        if let (Some(above), Some(below)) = (above, below) {
            table.row([name.to_owned(), format!("{:.2}", above / below)]);
        }
    };
    ratio("W1 exactly once ÷ producer from memory", speed(w1, true), producer);
    ratio("W1 exactly once ÷ at least once", speed(w1, true), speed(w1, false));
    ratio("W2 ÷ W1, exactly once", speed(w2, true), speed(w1, true));
    let foreign = cpu(w3).zip(cpu(w1)).map(|(with, without)| with - without);
    ratio("foreign rows a second of the relay's CPU (W3 − W1), millions", Some(FOREIGN as f64), foreign);
    print!("{table}");
}

/// All rounds of W7, by variant.
pub(crate) fn latencies(measured: &[(Variant, Vec<Latencies>)], rates: &[u64]) {
    println!(
        "### W7: latency of single-row transactions to a read_committed consumer, ms\n\nCPU in percent of a core.\n"
    );
    let mut table = Table::new(&[
        "delivery",
        "rows/s",
        "from",
        "p50",
        "p90",
        "p99",
        "max",
        "relay CPU",
        "broker CPU",
        "mysqld CPU",
    ]);
    for (variant, runs) in measured {
        for rate in rates {
            let runs: Vec<_> = runs.iter().filter(|run| run.rate == *rate).collect();
            for from in ["commit", "intended start"] {
                let histogram = |run: &&Latencies| {
                    if from == "commit" { run.from_commit.clone() } else { run.from_intended.clone() }
                };
                let quantile = |q: f64| {
                    let values = runs.iter().map(|run| histogram(run).value_at_quantile(q) as f64);
                    values.collect::<Figures>().show(1e3, 1)
                };
                let cpu =
                    [0, 1, 2].map(|n| runs.iter().map(|run| run.cpu_percent[n]).collect::<Figures>().show(1.0, 1));
                let quantiles = [0.5, 0.9, 0.99, 1.0].map(quantile);
                let lead = [variant.describe(), rate.to_string(), from.to_owned()];
                table.row(lead.into_iter().chain(quantiles).chain(cpu));
            }
        }
    }
    print!("{table}");
}
