use super::*;
use crate::config::testing;

#[test]
fn a_commit_may_take_as_long_as_a_transaction() {
    let timeout = |config: &Config| commit_timeout(&client_config(config, Some("id")));
    let mut config = testing::config(&["outbox.first.table=fx.outbox"]);
    assert_eq!(timeout(&config), TRANSACTION_TIMEOUT);
    config.kafka.librdkafka.extend([(TIMEOUT.to_owned(), "30000".to_owned())]);
    assert_eq!(timeout(&config), Duration::from_secs(30));
}
