//! What `outboxd doctor` wants to know of Kafka: brokers, topics and the settings that the guarantee rests on. It looks
//! and changes nothing; the transactional id is not tried, because that would end a running relay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, ConfigResource, ResourceSpecifier};
use rdkafka::metadata::Metadata;

use super::producer;
use super::published;
use super::topics;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::findings::Finding;
use crate::kafka::{self, LogContext, REQUEST_TIMEOUT};
use crate::telemetry::Metrics;

/// Below this one broker's loss can take acknowledged records along.
const SAFE_REPLICATION: usize = 3;
const SAFE_IN_SYNC: u64 = 2;

/// What was found in the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    id: String,
    brokers: usize,
    checkpoint: Option<Topic>,
    outputs: Vec<Topic>,
    /// `transaction.max.timeout.ms` of a broker, if it may be read.
    transaction_limit: Option<u64>,
}

/// A topic that the relay writes to.
#[derive(Clone, Debug, Default)]
struct Topic {
    name: String,
    partitions: usize,
    /// Replicas of the partition that has the fewest.
    replication: usize,
    /// Its settings; `None` if they may not be read.
    settings: Option<BTreeMap<String, String>>,
}

impl Topic {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.setting(name)?.parse().ok()
    }
}

/// Asks the cluster.
///
/// # Errors
/// `KafkaUnavailable`, `KafkaAuth`, `KafkaConfig`.
pub async fn read(config: &Config, metrics: Arc<Metrics>) -> Result<Cluster> {
    let admin: AdminClient<LogContext> = kafka::base_config(&config.kafka)
        .create_with_context(LogContext::new(metrics))
        .map_err(|e| kafka::error(&e, "creating a Kafka client"))?;
    let admin = Arc::new(admin);
    let (asking, outputs) = (Arc::clone(&admin), config.clone());
    let (mut cluster, broker) = kafka::blocking(move || {
        let client = asking.inner();
        let metadata =
            client.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|e| kafka::error(&e, reaching(&outputs)))?;
        let id = client.fetch_cluster_id(REQUEST_TIMEOUT);
        let id = id.ok_or_else(|| Error::new(Code::KafkaUnavailable, "asking Kafka for its cluster id"))?;
        Ok((topics_of(&metadata, id, &outputs), metadata.brokers().first().map(|broker| broker.id())))
    })
    .await?;
    for topic in cluster.checkpoint.iter_mut().chain(&mut cluster.outputs) {
        topic.settings = settings(&admin, &ResourceSpecifier::Topic(&topic.name)).await?;
    }
    if let Some(broker) = broker {
        let settings = settings(&admin, &ResourceSpecifier::Broker(broker)).await?;
        let limit = settings.and_then(|mut settings| settings.remove("transaction.max.timeout.ms"));
        cluster.transaction_limit = limit.and_then(|value| value.parse().ok());
    }
    Ok(cluster)
}

fn reaching(config: &Config) -> String {
    format!("reaching Kafka at {}", config.kafka.brokers.join(", "))
}

fn topics_of(metadata: &Metadata, id: String, config: &Config) -> Cluster {
    let topic = |topic: &rdkafka::metadata::MetadataTopic| Topic {
        name: topic.name().to_owned(),
        partitions: topic.partitions().len(),
        replication: topic.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or(0),
        settings: None,
    };
    let there = || metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
    let checkpoint = config.kafka.checkpoint_topic.as_str();
    let is_output = |name: &str| {
        name != checkpoint
            && !name.starts_with("__")
            && config.outboxes.iter().any(|o| published::matches(&o.topic, name))
    };
    Cluster {
        id,
        brokers: metadata.brokers().len(),
        checkpoint: there().find(|t| t.name() == checkpoint).map(topic),
        outputs: there().filter(|t| is_output(t.name())).map(topic).collect(),
        transaction_limit: None,
    }
}

/// `None` if they may not be read.
async fn settings(
    admin: &AdminClient<LogContext>,
    resource: &ResourceSpecifier<'_>,
) -> Result<Option<BTreeMap<String, String>>> {
    let asked = admin.describe_configs([resource], &kafka::admin_options()).await;
    let asked = asked.map_err(|e| kafka::error(&e, "asking Kafka for settings"))?;
    let entries = |found: ConfigResource| {
        found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
    };
    Ok(asked.into_iter().next().and_then(std::result::Result::ok).map(entries))
}

/// Every check of the cluster.
pub fn inspect(cluster: &Cluster, config: &Config) -> Vec<Finding> {
    let mut found = vec![
        Finding::good("brokers", format!("{} reached, cluster {}", cluster.brokers, cluster.id)),
        transaction_timeout(cluster, config),
    ];
    match &cluster.checkpoint {
        None => found.push(Finding::good(
            "checkpoint topic",
            format!("{} does not exist; outboxd creates it, compacted", config.kafka.checkpoint_topic),
        )),
        Some(topic) => {
            found.push(compacted(topic));
            found.extend(durable(topic));
        }
    }
    found.extend(config.outboxes.iter().filter_map(|outbox| missing(cluster, config, outbox.topic.literal()?)));
    for topic in &cluster.outputs {
        found.push(batches_fit(topic, config));
        found.extend(durable(topic));
    }
    found
}

fn transaction_timeout(cluster: &Cluster, config: &Config) -> Finding {
    const CHECK: &str = "transaction.timeout.ms";
    let Some(ours) = producer::transaction_timeout(config) else {
        return Finding::good(CHECK, "not used at least once");
    };
    match cluster.transaction_limit.map(Duration::from_millis) {
        Some(limit) if ours > limit => Finding::wrong(
            Code::TransactionTimeout,
            CHECK,
            format!("transaction.timeout.ms is {} ms, the brokers allow {} ms", ours.as_millis(), limit.as_millis()),
            Code::TransactionTimeout.fix(),
        ),
        Some(limit) => Finding::good(CHECK, format!("{} ms of {} ms", ours.as_millis(), limit.as_millis())),
        None => Finding::good(CHECK, format!("{} ms; the brokers' limit may not be read", ours.as_millis())),
    }
}

fn compacted(topic: &Topic) -> Finding {
    const CHECK: &str = "cleanup.policy";
    let name = &topic.name;
    match topic.setting(CHECK) {
        Some("compact") => Finding::good(CHECK, format!("{name}: compact")),
        Some(other) => Finding::wrong(
            Code::CheckpointTopic,
            CHECK,
            format!("topic {name} has cleanup.policy={other} (needed: compact): Kafka may delete the checkpoint"),
            format!("kafka-configs.sh --alter --topic {name} --add-config cleanup.policy=compact"),
        ),
        None => Finding::warning(
            CHECK,
            format!("not allowed to describe {name}: its cleanup.policy is not verified"),
            format!("grant DescribeConfigs on topic {name}"),
        ),
    }
}

/// What acknowledged records survive.
fn durable(topic: &Topic) -> Vec<Finding> {
    const UNCLEAN: &str = "unclean.leader.election.enable";
    const IN_SYNC: &str = "min.insync.replicas";
    let name = &topic.name;
    let mut found = vec![match topic.replication {
        enough if enough >= SAFE_REPLICATION => {
            Finding::good("replication", format!("{name}: {enough}, {} partitions", topic.partitions))
        }
        few => Finding::warning(
            "replication",
            format!(
                "topic {name} has {few} replicas (safe: {SAFE_REPLICATION}): a broker's loss can take records along"
            ),
            "add replicas with kafka-reassign-partitions.sh",
        ),
    }];
    if let Some(in_sync) = topic.number(IN_SYNC) {
        found.push(match in_sync {
            enough if enough >= SAFE_IN_SYNC => Finding::good(IN_SYNC, format!("{name}: {enough}")),
            few => Finding::warning(
                IN_SYNC,
                format!("topic {name} has {IN_SYNC}={few} (safe: {SAFE_IN_SYNC}): one replica alone may acknowledge"),
                format!("kafka-configs.sh --alter --topic {name} --add-config {IN_SYNC}={SAFE_IN_SYNC}"),
            ),
        });
    }
    match topic.setting(UNCLEAN) {
        Some("true") => found.push(Finding::warning(
            UNCLEAN,
            format!("topic {name} allows unclean leaders: acknowledged records may be lost"),
            format!("kafka-configs.sh --alter --topic {name} --add-config {UNCLEAN}=false"),
        )),
        Some(_) => found.push(Finding::good(UNCLEAN, format!("{name}: false"))),
        None => {}
    }
    found
}

/// A topic of the configuration that is not there.
fn missing(cluster: &Cluster, config: &Config, name: String) -> Option<Finding> {
    const CHECK: &str = "output topic";
    if cluster.outputs.iter().any(|topic| topic.name == name) {
        return None;
    }
    if config.kafka.create_topics {
        return Some(Finding::good(CHECK, format!("{name} does not exist; outboxd creates it")));
    }
    let what = format!("topic {name} does not exist, or may not be described");
    Some(Finding::wrong(Code::TopicMissing, CHECK, what, Code::TopicMissing.fix()))
}

fn batches_fit(topic: &Topic, config: &Config) -> Finding {
    const CHECK: &str = "max.message.bytes";
    let (batch, name) = (topics::batch_size(&config.kafka), &topic.name);
    match topic.number(CHECK).and_then(|limit| usize::try_from(limit).ok()) {
        None => Finding::warning(
            CHECK,
            format!("not allowed to describe {name}: the default of the brokers is assumed"),
            format!("grant DescribeConfigs on topic {name}"),
        ),
        Some(limit) if batch <= limit => Finding::good(CHECK, format!("{name}: {limit}")),
        Some(limit) => Finding::wrong(
            Code::TopicBatchSize,
            CHECK,
            format!("topic {name} has max.message.bytes = {limit}, batches grow to {batch} bytes"),
            Code::TopicBatchSize.fix(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;
    use crate::findings::Level;

    fn config(set: &[&str]) -> Config {
        let own = ["outbox.main.table=shop.outbox", "outbox.main.topic=all.events"];
        testing::config(&[own.as_slice(), set].concat())
    }

    fn topic(name: &str, settings: &[(&str, &str)]) -> Topic {
        let safe = [
            ("cleanup.policy", "compact"),
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
            ("max.message.bytes", "1048588"),
        ];
        let all = safe.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Topic { name: name.into(), partitions: 6, replication: 3, settings: Some(all.collect()) }
    }

    fn cluster() -> Cluster {
        Cluster {
            id: "cluster".into(),
            brokers: 3,
            checkpoint: Some(topic("outboxd.checkpoints", &[])),
            outputs: vec![topic("all.events", &[])],
            transaction_limit: Some(900_000),
        }
    }

    /// The findings that are not good.
    fn bad(change: impl FnOnce(&mut Cluster), set: &[&str]) -> Vec<(Level, &'static str)> {
        let mut cluster = cluster();
        change(&mut cluster);
        let found = inspect(&cluster, &config(set));
        found.into_iter().filter(|f| f.level != Level::Good).map(|f| (f.level, f.check)).collect()
    }

    #[test]
    fn a_safe_cluster_is_good_and_each_weakness_has_a_finding() {
        use Level::{Warning, Wrong};
        assert_eq!(bad(|_| {}, &[]), []);
        assert_eq!(bad(|c| c.transaction_limit = Some(30_000), &[]), [(Wrong, "transaction.timeout.ms")]);
        assert_eq!(bad(|c| c.transaction_limit = Some(30_000), &["kafka.delivery=at-least-once"]), []);
        let checkpoint = |setting: (&'static str, &'static str)| {
            move |c: &mut Cluster| c.checkpoint = Some(topic("outboxd.checkpoints", &[setting]))
        };
        assert_eq!(bad(checkpoint(("cleanup.policy", "delete")), &[]), [(Wrong, "cleanup.policy")]);
        assert_eq!(bad(checkpoint(("min.insync.replicas", "1")), &[]), [(Warning, "min.insync.replicas")]);
        let unclean = ("unclean.leader.election.enable", "true");
        assert_eq!(bad(checkpoint(unclean), &[]), [(Warning, "unclean.leader.election.enable")]);
        assert_eq!(bad(|c| c.checkpoint = None, &[]), []);
        let few = |c: &mut Cluster| c.outputs.iter_mut().for_each(|topic| topic.replication = 1);
        assert_eq!(bad(few, &[]), [(Warning, "replication")]);
        let small = |c: &mut Cluster| c.outputs = vec![topic("all.events", &[("max.message.bytes", "1000")])];
        assert_eq!(bad(small, &[]), [(Wrong, "max.message.bytes")]);
        assert_eq!(bad(|c| c.outputs.clear(), &[]), [(Wrong, "output topic")]);
        assert_eq!(bad(|c| c.outputs.clear(), &["kafka.create_topics=true"]), []);
        let hidden = |c: &mut Cluster| c.outputs.iter_mut().for_each(|topic| topic.settings = None);
        assert_eq!(bad(hidden, &[]), [(Warning, "max.message.bytes")]);
    }
}
