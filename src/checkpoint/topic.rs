//! The checkpoint topic itself: looked up, created compacted, verified.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use crate::error::{Code, Error, Result};
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT, creation};

/// Partitions of a checkpoint topic that we create: relays of different names rarely share one.
const PARTITIONS: i32 = 16;

/// Partition count of the topic, which is created if it is missing, and the cluster's id.
///
/// # Errors
/// `KafkaUnavailable`, `KafkaAcl`, `TopicCreate`.
pub(super) async fn ensure(
    admin: &Arc<AdminClient<LogContext>>,
    topic: &str,
    replication_factor: i32,
) -> Result<(i32, String)> {
    if let (Some(partitions), cluster) = describe(admin, topic).await? {
        return Ok((partitions, cluster));
    }
    let new = create(admin, topic, replication_factor).await?;
    let found = wait_for(admin, topic, new).await?;
    creation::wait_until_known(admin, topic).await;
    Ok(found)
}

/// Partition count of the topic, `None` if it does not exist, and the cluster's id.
///
/// # Errors
/// `KafkaUnavailable`.
pub(super) async fn describe(admin: &Arc<AdminClient<LogContext>>, topic: &str) -> Result<(Option<i32>, String)> {
    let (admin, topic) = (Arc::clone(admin), topic.to_owned());
    kafka::blocking(move || {
        let metadata = kafka::metadata(&admin)?;
        let partitions = metadata
            .topics()
            .iter()
            .find(|t| t.name() == topic && !t.partitions().is_empty())
            .and_then(|t| i32::try_from(t.partitions().len()).ok());
        // A slow broker is not another cluster.
        let cluster = admin.inner().fetch_cluster_id(REQUEST_TIMEOUT);
        let unknown = || Error::new(Code::KafkaUnavailable, "asking Kafka for its cluster id");
        Ok((partitions, cluster.ok_or_else(unknown)?))
    })
    .await
}

/// Whether it was not there before.
async fn create(admin: &AdminClient<LogContext>, topic: &str, replication_factor: i32) -> Result<bool> {
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(replication_factor))
        .set("cleanup.policy", "compact")
        // Small segments, so that a start reads little: the active one is never compacted.
        .set("segment.bytes", "16777216")
        .set("min.cleanable.dirty.ratio", "0.1");
    let created = creation::create(admin, &new).await?;
    if created {
        tracing::info!(topic, partitions = PARTITIONS, "checkpoint topic created, compacted");
    }
    Ok(created)
}

async fn wait_for(admin: &Arc<AdminClient<LogContext>>, topic: &str, new: bool) -> Result<(i32, String)> {
    let deadline = tokio::time::Instant::now() + REQUEST_TIMEOUT;
    let mut retry = tokio::time::interval(Duration::from_millis(50));
    loop {
        retry.tick().await;
        if let (Some(partitions), cluster) = describe(admin, topic).await? {
            return Ok((partitions, cluster));
        }
        if tokio::time::Instant::now() > deadline {
            return Err(match new {
                true => Error::new(Code::TopicCreate, format!("topic {topic} was created but does not appear")),
                false => kafka::hidden(topic),
            });
        }
    }
}

/// Kafka never deletes the newest record of a compacted topic.
///
/// # Errors
/// `KafkaUnavailable`, `CheckpointTopic`.
pub(super) async fn ensure_compacted(admin: &AdminClient<LogContext>, topic: &str) -> Result<()> {
    let asked = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &kafka::admin_options())
        .await
        .map_err(|e| kafka::error(&e, format!("describing topic {topic}")))?;
    let policy = match asked.into_iter().next() {
        Some(Ok(resource)) => resource.get("cleanup.policy").and_then(|entry| entry.value.clone()),
        Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed)) => {
            tracing::warn!(topic, "not allowed to describe the checkpoint topic: its cleanup.policy is not verified");
            return Ok(());
        }
        Some(Err(code)) => return Err(Error::new(kafka::code_of(code), format!("describing topic {topic}: {code}"))),
        None => None,
    };
    match policy.as_deref() {
        Some("compact") | None => Ok(()),
        Some(other) => Err(Error::new(
            Code::CheckpointTopic,
            format!("topic {topic} has cleanup.policy={other} (needed: compact)"),
        )),
    }
}
