//! Loopback ports for servers that must come back on the same port after a restart.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::cache;

/// Below the range from which the kernel takes the source ports of outgoing connections: while a server is
/// down, a client that keeps trying could otherwise be given the server's port and connect to itself.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

static CLAIMED: Mutex<Option<HashMap<u16, File>>> = Mutex::new(None);

/// A port that nobody listens on and that no other process of the testbed was given while this one lives.
pub fn free() -> Result<u16> {
    let folder = cache::run_folder()?.join("ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    let claimed = claimed.get_or_insert_default();
    let start = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    for step in 0..COUNT {
        let port = FIRST + (u16::try_from(start)? + step) % COUNT;
        if claimed.contains_key(&port) || !is_free(port) {
            continue;
        }
        let path = folder.join(port.to_string());
        let lock = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        if lock.try_lock().is_ok() {
            claimed.insert(port, lock);
            return Ok(port);
        }
    }
    bail!("no free loopback port from {FIRST} on");
}

/// Whether nobody listens on `port` of the loopback interface.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
