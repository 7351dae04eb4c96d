//! A run that ends takes its clients, threads, connections and memory along: a relay that begins anew for ever stays as
//! small as it was.

use testbed::{shared, wait};

use crate::support::proc::resident_kb;
use crate::support::{Outbox, PATIENCE, proof};

/// Runs before the first look: by then every pool has its size.
const WARM_UP: usize = 50;

/// What RSS may grow by over all further runs, kB: far less than a client each.
const GROWTH_KB: u64 = 16 * 1024;

/// Threads and descriptors come and go with clients that are being closed.
const FLUCTUATION: usize = 24;

/// What a process holds.
#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
    resident_kb: u64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let entries = |folder: &str| std::fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().count();
        Self { descriptors: entries("fd"), threads: entries("task"), resident_kb: resident_kb(pid) }
    }
}

#[test]
#[ignore = "make test-crash"]
fn a_thousand_runs_leave_no_descriptor_thread_or_memory_behind() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("leaks", &servers.mysql, &servers.kafka);
    let runs = proof::incarnations();
    // Each run ends behind a commit, so that the next one begins without a longer pause.
    let errors = vec!["position_advanced=error"; runs].join(",");
    let relay = outbox.start_armed(&[], Some(&errors));
    outbox.wait_ready();
    let ended = || relay.lines().iter().filter(|line| line.contains("starting another one")).count();
    let mut inserted = 0;
    let mut until = |runs: usize| {
        while ended() < runs {
            outbox.insert(&format!("r-{inserted}"), "Order", "1", "{}");
            inserted += 1;
            let before = ended();
            wait::until(PATIENCE, "the next run ends", || ended() > before).unwrap();
        }
        outbox.wait_ready();
        inserted
    };
    until(WARM_UP);
    let before = Usage::of(relay.pid());
    let inserted = until(runs);
    let after = Usage::of(relay.pid());
    println!("{runs} runs: {before:?} after {WARM_UP}, {after:?} at the end");
    assert!(after.descriptors <= before.descriptors + FLUCTUATION, "{before:?}, {after:?}");
    assert!(after.threads <= before.threads + FLUCTUATION, "{before:?}, {after:?}");
    assert!(after.resident_kb <= before.resident_kb + GROWTH_KB, "{before:?}, {after:?}");
    assert_eq!(outbox.records().len(), inserted);
}
