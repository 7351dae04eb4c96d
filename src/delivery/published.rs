//! Whether the output topics already hold records of this source: then a missing checkpoint is an accident, not a first
//! start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::binlog::server::Server;
use crate::config::{Config, TopicPart, TopicTemplate};
use crate::error::{Code, Error, Result};
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT};
use crate::position::{Gtid, PositionMode};
use crate::record::headers::SOURCE;
use crate::telemetry::Metrics;

/// How many offsets at the end of each partition are looked at in any case; some are markers of transactions.
const TAIL: i64 = 32;

/// How many are looked at if [`LONG_LOOK`] is enough for them: others may write to the same topics.
const LONG_TAIL: i64 = 10_000;

/// For all of these together. A first start happens once.
const LONG_LOOK: Duration = Duration::from_secs(5);

/// Refuses if a record at the end of an output topic was made from this source.
///
/// # Errors
/// `CheckpointMissing`, `KafkaUnavailable`.
pub async fn ensure_none(config: &Config, server: &Server, metrics: Arc<Metrics>) -> Result<()> {
    let scan = Scan {
        client: kafka::base_config(&config.kafka),
        templates: config.outboxes.iter().map(|outbox| outbox.topic.clone()).collect(),
        checkpoint_topic: config.kafka.checkpoint_topic.clone(),
        relay: config.name.clone(),
        server: server.clone(),
        metrics,
    };
    kafka::blocking(move || scan.ensure_none()).await
}

struct Scan {
    client: rdkafka::ClientConfig,
    templates: Vec<TopicTemplate>,
    checkpoint_topic: String,
    relay: String,
    server: Server,
    metrics: Arc<Metrics>,
}

impl Scan {
    fn ensure_none(&self) -> Result<()> {
        let consumer: BaseConsumer<LogContext> = self
            .client
            .clone()
            .set("group.id", format!("outboxd.{}", self.relay))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set("isolation.level", "read_committed")
            .create_with_context(LogContext::new(Arc::clone(&self.metrics)))
            .map_err(|e| kafka::error(&e, "creating a Kafka consumer"))?;
        let metadata = consumer
            .fetch_metadata(None, REQUEST_TIMEOUT)
            .map_err(|e| kafka::error(&e, "asking Kafka for its topics"))?;
        let mut ends = Vec::new();
        for topic in metadata.topics().iter().filter(|topic| self.is_output(topic.name())) {
            for partition in topic.partitions() {
                ends.push(End::of(&consumer, topic.name(), partition.id())?);
            }
        }
        self.ensure_foreign_all(&consumer, &tails(&ends, TAIL)?, None)?;
        ends.retain(|end| end.high - end.low > TAIL);
        self.ensure_foreign_all(&consumer, &tails(&ends, LONG_TAIL)?, Some(Instant::now() + LONG_LOOK))
    }

    fn is_output(&self, topic: &str) -> bool {
        topic != self.checkpoint_topic && !topic.starts_with("__") && self.templates.iter().any(|t| matches(t, topic))
    }

    /// Reads every tail to its end, or until the time is up.
    fn ensure_foreign_all(
        &self,
        consumer: &BaseConsumer<LogContext>,
        tails: &TopicPartitionList,
        until: Option<Instant>,
    ) -> Result<()> {
        let reading = || format!("reading the ends of {} output partitions", tails.count());
        consumer.assign(tails).map_err(|e| kafka::error(&e, reading()))?;
        let mut open = tails.count();
        let mut deadline = Instant::now() + REQUEST_TIMEOUT;
        while open > 0 && until.is_none_or(|until| Instant::now() < until) {
            match consumer.poll(Duration::from_millis(100)) {
                None if Instant::now() < deadline => continue,
                None => return Err(Error::new(Code::KafkaUnavailable, reading())),
                Some(Ok(record)) => self.ensure_foreign(&record)?,
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(e)) => return Err(kafka::error(&e, reading())),
            }
            deadline = Instant::now() + REQUEST_TIMEOUT;
        }
        Ok(())
    }

    fn ensure_foreign(&self, record: &BorrowedMessage<'_>) -> Result<()> {
        let Some(source) = source_header(record) else { return Ok(()) };
        let position = source.rsplit_once('#').map_or(source.as_str(), |(position, _)| position);
        let ours = match position.parse::<Gtid>() {
            Ok(gtid) => self.server.has_executed(&gtid),
            // A file position says nothing about which server wrote it: caution.
            Err(_) => self.server.mode == PositionMode::File,
        };
        if !ours {
            return Ok(());
        }
        let place = format!("{}/{} at offset {}", record.topic(), record.partition(), record.offset());
        Err(Error::new(
            Code::CheckpointMissing,
            format!("no checkpoint for \"{}\", but {place} holds a record of this source, {position}", self.relay),
        ))
    }
}

/// Where a partition begins and ends.
struct End {
    topic: String,
    partition: i32,
    low: i64,
    high: i64,
}

impl End {
    fn of(consumer: &BaseConsumer<LogContext>, topic: &str, partition: i32) -> Result<Self> {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
            .map_err(|e| kafka::error(&e, format!("asking for the end of {topic}/{partition}")))?;
        Ok(Self { topic: topic.to_owned(), partition, low, high })
    }
}

/// The last offsets of each partition that is not empty.
fn tails(ends: &[End], length: i64) -> Result<TopicPartitionList> {
    let mut tails = TopicPartitionList::new();
    for end in ends.iter().filter(|end| end.low < end.high) {
        let from = Offset::Offset((end.high - length).max(end.low));
        tails
            .add_partition_offset(&end.topic, end.partition, from)
            .map_err(|e| kafka::error(&e, format!("reading {}/{}", end.topic, end.partition)))?;
    }
    Ok(tails)
}

fn source_header(record: &BorrowedMessage<'_>) -> Option<String> {
    let headers = record.headers()?;
    let header = headers.iter().find(|header| header.key.as_bytes() == SOURCE.to_bytes())?;
    Some(String::from_utf8_lossy(header.value?).into_owned())
}

/// Whether a template can have made this topic name: its literal start and end fit.
pub(super) fn matches(template: &TopicTemplate, topic: &str) -> bool {
    let literal = |part: Option<&TopicPart>| match part {
        Some(TopicPart::Literal(text)) => text.clone(),
        _ => String::new(),
    };
    if let [TopicPart::Literal(name)] = template.0.as_slice() {
        return name == topic;
    }
    topic.starts_with(&literal(template.0.first())) && topic.ends_with(&literal(template.0.last()))
}
