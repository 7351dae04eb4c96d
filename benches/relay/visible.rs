//! What a `read_committed` consumer may see, asked of the broker without reading a record.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::Result;
use crate::stand::PARTITIONS;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for the last stable offsets of a topic.
pub(crate) struct Visible {
    client: BaseConsumer,
    ends: TopicPartitionList,
}

impl Visible {
    pub(crate) fn new(brokers: &str, topic: &str) -> Result<Self> {
        let client =
            ClientConfig::new().set("bootstrap.servers", brokers).set("isolation.level", "read_committed").create()?;
        let mut ends = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            // As a "time", End means the last stable offset; unlike `fetch_watermarks` it is one request for all.
            ends.add_partition_offset(topic, partition, Offset::End)?;
        }
        Ok(Self { client, ends })
    }

    /// Their sum. Markers of Kafka transactions take an offset in each partition that they touch.
    pub(crate) fn offsets(&self) -> Result<u64> {
        let found = self.client.offsets_for_times(self.ends.clone(), TIMEOUT)?;
        let mut sum = 0;
        for end in found.elements() {
            end.error()?;
            sum += end.offset().to_raw().map_or(0, |offset| u64::try_from(offset).unwrap_or(0));
        }
        Ok(sum)
    }
}
