//! The dependency rule, kept by a test: a stage of the data flow uses earlier stages only, and only the relay sees all.
//!
//! The rule is the table [`MAY_USE`]. It is read against every `crate::` path of the sources, tests excepted. An edge
//! against the flow needs a reason beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module and the modules that it may name, in the order of the flow. `a::b` allows that part of `a` alone.
const MAY_USE: &[(&str, &[&str])] = &[
    // The flow: position ← binlog ← outbox ← record ← checkpoint ← batch ← delivery.
    ("position", &[]),
    ("binlog", &["position", "config", "findings", "error"]),
    ("outbox", &["position", "binlog", "failpoint", "config", "error"]),
    ("record", &["position", "binlog", "outbox", "config", "error"]),
    (
        "checkpoint",
        &[
            "position",
            // What a checkpoint stores of the source: the terminator's fingerprint, and what history wants to know.
            "binlog::event",
            "binlog::history",
            // The source transaction that it ends within.
            "binlog::begun",
            // Distributed transactions that were undecided there.
            "binlog::xa",
            // The checkpoint's partition is chosen as any other key's is.
            "record::partition",
            "failpoint",
            "kafka",
            "telemetry",
            "config",
            "error",
        ],
    ),
    // A batch carries the step of the checkpoint that covers exactly its rows (I2).
    ("batch", &["position", "binlog::begun", "binlog::event", "outbox", "record", "checkpoint"]),
    (
        "delivery",
        &[
            "position",
            // The search for records of this source asks which GTIDs the server has.
            "binlog::server",
            "record",
            "checkpoint",
            "batch",
            "channel",
            "failpoint",
            "findings",
            "kafka",
            "telemetry",
            "config",
            "error",
        ],
    ),
    // What serves the flow. It knows no stage but positions, which it shows or parses.
    ("error", &[]),
    ("backoff", &[]),
    ("channel", &[]),
    ("failpoint", &["error"]),
    ("findings", &["error"]),
    ("shutdown", &["error"]),
    ("config", &["position", "error"]),
    ("telemetry", &["position", "channel", "config", "error"]),
    ("kafka", &["telemetry", "config", "error"]),
    // It knows the checkpoint's place only, which the relay tells it.
    ("standby", &["kafka", "telemetry", "shutdown", "config", "error"]),
    ("admin", &["telemetry", "error"]),
];

/// The composition root: the one module that may name every other.
const ROOT: &str = "relay";

/// What the program may name of the library: it starts the relay and wires nothing.
const PROGRAM_MAY_USE: &[&str] = &["config", "error", "findings", "relay", "shutdown", "telemetry"];

fn sources() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            match path.is_dir() {
                true if name != "tests" => folders.push(path),
                false if !matches!(name, "tests" | "docs" | "architecture" | "mutants" | "lib") => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// The first folder or file below `src`: the module that a file belongs to.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Paths that begin with `root::`, as their first two parts; comments and the file's own tests left out. A group in
/// braces must stand on one line.
fn named_in(text: &str, root: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let start = format!("{root}::");
    let mut found = BTreeSet::new();
    for line in lines {
        for (at, _) in line.match_indices(&start) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                continue;
            }
            let rest = &line[at + start.len()..];
            let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or_default());
            let paths = group.map_or_else(|| vec![rest], |group| group.split(',').map(str::trim).collect());
            for path in paths {
                let path = path.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')).next();
                found.insert(path.unwrap_or_default().split("::").take(2).collect::<Vec<_>>().join("::"));
            }
        }
    }
    found
}

/// Whether `path` (`a::b`) is allowed by `a` or by `a::b`.
fn is_allowed(allowed: &[&str], path: &str) -> bool {
    allowed.iter().any(|entry| *entry == path || path.split("::").next() == Some(entry))
}

#[test]
fn stages_use_only_earlier_ones() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources() {
        let module = module_of(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let (root, allowed) = match module.as_str() {
            ROOT => continue,
            "cli" | "main" => ("outboxd", PROGRAM_MAY_USE),
            _ => match MAY_USE.iter().find(|(name, _)| *name == module) {
                Some((_, allowed)) => ("crate", *allowed),
                None => panic!("{} belongs to no module of the table in src/architecture.rs", path.display()),
            },
        };
        seen.insert(module.clone());
        for named in named_in(&text, root) {
            let own = named.split("::").next() == Some(module.as_str());
            if !own && !is_allowed(allowed, &named) {
                wrong.push(format!("{}: {root}::{named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the flow, see src/architecture.rs:\n{}", wrong.join("\n"));
    for (module, _) in MAY_USE {
        assert!(seen.contains(*module), "the table names {module}, which does not exist");
    }
}

/// The table itself has no way round: each module uses only those whose own uses never lead back to it.
#[test]
fn the_table_has_no_circle() {
    fn uses(module: &str) -> impl Iterator<Item = &'static str> {
        let row = MAY_USE.iter().find(|(name, _)| *name == module);
        row.map_or(&[][..], |(_, used)| used).iter().map(|used| used.split("::").next().unwrap_or(used))
    }
    for (module, _) in MAY_USE {
        let mut open: Vec<_> = uses(module).collect();
        let mut known = BTreeSet::new();
        while let Some(next) = open.pop() {
            assert_ne!(next, *module, "{module} leads back to itself");
            if known.insert(next) {
                open.extend(uses(next));
            }
        }
    }
}

/// A task needs an owner and a policy: these files start one, no others.
#[test]
fn tasks_are_started_where_they_are_owned() {
    const OWNERS: &[&str] = &["relay.rs", "relay/supervise.rs", "shutdown.rs", "admin/connections.rs", "kafka.rs"];
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let starts = ["tokio::spawn(", "spawn_blocking(", "thread::spawn(", "connections.spawn("];
        let owner = OWNERS.iter().any(|owner| path.ends_with(owner));
        assert!(owner || !starts.iter().any(|start| code.contains(start)), "{} starts a task", path.display());
    }
}
