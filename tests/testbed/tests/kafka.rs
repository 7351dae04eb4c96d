//! What a foreign producer wrote is read back exactly; a cluster survives a crash of a node.

use std::time::{Duration, Instant};

use anyhow::Result;
use testbed::{Isolation, Kafka, KafkaOptions, Observed, Observer};

const TOPIC: &str = "out.box";
const PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";

fn produce(kafka: &Kafka, lines: &str) -> Result<()> {
    let bootstrap = kafka.bootstrap();
    kafka
        .tool(PRODUCER, ["--bootstrap-server", &bootstrap, "--topic", TOPIC])
        .args(["--reader-property", "parse.headers=true"])
        .args(["--reader-property", "parse.key=true"])
        .args(["--reader-property", "null.marker=NULL"])
        // its own defaults give up before a dead leader is replaced
        .args(["--message-send-max-retries=100", "--request-timeout-ms=30000"])
        .run_with(lines)?;
    Ok(())
}

/// Ends with the marker of a transaction, which consumers do not show.
fn produce_transactions(kafka: &Kafka, count: usize) -> Result<()> {
    kafka
        .tool(PERFORMANCE, ["--topic", TOPIC, "--record-size=10", "--throughput=-1"])
        .args(["--bootstrap-server", &kafka.bootstrap()])
        .args(["--transactional-id=tx", "--transaction-duration-ms=1"])
        .arg(format!("--num-records={count}"))
        .run()?;
    Ok(())
}

fn text(bytes: Option<&Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

#[test]
fn one_broker() -> Result<()> {
    let mut kafka = Kafka::start(KafkaOptions::default())?;
    kafka.create_topic(TOPIC, 1, &[("cleanup.policy", "delete")])?;
    kafka.alter_configs(TOPIC, &[("max.message.bytes", "12345"), ("retention.ms", "-1")])?;
    let description = kafka.describe_topic(TOPIC)?;
    assert!(description.contains("max.message.bytes=12345"), "{description}");
    assert!(description.contains("cleanup.policy=delete"), "{description}");
    assert_eq!(kafka.topics()?, [TOPIC]);

    produce(&kafka, "id:1,kind:a\tkey\tvälue \\ with, : and \\x41\nNULL\tNULL\tno key\nid:NULL\tk\tNULL\n")?;
    let observer = Observer::start(&kafka, &[TOPIC], Isolation::ReadCommitted)?;
    let streamed = observer.read_until(3, Duration::from_secs(30))?;
    let seen = Observer::read_all(&kafka, &[TOPIC], Isolation::ReadCommitted)?;
    assert_eq!(streamed, seen);
    assert_eq!(kafka.end_offsets(TOPIC)?, [3]);
    let [full, no_key, tombstone]: [Observed; 3] = seen.try_into().expect("three records");
    assert_eq!((full.header("id"), full.header("kind")), (Some("1"), Some("a")));
    assert_eq!(text(full.key.as_ref()).as_deref(), Some("key"));
    assert_eq!(text(full.value.as_ref()).as_deref(), Some("välue \\ with, : and \\x41"));
    assert!(full.timestamp.is_some());
    assert_eq!((no_key.key, no_key.headers.len(), no_key.offset), (None, 0, 1));
    assert_eq!(tombstone.value, None);
    assert_eq!(tombstone.headers, [("id".to_owned(), None)]);

    produce_transactions(&kafka, 5)?;
    assert!(kafka.end_offsets(TOPIC)?[0] > 8, "there are markers");
    let start = Instant::now();
    let seen = Observer::read_all(&kafka, &[TOPIC], Isolation::ReadCommitted)?;
    assert_eq!(seen.len(), 8);
    assert!(start.elapsed() < Duration::from_secs(15), "the end was not recognised");

    kafka.kill9(0)?;
    kafka.start_node(0)?;
    assert_eq!(Observer::read_all(&kafka, &[TOPIC], Isolation::ReadUncommitted)?.len(), 8);
    kafka.delete_topic(TOPIC)?;
    kafka.stop(0)?;
    Ok(())
}

#[test]
fn three_brokers() -> Result<()> {
    let mut kafka = Kafka::start(KafkaOptions {
        brokers: 3,
        // so that the killed leader is replaced sooner
        properties: vec![("broker.session.timeout.ms".to_owned(), "3000".to_owned())],
        ..KafkaOptions::default()
    })?;
    kafka.create_topic(TOPIC, 2, &[])?;
    kafka.kill9(2)?;
    produce(&kafka, "NULL\tk\tv\n")?;
    kafka.start_node(2)?;
    assert_eq!(Observer::read_all(&kafka, &[TOPIC], Isolation::ReadCommitted)?.len(), 1);
    Ok(())
}
