//! A release build cannot be told to kill itself: it knows neither the variable nor a place.

use std::path::Path;

use crate::support::BINARY;

/// The variable, what is logged at a place, and names that stand nowhere else.
const TRACES: [&str; 5] =
    ["OUTBOXD_FAILPOINT", "failpoint ", "rewind_event_seen", "checkpoint_read_partial", "fde_seen"];

fn holds(binary: &Path, trace: &str) -> bool {
    let binary = std::fs::read(binary).unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    binary.windows(trace.len()).any(|window| window == trace.as_bytes())
}

/// So the search finds what it looks for.
#[cfg(feature = "failpoints")]
#[test]
fn a_build_with_the_feature_holds_failpoints() {
    assert_eq!(TRACES.map(|trace| holds(Path::new(BINARY), trace)), [true; 5]);
}

#[test]
#[ignore = "make test-crash: needs the release build"]
fn a_release_build_holds_no_failpoint() {
    let release = Path::new(BINARY).parent().and_then(Path::parent).unwrap().join("release/outboxd");
    assert_eq!(TRACES.map(|trace| holds(&release, trace)), [false; 5]);
}
