//! Ctrl-C in the middle of the show: the servers stop and their folders go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// As shells count it.
pub(crate) const STATUS: u8 = 130;

/// For tidying up; then the process just ends, and the kernel ends the servers.
const PATIENCE: Duration = Duration::from_secs(10);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether somebody asked for the end.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// An error once somebody did, so that `?` leads out of any loop.
pub(crate) fn ensure_not_asked() -> Result<()> {
    if asked() {
        bail!("interrupted");
    }
    Ok(())
}

/// From now on signals only ask; the second one, or ten seconds, end the process.
pub(crate) fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catching signals")?;
    std::thread::spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        ASKED.store(true, Ordering::Relaxed);
        std::thread::spawn(move || {
            std::thread::park_timeout(PATIENCE);
            std::process::exit(i32::from(STATUS));
        });
        signals.forever().next();
        std::process::exit(i32::from(STATUS));
    });
    Ok(())
}
