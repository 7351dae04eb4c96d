//! The protocol under schedules of chance: relays that decide with the code of `delivery`, `checkpoint` and `relay`, a
//! broker with its two transactional ids, and a network that loses, delays and repeats. One thread, no clock, a seed.
//!
//! ```text
//! source ─▶ process (flight, chain, hold, classify, charge) ─▶ client ─▶ requests ─▶ broker ─▶ truth
//!             killed, stopped, failed, started twice                     lost, late, twice      judges every commit
//! ```
//!
//! A broken promise is printed with its seed; `OUTBOXD_SEED=… cargo test --lib simulation` runs that schedule alone.

mod around;
mod broker;
mod client;
mod process;
mod seen;
mod source;
mod truth;
mod world;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use seen::Seen;
use truth::Violation;
use world::{Stage, World};

/// Microseconds of simulated time.
type Micros = u64;
const MILLI: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// How long `make test` tries schedules of chance.
const SLICE: Duration = Duration::from_secs(4);

/// An instant is needed by the code that decides; only differences count.
fn instant(now: Micros) -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now) + Duration::from_micros(now)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn run(stage: &Stage, seed: u64) -> Seen {
    World::new(stage, seed).run().unwrap_or_else(|Violation(what)| panic!("OUTBOXD_SEED={seed}: {what}"))
}

/// Runs seeds from 0 on, as many as asked for on all cores, else for a while on one.
fn run_many(stage: &Stage, wanted: Option<u64>) -> Seen {
    let began = Instant::now();
    let Some(wanted) = wanted else {
        let mut seen = Seen::default();
        (0..).take_while(|_| began.elapsed() < SLICE).for_each(|seed| seen.add(run(stage, seed)));
        return seen;
    };
    let workers = std::thread::available_parallelism().unwrap().get() as u64;
    std::thread::scope(|scope| {
        let seeds = |worker: u64| (worker..wanted).step_by(usize::try_from(workers).unwrap());
        let work = move |worker| {
            let mut seen = Seen::default();
            seeds(worker).for_each(|seed| seen.add(run(stage, seed)));
            seen
        };
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        let mut seen = Seen::default();
        all.into_iter().for_each(|worker| seen.add(worker.join().unwrap()));
        seen
    })
}

#[test]
fn no_schedule_breaks_a_promise() {
    let stage = Stage::new();
    if let Some(seed) = number("OUTBOXD_SEED") {
        println!("{:?}", run(&stage, seed));
        return;
    }
    let began = Instant::now();
    let mut seen = run_many(&stage, number("OUTBOXD_SCHEDULES"));
    println!("simulation: seeds from 0, {:?}: {seen:?}", began.elapsed());
    // Schedules in which nothing happens would prove nothing.
    assert!(seen.all_occurred(), "{seen:?}");
}
