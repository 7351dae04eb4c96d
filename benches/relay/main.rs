//! The relay between a real MySQL and a real Kafka: rows a second, CPU, memory, latency, and the ceilings to compare
//! with. `docs/performance.md` says how it measures and what the figures mean.

use std::process::ExitCode;

use clap::Parser;

mod ceiling;
mod drain;
mod figures;
mod latency;
mod options;
mod process;
mod relay;
mod report;
mod rows;
mod stand;
mod verify;
mod visible;

use ceiling::{Ceiling, Ceilings};
use options::{Options, Part};
use relay::Variant;
use report::{Case, Measured};
use stand::{Load, Segment, Stand};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The relay's own, for the ceilings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The ones to compare with ceilings and peers: a header `id`, no other.
const EXACTLY_ONCE: Variant = Variant { exactly_once: true, source_header: false };
const AT_LEAST_ONCE: Variant = Variant { exactly_once: false, source_header: false };
/// The relay's default.
const WITH_SOURCE_HEADER: Variant = Variant { exactly_once: true, source_header: true };

const PLAIN: Load = Load { schema: "w1", per_transaction: 25, foreign: 0, compressed: false };

fn main() -> ExitCode {
    match bench(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    println!("{}", report::facts()?);
    if options.wants_backlogs() {
        backlogs(options, &Stand::start()?)?;
    }
    if options.wants(Part::W7) {
        // Servers of its own: what gigabytes of backlogs leave behind in them is not what it measures.
        latencies(options, &Stand::start()?)?;
    }
    Ok(())
}

fn backlogs(options: &Options, stand: &Stand) -> Result<()> {
    let mut measured = Measured::default();
    if options.wants(Part::W1) || options.wants(Part::Ceilings) {
        (measured.w1, measured.producers) = first_workload(options, stand)?;
    }
    if options.wants(Part::W2) {
        let load = Load { schema: "w2", per_transaction: 1, ..PLAIN };
        measured.w2 = workload(options, stand, load, 200_000, "W2: one row a source transaction")?;
    }
    if options.wants(Part::W3) {
        let load = Load { schema: "w3", foreign: report::FOREIGN, ..PLAIN };
        measured.w3 = workload(options, stand, load, 500_000, "W3: nine of ten rows belong to another table")?;
    }
    if options.wants(Part::W6) {
        let load = Load { schema: "w6", compressed: true, ..PLAIN };
        workload(options, stand, load, 500_000, "W6: compressed transactions")?;
    }
    if options.wants(Part::W13) {
        let load = Load { schema: "w13", per_transaction: usize::MAX, ..PLAIN };
        workload(options, stand, load, 2_000_000, "W13: one source transaction (rows/s: see with start)")?;
    }
    report::ratios(&measured);
    Ok(())
}

/// A workload without ceilings.
fn workload(options: &Options, stand: &Stand, load: Load, usual: u64, title: &str) -> Result<Vec<Case>> {
    let segment = stand.load(load, options.rows_or(usual))?;
    warm_up(options, stand, &segment)?;
    let mut measured = cases(&[EXACTLY_ONCE, AT_LEAST_ONCE]);
    for round in 0..options.rounds {
        drain_all(options, stand, &segment, &mut measured, round)?;
    }
    report::bulk(title, segment.rows, &measured);
    Ok(measured)
}

/// W1 and the ceilings share rows and rounds, so that their ratios are of the same minutes.
fn first_workload(options: &Options, stand: &Stand) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let segment = stand.load(PLAIN, options.rows_or(500_000))?;
    warm_up(options, stand, &segment)?;
    let wanted: &[Variant] =
        if options.wants(Part::W1) { &[EXACTLY_ONCE, AT_LEAST_ONCE, WITH_SOURCE_HEADER] } else { &[] };
    let mut w1 = cases(wanted);
    let ceilings = options.wants(Part::Ceilings).then(|| Ceilings::prepare(stand, &segment)).transpose()?;
    let (mut readers, mut producers) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        drain_all(options, stand, &segment, &mut w1, round)?;
        if let Some(ceilings) = &ceilings {
            readers.push(ceilings.reader(round)?);
            producers.push(ceilings.producer(round)?);
            eprintln!("ceilings, round {}", round + 1);
        }
    }
    if !w1.is_empty() {
        report::bulk("W1: 25 rows a source transaction", segment.rows, &w1);
    }
    if ceilings.is_some() {
        report::ceilings(&readers, &producers);
    }
    Ok((w1, producers))
}

/// A fresh broker compiles its code during the first runs, at the cost of these.
fn warm_up(options: &Options, stand: &Stand, segment: &Segment) -> Result<()> {
    for variant in [EXACTLY_ONCE, AT_LEAST_ONCE] {
        drain::run(stand, &options.outboxd, segment, variant, "warm-up")?;
    }
    eprintln!("{}: warmed up", segment.schema);
    Ok(())
}

fn cases(variants: &[Variant]) -> Vec<Case> {
    variants.iter().map(|variant| Case { variant: *variant, rounds: Vec::new() }).collect()
}

fn drain_all(options: &Options, stand: &Stand, segment: &Segment, cases: &mut [Case], round: u32) -> Result<()> {
    for case in cases {
        let drained = drain::run(stand, &options.outboxd, segment, case.variant, &round.to_string())?;
        let what = format!("{} {}, round {}", segment.schema, case.variant.describe(), round + 1);
        eprintln!("{what}: {:.0} rows/s", drained.rows_per_second);
        case.rounds.push(drained);
    }
    Ok(())
}

fn latencies(options: &Options, stand: &Stand) -> Result<()> {
    let mut measured = [(EXACTLY_ONCE, Vec::new()), (AT_LEAST_ONCE, Vec::new())];
    // Small transactions at a fixed rate are other code of the broker than a backlog; round 0 lets it compile that.
    for round in 0..=options.rounds {
        for (variant, runs) in &mut measured {
            let seen = latency::run(stand, &options.outboxd, *variant, round, options.seconds)?;
            for run in &seen {
                eprintln!("W7 {}, round {round}: {run}", variant.describe());
            }
            if round > 0 {
                runs.extend(seen);
            }
        }
    }
    report::latencies(&measured, &latency::RATES);
    Ok(())
}
