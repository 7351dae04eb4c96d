//! A build without the feature `failpoints` cannot be told to kill itself: it knows neither the variable nor a place. `make
//! test` builds with the feature, `make test-crash` without it, too.

use crate::support::BINARY;

/// The variable, what is logged at a place, and names that stand nowhere else.
const TRACES: [&str; 5] =
    ["OUTBOXD_FAILPOINT", "failpoint ", "rewind_event_seen", "checkpoint_read_partial", "fde_seen"];

#[test]
fn only_a_build_with_the_feature_holds_failpoints() {
    let binary = std::fs::read(BINARY).unwrap();
    for trace in TRACES {
        let found = binary.windows(trace.len()).any(|window| window == trace.as_bytes());
        assert_eq!(found, cfg!(feature = "failpoints"), "{trace}");
    }
}
