//! The checkpoint topic, as a relay uses it: its own partition, read behind the fence.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::newest::Newest;
use super::{Checkpoint, CheckpointId, Fence, codec, topic};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT};
use crate::record::partition;
use crate::telemetry::Metrics;

/// How far back from the end the first look goes. Most often the newest checkpoint is among these.
const FIRST_WINDOW: i64 = 64;

/// How long the last stable offset may stay behind before a foreign open transaction is reported. Above our own
/// transaction timeout, because an older producer of ours may have left one open.
const BLOCKED_AFTER: Duration = Duration::from_secs(75);

type Found = Option<(Checkpoint, CheckpointId)>;

/// The relay's place in the checkpoint topic.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Readers,
    relay: String,
    topic: String,
    partition: i32,
    partitions: i32,
    cluster_id: String,
}

/// Two consumers, because a client asks for watermarks under its own isolation level: the high watermark is known to the
/// one, the last stable offset to the other.
struct Readers {
    uncommitted: BaseConsumer<LogContext>,
    committed: BaseConsumer<LogContext>,
}

/// What looks the topic up, and what reads it.
struct Clients {
    admin: Arc<AdminClient<LogContext>>,
    readers: Readers,
}

impl Clients {
    fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Self> {
        let client = kafka::base_config(&config.kafka);
        // The readers connect while the topic is looked up.
        let readers = Readers::open(&client, &config.name, &metrics)?;
        let admin: AdminClient<LogContext> = client
            .create_with_context(LogContext::new(metrics))
            .map_err(|e| kafka::error(&e, "creating a Kafka client"))?;
        Ok(Self { admin: Arc::new(admin), readers })
    }
}

impl Store {
    /// Creates the topic if it is missing, and checks that Kafka will never delete its newest record.
    ///
    /// # Errors
    /// `KafkaUnavailable`, `KafkaAcl`, `TopicCreate`, `CheckpointTopic`.
    pub async fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Self> {
        let clients = Clients::open(config, metrics)?;
        let name = &config.kafka.checkpoint_topic;
        let (partitions, cluster_id) = topic::ensure(&clients.admin, name, config.kafka.replication_factor).await?;
        Self::of_topic(config, clients, partitions, cluster_id).await
    }

    /// The same without creating anything: `None` if there is no such topic.
    ///
    /// # Errors
    /// `KafkaUnavailable`, `KafkaAcl`, `CheckpointTopic`.
    pub async fn existing(config: &Config, metrics: Arc<Metrics>) -> Result<Option<Self>> {
        let clients = Clients::open(config, metrics)?;
        match topic::describe(&clients.admin, &config.kafka.checkpoint_topic).await? {
            (Some(partitions), cluster) => Self::of_topic(config, clients, partitions, cluster).await.map(Some),
            (None, _) => Ok(None),
        }
    }

    async fn of_topic(config: &Config, clients: Clients, partitions: i32, cluster_id: String) -> Result<Self> {
        let topic = config.kafka.checkpoint_topic.clone();
        topic::ensure_compacted(&clients.admin, &topic).await?;
        let partition = match config.kafka.checkpoint_partition {
            Some(partition) if partition < partitions => partition,
            Some(partition) => {
                return Err(Error::new(
                    Code::CheckpointTopic,
                    format!("kafka.checkpoint_partition = {partition}, but {topic} has {partitions} partitions"),
                ));
            }
            None => default_partition(&config.name, partitions),
        };
        let (readers, relay) = (clients.readers, config.name.clone());
        Ok(Self { inner: Arc::new(Inner { readers, relay, topic, partition, partitions, cluster_id }) })
    }

    /// Topic name.
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// Partition of this relay.
    pub fn partition(&self) -> i32 {
        self.inner.partition
    }

    /// Number of partitions of the topic.
    pub fn partitions(&self) -> i32 {
        self.inner.partitions
    }

    /// Id of the Kafka cluster.
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// The newest committed checkpoint. The fence says that nobody else can add one meanwhile.
    ///
    /// # Errors
    /// `CheckpointBlocked` while a foreign transaction hides the end of the partition, `CheckpointElsewhere`,
    /// `CheckpointUnreadable`, `KafkaUnavailable`.
    pub async fn load(&self, _fence: &Fence) -> Result<Found> {
        let inner = Arc::clone(&self.inner);
        kafka::blocking(move || inner.load()).await
    }

    /// The newest checkpoint as it is now, without a fence: to learn who writes, never where to resume.
    ///
    /// # Errors
    /// `KafkaUnavailable`, `CheckpointUnreadable`.
    pub async fn peek(&self) -> Result<Found> {
        let inner = Arc::clone(&self.inner);
        kafka::blocking(move || {
            let end = inner.watermarks(&inner.readers.committed, inner.partition)?.1;
            inner.newest(inner.partition, end)
        })
        .await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({}/{})", self.inner.topic, self.inner.partition)
    }
}

/// The partition of a relay by its name, as a Java producer would choose it for that key.
fn default_partition(relay: &str, partitions: i32) -> i32 {
    let count = u32::try_from(partitions).ok().and_then(NonZeroU32::new);
    count.map_or(0, |n| partition::partition(relay.as_bytes(), n))
}

impl Inner {
    fn load(&self) -> Result<Found> {
        // Sampled behind the fence: everything that an older producer of ours wrote lies below it.
        let end = self.watermarks(&self.readers.uncommitted, self.partition)?.1;
        failpoint::hit("hw_sampled")?;
        self.wait_until_stable(end)?;
        if let Some(found) = self.newest(self.partition, end)? {
            return Ok(Some(found));
        }
        self.ensure_not_elsewhere()?;
        Ok(None)
    }

    /// Waits until everything below `end` is decided.
    fn wait_until_stable(&self, end: i64) -> Result<()> {
        let committed = &self.readers.committed;
        let deadline = Instant::now() + BLOCKED_AFTER;
        loop {
            let stable = self.watermarks(committed, self.partition)?.1;
            if Newest::new(&self.relay, end).is_decided(stable) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::new(
                    Code::CheckpointBlocked,
                    format!("{}/{}: stable up to {stable}, written up to {end}", self.topic, self.partition),
                ));
            }
            // Polling an empty assignment is librdkafka's way to wait while serving its queue.
            committed.poll(Duration::from_millis(20));
        }
    }

    /// The newest record of our key below `end`: backwards in growing windows, since any window that ends at `end` and
    /// holds one of ours holds the newest.
    fn newest(&self, partition: i32, end: i64) -> Result<Found> {
        let low = self.watermarks(&self.readers.committed, partition)?.0;
        let mut window = FIRST_WINDOW;
        let mut start = end;
        while start > low {
            start = (end - window).max(low);
            if let Some(bytes) = self.scan(partition, start, end)? {
                return codec::decode(&bytes).map(Some);
            }
            window *= 16;
        }
        Ok(None)
    }

    /// The last record of our key in `start..end`.
    fn scan(&self, partition: i32, start: i64, end: i64) -> Result<Option<Vec<u8>>> {
        let consumer = &self.readers.committed;
        let found = self.read(consumer, partition, start, end);
        // Otherwise the consumer would go on fetching.
        consumer.unassign().map_err(|e| kafka::error(&e, self.reading(partition)))?;
        found
    }

    /// Everything below `end` is decided, so the end of the partition comes.
    fn read(
        &self,
        consumer: &BaseConsumer<LogContext>,
        partition: i32,
        start: i64,
        end: i64,
    ) -> Result<Option<Vec<u8>>> {
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, partition, Offset::Offset(start))
            .and_then(|()| consumer.assign(&assignment))
            .map_err(|e| kafka::error(&e, self.reading(partition)))?;
        let mut newest = Newest::new(&self.relay, end);
        let mut deadline = Instant::now() + REQUEST_TIMEOUT;
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(record)) => {
                    failpoint::hit("checkpoint_read_partial")?;
                    deadline = Instant::now() + REQUEST_TIMEOUT;
                    newest.see(record.offset(), record.key(), record.payload());
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(newest.found()),
                Some(Err(e)) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {}
                Some(Err(e)) => return Err(kafka::error(&e, self.reading(partition))),
            }
        }
        // A slow broker is no empty topic.
        Err(Error::new(Code::KafkaUnavailable, self.reading(partition)))
    }

    /// Our key in another partition means that the partition count was changed.
    fn ensure_not_elsewhere(&self) -> Result<()> {
        for partition in (0..self.partitions).filter(|p| *p != self.partition) {
            let end = self.watermarks(&self.readers.committed, partition)?.1;
            if self.newest(partition, end)?.is_some() {
                return Err(Error::new(
                    Code::CheckpointElsewhere,
                    format!("the checkpoint of \"{}\" is in {}/{partition}", self.relay, self.topic),
                )
                .with_fix(format!("set kafka.checkpoint_partition = {partition}")));
            }
        }
        Ok(())
    }

    fn watermarks(&self, client: &BaseConsumer<LogContext>, partition: i32) -> Result<(i64, i64)> {
        client
            .fetch_watermarks(&self.topic, partition, REQUEST_TIMEOUT)
            .map_err(|e| kafka::error(&e, self.reading(partition)))
    }

    fn reading(&self, partition: i32) -> String {
        format!("reading the checkpoint from {}/{partition}", self.topic)
    }
}

impl Readers {
    fn open(client: &ClientConfig, relay: &str, metrics: &Arc<Metrics>) -> Result<Self> {
        let open = |isolation: &str| {
            client
                .clone()
                .set("group.id", format!("outboxd.{relay}"))
                .set("enable.auto.commit", "false")
                .set("enable.partition.eof", "true")
                .set("auto.offset.reset", "earliest")
                .set("fetch.wait.max.ms", "10")
                .set("isolation.level", isolation)
                .create_with_context(LogContext::new(Arc::clone(metrics)))
                .map_err(|e| kafka::error(&e, "creating a Kafka consumer"))
        };
        Ok(Self { uncommitted: open("read_uncommitted")?, committed: open("read_committed")? })
    }
}
