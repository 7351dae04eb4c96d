//! Reads a topic back as any consumer would: is every row there, once, and in the order of its key?

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::Result;
use crate::rows::{self, KEYS};
use crate::stand::PARTITIONS;

/// Longest wait for a next record or a partition's end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is wrong with a topic's records; all zero if nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) missing: usize,
    pub(crate) repeated: usize,
    disordered: usize,
    foreign: usize,
}

impl Verdict {
    /// Without a failure, at least once repeats nothing either.
    pub(crate) fn ensure_right(self, what: &str) -> Result<()> {
        if self.missing + self.repeated + self.disordered + self.foreign == 0 {
            return Ok(());
        }
        Err(format!("{what}: {self:?}").into())
    }
}

/// Reads everything that is visible in `topic`, where rows 0 to `rows` are expected.
pub(crate) fn read_back(brokers: &str, topic: &str, rows: u64) -> Result<Verdict> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-verify")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut check = Check::new(usize::try_from(rows)?);
    let mut open = PARTITIONS;
    while open > 0 {
        match consumer.poll(PATIENCE).ok_or("the verifying reader gets no records")? {
            Ok(record) => check.record(&record),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(check.verdict())
}

struct Check {
    seen: Vec<bool>,
    /// One more than the last row's number, by key.
    last: Vec<usize>,
    verdict: Verdict,
}

impl Check {
    fn new(rows: usize) -> Self {
        Self { seen: vec![false; rows], last: vec![0; KEYS], verdict: Verdict::default() }
    }

    fn record(&mut self, record: &impl Message) {
        let number = record.payload().and_then(rows::number).and_then(|n| usize::try_from(n).ok());
        let key =
            record.key().and_then(|key| std::str::from_utf8(key).ok()?.strip_prefix("ord-")?.parse::<usize>().ok());
        let id = record.headers().is_some_and(|headers| headers.iter().any(|header| header.key == "id"));
        let known = number.zip(key).filter(|(n, key)| id && *n < self.seen.len() && *key < KEYS);
        let Some((n, key)) = known else {
            self.verdict.foreign += 1;
            return;
        };
        if std::mem::replace(&mut self.seen[n], true) {
            self.verdict.repeated += 1;
        } else {
            self.verdict.disordered += usize::from(n < self.last[key]);
            self.last[key] = n + 1;
        }
    }

    fn verdict(self) -> Verdict {
        Verdict { missing: self.seen.iter().filter(|seen| !**seen).count(), ..self.verdict }
    }
}
