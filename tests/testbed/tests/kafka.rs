//! What a foreign producer wrote is read back exactly; a cluster survives a crash of a node.

use std::time::Duration;

use anyhow::Result;
use testbed::{Isolation, Kafka, KafkaOptions, Observed, Observer};

const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";

fn produce(kafka: &Kafka, lines: &str) -> Result<()> {
    let bootstrap = kafka.bootstrap();
    kafka
        .tool(PRODUCER, ["--bootstrap-server", &bootstrap, "--topic", "t"])
        .args(["--reader-property", "parse.headers=true"])
        .args(["--reader-property", "parse.key=true"])
        .args(["--reader-property", "null.marker=NULL"])
        // its own defaults give up before a dead leader is replaced
        .args([
            "--message-send-max-retries=100",
            "--request-timeout-ms=30000",
        ])
        .run_with(lines)?;
    Ok(())
}

fn text(bytes: Option<&Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

#[test]
fn one_broker() -> Result<()> {
    let mut kafka = Kafka::start(KafkaOptions::default())?;
    kafka.create_topic("t", 1, &[("cleanup.policy", "delete")])?;
    kafka.alter_configs(
        "t",
        &[("max.message.bytes", "12345"), ("retention.ms", "-1")],
    )?;
    let description = kafka.describe_topic("t")?;
    assert!(
        description.contains("max.message.bytes=12345"),
        "{description}"
    );
    assert!(
        description.contains("cleanup.policy=delete"),
        "{description}"
    );
    assert_eq!(kafka.topics()?, ["t"]);

    produce(
        &kafka,
        "id:1,kind:a\tkey\tvälue \\ with, : and \\x41\nNULL\tNULL\tno key\nid:NULL\tk\tNULL\n",
    )?;
    let observer = Observer::start(&kafka, &["t"], Isolation::ReadCommitted)?;
    let streamed = observer.read_until(3, Duration::from_secs(30))?;
    let seen = Observer::read_all(&kafka, &["t"], Isolation::ReadCommitted)?;
    assert_eq!(streamed, seen);
    assert_eq!(kafka.end_offsets("t")?, [3]);
    let [full, no_key, tombstone]: [Observed; 3] = seen.try_into().expect("three records");
    assert_eq!(
        (full.header("id"), full.header("kind")),
        (Some("1"), Some("a"))
    );
    assert_eq!(text(full.key.as_ref()).as_deref(), Some("key"));
    assert_eq!(
        text(full.value.as_ref()).as_deref(),
        Some("välue \\ with, : and \\x41")
    );
    assert!(full.timestamp.is_some());
    assert_eq!(
        (no_key.key, no_key.headers.len(), no_key.offset),
        (None, 0, 1)
    );
    assert_eq!(tombstone.value, None);
    assert_eq!(tombstone.headers, [("id".to_owned(), None)]);

    kafka.kill9(0)?;
    kafka.start_node(0)?;
    assert_eq!(
        Observer::read_all(&kafka, &["t"], Isolation::ReadUncommitted)?.len(),
        3
    );
    kafka.delete_topic("t")?;
    kafka.stop(0)?;
    Ok(())
}

#[test]
fn three_brokers() -> Result<()> {
    let mut kafka = Kafka::start(KafkaOptions {
        brokers: 3,
        ..KafkaOptions::default()
    })?;
    kafka.create_topic("t", 2, &[])?;
    kafka.kill9(2)?;
    produce(&kafka, "NULL\tk\tv\n")?;
    kafka.start_node(2)?;
    assert_eq!(
        Observer::read_all(&kafka, &["t"], Isolation::ReadCommitted)?.len(),
        1
    );
    Ok(())
}
