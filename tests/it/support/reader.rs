//! Reads topics with a librdkafka consumer: a second for many topics, where the testbed's observer takes seconds for
//! each. For comparisons of bytes; whether something is visible to a Java consumer is the observer's to say.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::PATIENCE;
use testbed::{Kafka, Observed};

/// All committed records of the topics whose names start with `prefix`, in the order of topic, partition and offset.
pub(crate) fn read(kafka: &Kafka, prefix: &str) -> Vec<Observed> {
    let mut seen = Vec::new();
    read_each(kafka, prefix, |message| seen.push(observed(message)));
    seen.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    seen
}

/// Shows each of them, in the order of offsets within a partition, without keeping any.
pub(crate) fn read_each(kafka: &Kafka, prefix: &str, mut see: impl FnMut(&BorrowedMessage<'_>)) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_internal())
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix)) {
        for partition in topic.partitions() {
            partitions.add_partition_offset(topic.name(), partition.id(), Offset::Beginning).unwrap();
        }
    }
    consumer.assign(&partitions).unwrap();
    let mut ended = 0;
    while ended < partitions.count() {
        match consumer.poll(PATIENCE).expect("an answer of the broker") {
            Ok(message) => see(&message),
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

fn observed(message: &BorrowedMessage<'_>) -> Observed {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Observed {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
    }
}
