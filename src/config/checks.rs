//! Typed settings → the checked sections. Each function looks at everything in its section before it gives up, so that
//! one run reports all mistakes.

use super::layers::Sources;
use super::properties::properties;
use super::settings::{Settings, quoted};
use super::template::ensure_topic_name;
use super::{
    BatchConfig, Config, DeliveryMode, HaConfig, HttpConfig, KafkaConfig, LogConfig, LogFormat, Oversize, outboxes,
};
use source::source;
use std::net::SocketAddr;

mod source;
mod tls;

pub use source::derive_server_id;

/// Checks everything. `None` only if a mistake was reported.
pub(super) fn config(settings: &mut Settings<'_>, sources: &Sources) -> Option<Config> {
    let name = settings.checked("name", ensure_name);
    let source = source(settings, sources, name.as_deref());
    let kafka = kafka(settings);
    let batch = batch(settings);
    let outboxes = outboxes::outboxes(settings, kafka.as_ref().map(|kafka| kafka.checkpoint_topic.as_str()));
    let http = http(settings);
    let log = log(settings);
    let ha = ha(settings, kafka.as_ref());
    let shutdown_timeout = settings.duration("shutdown_timeout");
    Some(Config {
        name: name?,
        shutdown_timeout: shutdown_timeout?,
        source: source?,
        kafka: kafka?,
        batch: batch?,
        ha: ha?,
        outboxes,
        http: http?,
        log: log?,
    })
}

fn ensure_name(name: &str) -> Result<String, String> {
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if legal && (1..=100).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    Err("must be 1 to 100 letters, digits, `.`, `_` or `-`: it becomes Kafka's transactional id".into())
}

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.to_owned()) }
}

fn kafka(settings: &mut Settings<'_>) -> Option<KafkaConfig> {
    let brokers = brokers(settings);
    let checkpoint_topic =
        settings.checked("kafka.checkpoint_topic", |name| ensure_topic_name(name).map(|()| name.to_owned()));
    if settings.integer("kafka.replication_factor") == Some(0) {
        settings.fail(
            "kafka.replication_factor",
            "kafka.replication_factor = 0 must be -1 (the broker's default) or at least 1",
        );
    }
    let delivery = settings.text("kafka.delivery").map(|mode| match mode.as_str() {
        "at-least-once" => DeliveryMode::AtLeastOnce,
        _ => DeliveryMode::ExactlyOnce,
    });
    let librdkafka = properties(settings, delivery);
    Some(KafkaConfig {
        brokers: brokers?,
        delivery: delivery?,
        checkpoint_topic: checkpoint_topic?,
        checkpoint_partition: settings.integer("kafka.checkpoint_partition"),
        create_topics: settings.flag("kafka.create_topics")?,
        partitions: settings.integer("kafka.partitions")?,
        replication_factor: settings.integer("kafka.replication_factor")?,
        librdkafka,
    })
}

fn brokers(settings: &mut Settings<'_>) -> Option<Vec<String>> {
    const KEY: &str = "kafka.brokers";
    let brokers = settings.list(KEY)?;
    if brokers.is_empty() {
        settings.fail(KEY, "kafka.brokers names no broker");
    }
    for (index, broker) in brokers.iter().enumerate() {
        if !is_address(broker) {
            let hint =
                if broker.contains("://") { "; the protocol is security.protocol in [kafka.librdkafka]" } else { "" };
            settings.fail_item(KEY, index, format!("kafka.brokers: {} is not host:port{hint}", quoted(broker)));
        }
    }
    Some(brokers)
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_ok = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && !host.contains([':', '/', ',', '@', '[', ']']) && !host.contains(char::is_whitespace)
        }
    };
    host_ok && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn batch(settings: &Settings<'_>) -> Option<BatchConfig> {
    Some(BatchConfig {
        max_bytes: settings.size("batch.max_bytes")?,
        max_records: settings.integer("batch.max_records")?,
        linger: settings.duration("batch.linger")?,
        max_stream_bytes: settings.size("batch.max_stream_bytes")? as u64,
        oversize: match settings.text("batch.oversize")?.as_str() {
            "split" => Oversize::Split,
            _ => Oversize::Stream,
        },
    })
}

fn ha(settings: &mut Settings<'_>, kafka: Option<&KafkaConfig>) -> Option<HaConfig> {
    let standby = settings.flag("ha.standby")?;
    if standby && kafka.is_some_and(|kafka| kafka.delivery == DeliveryMode::AtLeastOnce) {
        settings.fail(
            "ha.standby",
            "ha.standby = true needs kafka.delivery = \"exactly-once\": without its fence two instances could write at once",
        );
    }
    Some(HaConfig { standby, session_timeout: settings.duration("ha.session_timeout")? })
}

fn http(settings: &mut Settings<'_>) -> Option<HttpConfig> {
    let listen = settings.checked("http.listen", |text| match text {
        "" | "off" => Ok(None),
        _ => text
            .parse::<SocketAddr>()
            .map(Some)
            .map_err(|_| "must be ip:port, e.g. \"127.0.0.1:9464\", or \"off\"".into()),
    })?;
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        settings.warn(
            "http.listen",
            "health and metrics can be read by everyone who reaches this address: they carry no password",
        );
    }
    Some(HttpConfig { listen })
}

fn log(settings: &mut Settings<'_>) -> Option<LogConfig> {
    let level = settings.checked("log.level", ensure_level);
    let format = match settings.text("log.format")?.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => LogFormat::Auto,
    };
    Some(LogConfig { format, level: level? })
}

/// A bare word that is no level would be taken as a target, and log nothing else.
fn ensure_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    for directive in text.split(',').map(str::trim) {
        if !directive.contains(['=', '[']) && !is_level(directive) {
            let hint = super::keys::closest(directive, LEVELS).map(|level| format!("; did you mean {level:?}?"));
            return Err(format!("must be a level ({}) or TARGET=LEVEL{}", LEVELS.join(", "), hint.unwrap_or_default()));
        }
    }
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not a list of filter directives, e.g. \"outboxd=debug,info\"".into()),
    }
}
