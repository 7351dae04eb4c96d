//! New topics: created, and waited for until the whole cluster knows them.
//!
//! The controller's answer says nothing of the brokers: each of them learns of a new topic by itself, some moments later
//! (KIP-500). Until then a transaction's coordinator does not know its partitions, and librdkafka gives the Kafka
//! transaction up (`rd_kafka_txn_handle_AddPartitionsToTxn` in `rdkafka_txnmgr.c`: other partitions of the same request are
//! "not attempted", which it takes for final), and with it the run; a leader refuses the first records, and librdkafka
//! sends them again only after `retry.backoff.ms`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataBroker;

use super::{LogContext, admin_options, blocking, code_of, error};
use crate::error::{Code, Error, Result};

/// How often the brokers are asked.
const LOOK: Duration = Duration::from_millis(20);

/// Longest wait for one broker's answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Longest wait for all brokers: one of them may be down and still be listed.
const SPREAD: Duration = Duration::from_secs(5);

/// Creates a topic; whether it was not there before.
///
/// # Errors
/// `TopicCreate`, `TopicRefused`, `KafkaAcl`.
pub async fn create(admin: &AdminClient<LogContext>, new: &NewTopic<'_>) -> Result<bool> {
    let refused = |code, e: String| Error::new(code, format!("creating topic {}", new.name)).caused_by(e);
    let results =
        admin.create_topics([new], &admin_options()).await.map_err(|e| refused(Code::TopicCreate, e.to_string()))?;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(refused(refusal(code), code.to_string())),
        None => Err(refused(Code::TopicCreate, "no answer".into())),
    }
}

/// What an answer to "create this topic" means. Brokers may be missing for the replicas asked for, but come back.
fn refusal(code: RDKafkaErrorCode) -> Code {
    match code {
        RDKafkaErrorCode::PolicyViolation
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidTopic => Code::TopicRefused,
        other => match code_of(other) {
            Code::KafkaUnavailable => Code::TopicCreate,
            known => known,
        },
    }
}

/// Waits until every broker knows a topic that was not there a moment ago, and its leaders serve it. Goes on after
/// five seconds: then only time is lost.
pub async fn wait_until_known(admin: &Arc<AdminClient<LogContext>>, topic: &str) {
    let known = async {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            match is_known(admin, topic).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(topic, error = error.chain(), "asking the brokers for a new topic"),
            }
        }
    };
    if tokio::time::timeout(SPREAD, known).await.is_err() {
        tracing::warn!(topic, "not every broker knows the new topic yet; going on");
    }
}

async fn is_known(admin: &Arc<AdminClient<LogContext>>, topic: &str) -> Result<bool> {
    let Some(Places { brokers, partitions }) = places(admin, topic).await? else { return Ok(false) };
    for known in join_all(brokers.into_iter().map(|broker| knows(admin, topic, broker))).await {
        if !known? {
            return Ok(false);
        }
    }
    ask_leaders(admin, topic, partitions).await?;
    Ok(true)
}

/// Who has to know a topic, and what is to be served.
struct Places {
    brokers: Vec<i32>,
    partitions: Vec<i32>,
}

/// `None` if some partition of the topic has no leader yet.
async fn places(admin: &Arc<AdminClient<LogContext>>, topic: &str) -> Result<Option<Places>> {
    let (admin, topic) = (Arc::clone(admin), topic.to_owned());
    blocking(move || {
        let metadata = super::metadata(&admin)?;
        let brokers = metadata.brokers().iter().map(MetadataBroker::id).collect();
        let partitions = metadata.topics().iter().find(|t| t.name() == topic).map_or(&[][..], |t| t.partitions());
        let led = !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0);
        Ok(led.then(|| Places { brokers, partitions: partitions.iter().map(|partition| partition.id()).collect() }))
    })
    .await
}

/// Whether a broker knows a topic: only then it can say how it is configured, or that it may not say so.
async fn knows(admin: &AdminClient<LogContext>, topic: &str, broker: i32) -> Result<bool> {
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).broker_id(broker);
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
        .await
        .map_err(|e| error(&e, format!("describing topic {topic}")))?;
    Ok(!matches!(described.into_iter().next(), None | Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition))))
}

/// Fails until each partition's leader knows that it leads.
async fn ask_leaders(admin: &Arc<AdminClient<LogContext>>, topic: &str, partitions: Vec<i32>) -> Result<()> {
    let (admin, topic) = (Arc::clone(admin), topic.to_owned());
    blocking(move || {
        partitions.into_iter().try_for_each(|partition| {
            let asked = admin.inner().fetch_watermarks(&topic, partition, ANSWER);
            asked.map(drop).map_err(|e| error(&e, format!("asking for the offsets of {topic}/{partition}")))
        })
    })
    .await
}
