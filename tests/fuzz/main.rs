//! Any input is answered by a value or an error: no panic, no hang, no memory beyond a multiple of the input.
//!
//! Inputs are recorded from real servers (`tests/fixtures/binlog`, `seeds/`) and damaged at random, again and again, for
//! `OUTBOXD_FUZZ_SECONDS` a target (`make fuzz SECONDS=…`; 60 in `make test`, a few without it). `OUTBOXD_FUZZ_SEED` repeats a run.
//! Every sound input, and every one in `regressions/`, is replayed first.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock};
use std::time::{Duration, Instant};

use cap::Cap;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

mod damage;
mod seeds;
mod targets;

/// Refuses what is beyond the limit of one input; the process then aborts.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// One target at a time: the memory is counted for the process.
static TURN: Mutex<()> = Mutex::new(());

/// What a byte of an input may cost, and what an empty input may.
const BYTES_FOR_A_BYTE: usize = 2_000;
const BYTES_AT_LEAST: usize = 16 << 20;

/// No input is that slow, on the slowest machine.
const HANG: Duration = Duration::from_secs(20);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs one target: first what is sound or was wrong once, then damaged inputs until the time is over.
fn fuzz(name: &'static str, seeds: Vec<Vec<u8>>, run: fn(&[u8])) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(seeds.len() > 1, "{name} has no seeds");
    let seed = setting("OUTBOXD_FUZZ_SEED").unwrap_or_else(|| rand::rng().random());
    let time = Duration::from_secs(setting("OUTBOXD_FUZZ_SECONDS").unwrap_or(3));
    println!("{name}: OUTBOXD_FUZZ_SEED={seed}, {} seeds, {} s", seeds.len(), time.as_secs());
    watch();
    for input in seeds.iter().cloned().chain(regressions(name)) {
        attempt(name, seed, &input, run);
    }
    let mut random = StdRng::seed_from_u64(seed);
    let (start, mut inputs) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        let input = damage::damaged(&seeds, &mut random);
        attempt(name, seed, &input, run);
        inputs += 1;
    }
    println!("{name}: {inputs} inputs");
    assert!(inputs > 100 * time.as_secs(), "{name} is too slow to tell anything");
}

fn attempt(name: &str, seed: u64, input: &[u8], run: fn(&[u8])) {
    STARTED.store(now(), Ordering::Relaxed);
    MEMORY.set_limit(MEMORY.allocated() + BYTES_AT_LEAST + input.len() * BYTES_FOR_A_BYTE).unwrap();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input)));
    MEMORY.set_limit(usize::MAX).unwrap();
    STARTED.store(0, Ordering::Relaxed);
    if outcome.is_err() && !DRIVERS.swap(false, Ordering::Relaxed) {
        let path = folder().join("regressions").join(name).join(format!("{seed:x}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, input).unwrap();
        panic!("{name}: the input is kept as {}", path.display());
    }
}

/// The driver panics on some events whose checksum is right and whose content is not. That is not ours to mend: the relay
/// takes a panic of the reading task for a lost connection and starts a new run.
const DRIVER: &str = "/mysql_common-";

/// Whether the last panic was the driver's.
static DRIVERS: AtomicBool = AtomicBool::new(false);

/// Milliseconds of the clock when the input in hand began; 0 between targets.
static STARTED: AtomicU64 = AtomicU64::new(0);

fn now() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(ORIGIN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX) + 1
}

/// Ends the process if an input takes for ever; and lets a panic tell its story, which takes more memory than an input may.
fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let _ = MEMORY.set_limit(usize::MAX);
            let is_drivers = info.location().is_some_and(|at| at.file().contains(DRIVER));
            DRIVERS.store(is_drivers, Ordering::Relaxed);
            if !is_drivers {
                tell(info);
            }
        }));
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let started = STARTED.load(Ordering::Relaxed);
                if started > 0 && now().saturating_sub(started) > u64::try_from(HANG.as_millis()).unwrap() {
                    eprintln!("an input hangs; the seed of its target was printed last");
                    std::process::exit(1);
                }
            }
        });
    });
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// Inputs that were answered wrongly once.
fn regressions(name: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder().join("regressions").join(name));
    entries.into_iter().flatten().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn table_maps() {
    fuzz("table_map", seeds::table_maps(), targets::table_map);
}

#[test]
fn rows() {
    fuzz("rows", seeds::rows(), targets::rows);
}

#[test]
fn jsonb() {
    fuzz("jsonb", seeds::documents(), targets::jsonb);
}

#[test]
fn groups_and_compressed_payloads() {
    fuzz("groups", seeds::groups(), targets::groups);
}

#[test]
fn gtid_sets() {
    fuzz("gtid_set", seeds::gtid_sets(), targets::gtid_set);
}

#[test]
fn checkpoints() {
    fuzz("checkpoint", seeds::checkpoints(), targets::checkpoint);
}
