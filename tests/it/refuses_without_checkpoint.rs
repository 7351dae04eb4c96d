//! A relay whose checkpoint is gone does not guess where to begin.

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use testbed::{shared, wait};

use crate::support::{Outbox, PATIENCE};

/// Records of others in each partition.
const OTHERS: i32 = 100;

#[test]
fn a_relay_that_has_published_refuses_to_start_without_its_checkpoint() {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new("no_checkpoint", &servers.mysql, &servers.kafka);
    outbox.extra = "kafka.checkpoint_topic = \"no_checkpoint.positions\"\n".to_owned();
    let mut relay = outbox.stream();
    outbox.insert("1", "Order", "order-1", "{}");
    outbox.wait_delivered(1);
    relay.sigterm().unwrap();
    assert!(relay.wait_exit(PATIENCE).unwrap().success());
    // What others wrote to the same topic since hides it only from a short look.
    let (topic, mut others) = (outbox.topic("Order"), ClientConfig::new());
    let others: BaseProducer = others.set("bootstrap.servers", servers.kafka.bootstrap()).create().unwrap();
    for number in 0..3 * OTHERS {
        let record = BaseRecord::<str, str>::to(&topic).partition(number % 3).payload("x");
        others.send(record).map_err(|(error, _)| error).unwrap();
    }
    others.flush(PATIENCE).unwrap();
    servers.kafka.delete_topic("no_checkpoint.positions").unwrap();
    wait::until(PATIENCE, "the topic is gone", || {
        !servers.kafka.topics().unwrap().iter().any(|topic| topic == "no_checkpoint.positions")
    })
    .unwrap();

    let mut refused = outbox.start();
    let status = refused.wait_exit(PATIENCE).unwrap();
    let log = refused.lines().join("\n");
    assert_eq!(status.code(), Some(65), "{log}");
    assert!(log.contains("OBX-4302") && log.contains("outboxd run --first-start"), "{log}");
    assert_eq!(outbox.sorted_ids(), ["1"]);

    // The operator decides: source.start is "now", so the relay goes on with what comes.
    let _relay = outbox.start_with(&["--first-start"]);
    outbox.wait_ready();
    outbox.insert("2", "Order", "order-1", "{}");
    outbox.wait_delivered(1);
    assert_eq!(outbox.sorted_ids(), ["1", "2"]);
}
