//! A build without the feature `failpoints` cannot be told to kill itself: it does not know the variable.

use crate::support::BINARY;

#[test]
fn only_a_build_with_the_feature_holds_failpoints() {
    let binary = std::fs::read(BINARY).unwrap();
    let variable = b"OUTBOXD_FAILPOINT";
    let found = binary.windows(variable.len()).any(|window| window == variable);
    assert_eq!(found, cfg!(feature = "failpoints"));
}
