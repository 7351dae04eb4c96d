//! Nothing that the testbed starts outlives it, however it ends.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use testbed::{Daemon, wait};

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// Starts `testbed up`; the process ids of its servers.
fn up() -> Result<(Daemon, Vec<u32>)> {
    started(Daemon::start(TESTBED, ["up"])?)
}

fn started(mut testbed: Daemon) -> Result<(Daemon, Vec<u32>)> {
    testbed.wait_for_line("Ctrl-C", Duration::from_secs(120))?;
    let line = testbed.wait_for_line("processes ", Duration::ZERO)?;
    let pids = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok((testbed, pids))
}

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_until_gone(pids: &[u32]) -> Result<()> {
    wait::until(Duration::from_secs(10), "the servers to be gone", || !pids.iter().any(|pid| lives(*pid)))
}

#[test]
fn servers_end_with_the_harness() -> Result<()> {
    let (mut testbed, pids) = up()?;
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| lives(*pid)));
    testbed.kill9()?;
    wait_until_gone(&pids)?;

    let (mut testbed, pids) = up()?;
    let folder = testbed.wait_for_line("socket ", Duration::ZERO)?;
    let folder = Path::new(&folder["socket ".len()..]).parent().context("the socket's folder")?.to_owned();
    assert!(folder.exists());
    testbed.sigint()?;
    assert!(testbed.wait_exit(Duration::from_secs(60))?.success());
    wait_until_gone(&pids)?;
    assert!(!folder.exists());
    Ok(())
}

/// As when `cargo test` is killed, but not what it runs.
#[test]
fn the_harness_ends_with_the_cargo_that_runs_it() -> Result<()> {
    // A second command, so that the shell does not make room for the first.
    let (mut cargo, pids) = started(Daemon::start("sh", ["-c", &format!("{TESTBED} up; true")])?)?;
    assert!(pids.iter().all(|pid| lives(*pid)));
    cargo.kill9()?;
    wait_until_gone(&pids)
}
