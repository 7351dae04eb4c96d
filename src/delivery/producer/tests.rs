use super::*;
use crate::config::{Sources, load};

fn config() -> Config {
    let set = [
        "name=orders",
        "source.host=localhost",
        "source.user=outboxd",
        "source.password_env=PASSWORD",
        "kafka.brokers=localhost:9092",
        "outbox.first.table=fx.outbox",
    ];
    let env = vec![("PASSWORD".to_owned(), "x".to_owned())];
    load(&Sources { file: None, env, set: set.map(str::to_owned).to_vec() }).unwrap().config
}

#[test]
fn a_commit_may_take_as_long_as_a_transaction() {
    let timeout = |config: &Config| commit_timeout(&client_config(config, Some("id")));
    let mut config = config();
    assert_eq!(timeout(&config), TRANSACTION_TIMEOUT);
    config.kafka.librdkafka.extend([(TIMEOUT.to_owned(), "30000".to_owned())]);
    assert_eq!(timeout(&config), Duration::from_secs(30));
}
