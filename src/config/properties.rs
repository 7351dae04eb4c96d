//! `[kafka.librdkafka]`: which properties may be passed through.

use super::DeliveryMode;
use super::settings::Settings;

/// Properties that carry the guarantee; the reason is shown.
const OURS: &[(&[&str], &str)] = &[
    (&["transactional.id"], "it is the relay's identity; set `name`"),
    (&["enable.idempotence", "enable.gapless.guarantee"], "without it retries could repeat or reorder records"),
    (&["acks", "request.required.acks"], "a record must be on all in-sync replicas before the checkpoint covers it"),
    (&["isolation.level"], "the checkpoint is only read from committed Kafka transactions"),
    (&["bootstrap.servers", "metadata.broker.list"], "set kafka.brokers"),
    (&["partitioner", "partitioner_cb"], "records with one key must stay in one partition, whatever the client"),
    (
        &["group.id", "group.instance.id", "enable.auto.commit", "auto.commit.enable", "enable.auto.offset.store"],
        "outboxd reads the checkpoint without a consumer group",
    ),
    (&["session.timeout.ms"], "set ha.session_timeout"),
    (
        &["heartbeat.interval.ms", "max.poll.interval.ms", "partition.assignment.strategy", "group.protocol"],
        "instances in hot standby must agree about them",
    ),
    (&["auto.offset.reset"], "outboxd seeks to the checkpoint itself"),
    (&["allow.auto.create.topics"], "set kafka.create_topics"),
    (&["delivery.report.only.error"], "outboxd counts every acknowledgement"),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "more could reorder records, fewer only slow them down",
    ),
    (&["queue.buffering.max.messages", "queue.buffering.max.kbytes"], "set batch.max_records and batch.max_bytes"),
    (&["queue.buffering.max.ms", "linger.ms"], "set batch.linger"),
    (&["retries", "message.send.max.retries"], "outboxd retries until the Kafka transaction times out"),
];

/// Properties that could read files, call addresses or load code that nobody expects.
const DANGEROUS: &[(&[&str], &str)] = &[
    (&["plugin.library.paths", "ssl.engine.location", "ssl.providers"], "it loads code into outboxd"),
    (&["sasl.kerberos.kinit.cmd"], "it makes outboxd run a command"),
    (&["sasl.oauthbearer.token.endpoint.url"], "it makes outboxd call an address with its credentials"),
];

const TRANSACTION: &str = "transaction.timeout.ms";

/// Checks the properties and hands them on, in the order of the file.
pub(super) fn properties(settings: &mut Settings<'_>, delivery: Option<DeliveryMode>) -> Vec<(String, String)> {
    let all = settings.entries("kafka.librdkafka");
    for (name, value) in &all {
        if let Some(reason) = reason(OURS, name) {
            settings.fail_key(&full(name), format!("{name} is outboxd's to set: {reason}"));
        } else if let Some(reason) = reason(DANGEROUS, name) {
            settings.fail_key(&full(name), format!("{name} is refused: {reason}"));
        } else if name == "sasl.oauthbearer.method" && value.eq_ignore_ascii_case("oidc") {
            settings.fail(&full(name), format!("{name} = \"oidc\" is refused: it makes outboxd call a token address"));
        } else {
            warn(settings, name, value);
        }
    }
    if delivery != Some(DeliveryMode::AtLeastOnce) {
        check_timeouts(settings, &all);
    }
    check_backoff(settings, &all);
    all
}

fn reason(list: &[(&[&str], &'static str)], name: &str) -> Option<&'static str> {
    list.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason)
}

fn full(name: &str) -> String {
    format!("kafka.librdkafka.{name}")
}

fn warn(settings: &mut Settings<'_>, name: &str, value: &str) {
    let message = match (name, value) {
        ("debug", _) => "librdkafka's debug output is large and may hold keys and values",
        ("enable.ssl.certificate.verification", "false") => "anyone on the path can pose as the broker",
        ("ssl.endpoint.identification.algorithm", "none") => {
            "any certificate of a trusted authority can pose as the broker"
        }
        _ => return,
    };
    settings.warn(&full(name), format!("{name} = {value}: {message}"));
}

/// librdkafka refuses these combinations only when the producer is created, in its own words.
fn check_timeouts(settings: &mut Settings<'_>, all: &[(String, String)]) {
    let transaction = number(settings, all, &[TRANSACTION]).map_or(60_000, |(_, value)| value);
    let message = number(settings, all, &["message.timeout.ms", "delivery.timeout.ms"]);
    if let Some((name, value)) = message.filter(|(_, value)| *value > transaction) {
        let text = format!("{name} = {value} must not exceed {TRANSACTION} = {transaction}");
        settings.fail(&full(name), text);
    }
    let socket = number(settings, all, &["socket.timeout.ms"]);
    if let Some((name, value)) = socket.filter(|(_, value)| *value > transaction + 100) {
        let text = format!("{name} = {value} must not exceed {TRANSACTION} + 100 = {}", transaction + 100);
        settings.fail(&full(name), text);
    }
}

fn check_backoff(settings: &mut Settings<'_>, all: &[(String, String)]) {
    let most = number(settings, all, &["retry.backoff.max.ms"]).map_or(1_000, |(_, value)| value);
    let least = number(settings, all, &["retry.backoff.ms"]);
    if let Some((name, value)) = least.filter(|(_, value)| *value > most) {
        settings.fail(&full(name), format!("{name} = {value} must not exceed retry.backoff.max.ms = {most}"));
    }
}

fn number<'a>(settings: &mut Settings<'_>, all: &[(String, String)], names: &[&'a str]) -> Option<(&'a str, i64)> {
    let (found, value) = all.iter().find(|(name, _)| names.contains(&name.as_str()))?;
    let name = names.iter().find(|name| *name == found)?;
    let number = value.trim().parse::<i32>().ok().filter(|number| *number >= 0);
    if number.is_none() {
        settings.fail(&full(name), format!("{name} must be a whole number of milliseconds"));
    }
    number.map(|number| (*name, i64::from(number)))
}
