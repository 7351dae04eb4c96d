//! A configuration for the tests of other modules.

use super::{Config, Sources, load};

/// Names a relay, a server and a broker; `set` names the outboxes at least, as `--set` does.
pub(crate) fn config(set: &[&str]) -> Config {
    let base = [
        "name=orders",
        "source.host=localhost",
        "source.user=outboxd",
        "source.password_env=PASSWORD",
        "kafka.brokers=localhost:9092",
    ];
    let env = vec![("PASSWORD".to_owned(), "x".to_owned())];
    let set = base.iter().chain(set).map(|text| (*text).to_owned()).collect();
    load(&Sources { file: None, env, set }).unwrap().config
}
