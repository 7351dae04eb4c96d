//! Waiting for a condition: the only place of the testbed that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const INTERVAL: Duration = Duration::from_millis(10);

/// Polls `condition` until it is true; after `timeout` an error that names `what` was awaited.
pub fn until(timeout: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    until_some(timeout, what, || condition().then_some(()))
}

/// Polls `attempt` until it gives a value; after `timeout` an error that names `what` was awaited.
pub fn until_some<T>(timeout: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = attempt() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {timeout:?} in vain for {what}");
        }
        std::thread::sleep(INTERVAL);
    }
}
