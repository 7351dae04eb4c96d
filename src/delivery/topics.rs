//! Output topics: looked up before the first record, created only on request, never by accident.

use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rdkafka::admin::{AdminClient, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::producer::BATCH_BYTES;
use crate::config::{KafkaConfig, TopicTemplate};
use crate::error::{Code, Error, Result};
use crate::kafka::{self, LogContext, creation};
use crate::record::{Topic, TopicId};
use crate::telemetry::{Metrics, Status};

/// `max.message.bytes` when the topic's may not be read: the broker's default.
const DEFAULT_MAX_RECORD: usize = 1_048_588;

/// How often a missing topic is looked for.
const RETRY: Duration = Duration::from_secs(1);

/// How often a topic may be found to exist and not be listed: brokers learn of it within moments.
const HIDDEN: u32 = 10;

/// The topics of this run, by [`TopicId`].
#[derive(Debug, Default)]
pub struct TopicNames(RwLock<Vec<Arc<str>>>);

impl TopicNames {
    /// The names from this index on.
    pub fn since(&self, index: usize) -> Vec<Arc<str>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(index..).unwrap_or_default().to_vec()
    }

    fn add(&self, name: &str) -> TopicId {
        let mut names = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.push(name.into());
        TopicId(u32::try_from(names.len() - 1).unwrap_or(u32::MAX))
    }
}

/// Looks topics up.
pub struct Catalog {
    admin: Arc<AdminClient<LogContext>>,
    config: KafkaConfig,
    names: Arc<TopicNames>,
    status: Arc<Status>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens a client for metadata.
    ///
    /// # Errors
    /// `KafkaConfig`.
    pub fn new(config: &KafkaConfig, metrics: Arc<Metrics>, status: Arc<Status>) -> Result<Self> {
        let admin = kafka::base_config(config)
            .create_with_context(LogContext::new(metrics))
            .map_err(|e| kafka::error(&e, "creating a Kafka client"))?;
        Ok(Self { admin: Arc::new(admin), config: config.clone(), names: Arc::default(), status })
    }

    /// Names by id, for the delivery.
    pub fn names(&self) -> Arc<TopicNames> {
        Arc::clone(&self.names)
    }

    /// Checks the topics that are named in the configuration, so that a mistake shows at start.
    ///
    /// # Errors
    /// `TopicMissing` unless topics may be created.
    pub async fn ensure_configured<'a>(&self, templates: impl Iterator<Item = &'a TopicTemplate>) -> Result<()> {
        for name in templates.filter_map(TopicTemplate::literal) {
            if self.partitions(&name).await?.is_none() && !self.config.create_topics {
                return Err(Error::new(Code::TopicMissing, format!("topic {name} does not exist")));
            }
        }
        Ok(())
    }

    /// Everything routing needs of a topic; waits, in a visible state, until it exists.
    ///
    /// # Errors
    /// `TopicName` for the checkpoint topic, `TopicCreate`, `KafkaUnavailable`, `KafkaAcl`.
    pub async fn resolve(&self, name: &str) -> Result<Topic> {
        if name == self.config.checkpoint_topic {
            return Err(Error::new(Code::TopicName, format!("a row names {name}, the checkpoint topic")));
        }
        let partitions = self.wait_for(name).await?;
        let max_record_bytes = self.max_record_bytes(name).await?;
        self.ensure_batches_fit(name, max_record_bytes)?;
        let id = self.names.add(name);
        tracing::info!(topic = name, partitions, max_record_bytes, "output topic");
        Ok(Topic { id, partitions, max_record_bytes })
    }

    /// librdkafka knows nothing of the topic's limit when it fills a batch.
    fn ensure_batches_fit(&self, name: &str, max_record_bytes: usize) -> Result<()> {
        let batch = batch_size(&self.config);
        if batch <= max_record_bytes {
            return Ok(());
        }
        Err(Error::new(
            Code::TopicBatchSize,
            format!("topic {name} has max.message.bytes = {max_record_bytes}, batches grow to {batch} bytes"),
        ))
    }

    async fn wait_for(&self, name: &str) -> Result<NonZeroU32> {
        let mut retry = tokio::time::interval(RETRY);
        let (mut waiting, mut hidden) = (false, 0);
        loop {
            if let Some(partitions) = self.partitions(name).await? {
                if waiting || hidden > 0 {
                    creation::wait_until_known(&self.admin, name).await;
                }
                if waiting {
                    self.status.streaming();
                }
                return Ok(partitions);
            }
            if self.config.create_topics {
                match self.create(name).await? {
                    true => creation::wait_until_known(&self.admin, name).await,
                    false => hidden += 1,
                }
                if hidden > HIDDEN {
                    return Err(kafka::hidden(name));
                }
            } else if !waiting {
                waiting = true;
                let missing = Error::new(Code::TopicMissing, format!("waiting for topic {name}, which a row names"));
                tracing::warn!(topic = name, code = %missing.code(), "output topic does not exist; waiting for it");
                self.status.stalled(&missing);
            }
            self.status.tick();
            if self.partitions(name).await?.is_none() {
                retry.tick().await;
            }
        }
    }

    async fn partitions(&self, name: &str) -> Result<Option<NonZeroU32>> {
        let (admin, name) = (Arc::clone(&self.admin), name.to_owned());
        kafka::blocking(move || {
            let metadata = kafka::metadata(&admin)?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            Ok(topic.and_then(|topic| u32::try_from(topic.partitions().len()).ok()).and_then(NonZeroU32::new))
        })
        .await
    }

    /// Whether it was not there before.
    async fn create(&self, name: &str) -> Result<bool> {
        let replication = TopicReplication::Fixed(self.config.replication_factor);
        let created = creation::create(&self.admin, &NewTopic::new(name, self.config.partitions, replication)).await?;
        if created {
            tracing::info!(topic = name, partitions = self.config.partitions, "output topic created");
        }
        Ok(created)
    }

    async fn max_record_bytes(&self, name: &str) -> Result<usize> {
        let described = self
            .admin
            .describe_configs([&ResourceSpecifier::Topic(name)], &kafka::admin_options())
            .await
            .map_err(|e| kafka::error(&e, format!("describing topic {name}")))?;
        let limit = match described.into_iter().next() {
            // A broker that does not know it yet, or any more.
            Some(Err(code @ RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                return Err(Error::new(Code::KafkaUnavailable, format!("describing topic {name}: {code}")));
            }
            Some(Ok(resource)) => resource.get("max.message.bytes").and_then(|entry| entry.value.clone()),
            _ => None,
        };
        Ok(limit.and_then(|value| value.parse().ok()).unwrap_or_else(|| {
            tracing::warn!(
                topic = name,
                limit = DEFAULT_MAX_RECORD,
                "max.message.bytes is unknown; assuming the default"
            );
            DEFAULT_MAX_RECORD
        }))
    }
}

/// How large librdkafka lets a batch grow, bytes.
pub(super) fn batch_size(config: &KafkaConfig) -> usize {
    let configured = config.librdkafka.iter().find(|(key, _)| key == "batch.size");
    configured.and_then(|(_, value)| value.parse().ok()).unwrap_or(BATCH_BYTES)
}
