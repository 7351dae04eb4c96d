//! The memory that a process holds, as the kernel counts it.

pub(crate) fn resident_kb(pid: u32) -> u64 {
    memory_kb(pid, "VmRSS:")
}

/// The most that it has held.
pub(crate) fn peak_kb(pid: u32) -> u64 {
    memory_kb(pid, "VmHWM:")
}

fn memory_kb(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
