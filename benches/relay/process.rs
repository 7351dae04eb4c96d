//! CPU time and memory as the kernel counts them.

use std::fs;

use crate::Result;

/// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Rust's standard library supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, all its threads, user and system.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in the second field may hold anything but a last ')'.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no process name in /proc/PID/stat")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The same of several.
pub(crate) fn cpu_seconds_of<const N: usize>(pids: [u32; N]) -> Result<[f64; N]> {
    let mut seconds = [0.0; N];
    for (pid, seconds) in pids.into_iter().zip(&mut seconds) {
        *seconds = cpu_seconds(pid)?;
    }
    Ok(seconds)
}

/// Peak resident memory of a process, MB.
pub(crate) fn peak_rss_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// CPU seconds that the machine has spent so far on anything, all cores.
pub(crate) fn machine_busy_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("/proc/stat is empty")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    // user nice system idle iowait irq softirq steal; what follows is part of user and nice.
    let busy: f64 = ticks.iter().take(8).sum::<f64>() - ticks.iter().skip(3).take(2).sum::<f64>();
    Ok(busy / TICKS_PER_SECOND)
}
