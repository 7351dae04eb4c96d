//! Typed settings → the checked sections. Each function looks at everything in its section before it gives up, so that
//! one run reports all mistakes.

use super::layers::Sources;
use super::properties::properties;
use super::settings::{Settings, quoted};
use super::template::ensure_topic_name;
use super::{
    BatchConfig, ColumnNames, Config, DeliveryMode, HaConfig, Host, HttpConfig, KafkaConfig, LogConfig, LogFormat,
    Oversize, SourceConfig, StartPosition, TlsConfig, TlsMode, outboxes, secret,
};
use crate::position::PositionMode;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

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

fn source(settings: &mut Settings<'_>, sources: &Sources, name: Option<&str>) -> Option<SourceConfig> {
    let hosts = hosts(settings);
    let user = settings.checked("source.user", not_empty);
    let password = secret::resolve(settings, sources);
    let start = settings.checked("source.start", parse_start);
    let tls = tls(settings, hosts.as_deref());
    let server_id = match settings.integer("source.server_id") {
        Some(0) => name.map(derive_server_id),
        given => given,
    };
    let column_names = match settings.text("source.column_names")?.as_str() {
        "information_schema" => ColumnNames::InformationSchema,
        _ => ColumnNames::Metadata,
    };
    Some(SourceConfig {
        hosts: hosts?,
        user: user?,
        password: password?,
        start: start?,
        positions: match settings.text("source.positions")?.as_str() {
            "gtid" => Some(PositionMode::Gtid),
            "file" => Some(PositionMode::File),
            _ => None,
        },
        server_id: server_id?,
        replica_uuid: derive_replica_uuid(name?),
        heartbeat: settings.duration("source.heartbeat")?,
        column_names,
        tls: tls?,
    })
}

/// One host, or a list of them.
fn hosts(settings: &mut Settings<'_>) -> Option<Vec<Host>> {
    const LIST: &str = "source.hosts";
    let port = settings.integer("source.port");
    match (settings.is_given("source.host"), settings.is_given(LIST)) {
        (false, false) => {
            settings.fail("source.host", "source.host is required");
            None
        }
        (true, true) => {
            settings.fail_key(LIST, "set only one of source.host and source.hosts");
            None
        }
        (true, false) => Some(vec![Host { name: settings.checked("source.host", ensure_host)?, port: port? }]),
        (false, true) => {
            let items = settings.list(LIST)?;
            if items.is_empty() {
                settings.fail(LIST, "source.hosts names no host");
            }
            let mut hosts = Vec::new();
            for (index, item) in items.iter().enumerate() {
                match parse_host(item, port.unwrap_or_default()) {
                    Ok(host) => hosts.push(host),
                    Err(problem) => {
                        settings.fail_item(LIST, index, format!("source.hosts: {} {problem}", quoted(item)))
                    }
                }
            }
            port.map(|_| hosts)
        }
    }
}

/// `host`, `host:port`, `[address]:port`; an address with colons and no brackets is a host.
fn parse_host(text: &str, port: u16) -> Result<Host, String> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(Host { name: text.to_owned(), port });
    }
    let (name, port) = match text.rsplit_once(':') {
        None => (text, port),
        Some((name, number)) => {
            let number = number.parse().ok().filter(|number| *number != 0);
            (
                name.trim_start_matches('[').trim_end_matches(']'),
                number.ok_or("has no port from 1 to 65535 behind the colon")?,
            )
        }
    };
    ensure_host(name).map(|name| Host { name, port })
}

fn ensure_host(host: &str) -> Result<String, String> {
    match host {
        "" => Err("is empty".into()),
        _ if host.contains(['/', '@']) || host.contains(char::is_whitespace) => {
            Err("is not a host name or address".into())
        }
        _ if host.contains(':') && host.parse::<IpAddr>().is_err() => {
            Err("is not a host name or address; the port goes into source.port".into())
        }
        _ => Ok(host.to_owned()),
    }
}

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".into()) } else { Ok(text.to_owned()) }
}

fn parse_start(text: &str) -> Result<StartPosition, String> {
    if let Some(set) = text.strip_prefix("gtid:") {
        if set.trim().is_empty() {
            return Err("names no GTID; from the very beginning is \"earliest\"".into());
        }
        let parsed = set.parse().map_err(|error| format!("is not a GTID set: {error}"))?;
        return Ok(StartPosition::Gtid(parsed));
    }
    if let Some(position) = text.strip_prefix("file:") {
        let wrong = "must be file:NAME:POSITION, e.g. \"file:binlog.000031:4\"";
        let (name, offset) = position.rsplit_once(':').ok_or(wrong)?;
        let offset: u64 = offset.parse().map_err(|_| wrong)?;
        if name.is_empty() || name.contains('/') {
            return Err(wrong.into());
        }
        if offset < 4 {
            return Err("is before the first event of a binlog file, which is at 4".into());
        }
        return Ok(StartPosition::File { name: name.to_owned(), offset });
    }
    match text {
        "now" => Ok(StartPosition::Now),
        "earliest" => Ok(StartPosition::Earliest),
        "snapshot" => Err("comes in a later version; use now, earliest, gtid:SET or file:NAME:POSITION".into()),
        _ => Err("must be now, earliest, gtid:SET or file:NAME:POSITION".into()),
    }
}

/// The replica server id of a relay that was not given one: stable for a name, spread over 1000000 ..= 2^32 - 1, so
/// that it stays clear of the small numbers that people give to servers.
pub fn derive_server_id(name: &str) -> u32 {
    const LOWEST: u64 = 1_000_000;
    let hash = super::fingerprint::Fnv::of(name.as_bytes());
    u32::try_from(LOWEST + hash % ((1 << 32) - LOWEST)).unwrap_or(u32::MAX)
}

/// The UUID that a relay registers with (RFC 9562, version 8): stable for a name.
fn derive_replica_uuid(name: &str) -> uuid::Uuid {
    let half = |salt: &str| super::fingerprint::Fnv::of(format!("{salt}{name}").as_bytes()).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half("outboxd/1/"));
    bytes[8..].copy_from_slice(&half("outboxd/2/"));
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn tls(settings: &mut Settings<'_>, hosts: Option<&[Host]>) -> Option<TlsConfig> {
    let far = hosts.map(|hosts| hosts.iter().find(|host| !is_loopback(&host.name)));
    let mode = match settings.text("source.tls.mode").as_deref() {
        Some("disabled") => Some(TlsMode::Disabled),
        Some("required") => Some(TlsMode::Required),
        Some("verify-ca") => Some(TlsMode::VerifyCa),
        Some(_) => Some(TlsMode::VerifyIdentity),
        None if settings.is_given("source.tls.mode") => None,
        None => far.map(|far| if far.is_none() { TlsMode::Disabled } else { TlsMode::VerifyIdentity }),
    };
    let allowed = settings.flag("source.tls.allow_plaintext");
    if let (Some(TlsMode::Disabled), Some(Some(Host { name: host, .. })), Some(false)) = (mode, far, allowed) {
        let message = format!(
            "refusing plaintext to {host}: anyone on the path could read every change of every table; use \
             \"verify-identity\", or set source.tls.allow_plaintext = true"
        );
        settings.fail("source.tls.mode", message);
    }
    if mode == Some(TlsMode::Required) {
        settings.warn(
            "source.tls.mode",
            "source.tls.mode = \"required\" does not verify the server: anyone on the path can pose as it",
        );
    }
    let ca = settings.text("source.tls.ca").map(PathBuf::from);
    check_ca(settings, ca.as_ref(), mode);
    Some(TlsConfig { mode: mode?, ca })
}

fn check_ca(settings: &mut Settings<'_>, ca: Option<&PathBuf>, mode: Option<TlsMode>) {
    const KEY: &str = "source.tls.ca";
    let Some(path) = ca else { return };
    match std::fs::read(path) {
        Err(error) => settings.fail(KEY, format!("{KEY} {}: {}", path.display(), secret::explain(&error))),
        Ok(text) if !String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") => {
            settings.fail(KEY, format!("{KEY} {} holds no PEM certificate", path.display()));
        }
        Ok(_) if matches!(mode, Some(TlsMode::Disabled | TlsMode::Required)) => {
            settings.warn(KEY, "source.tls.ca is not used: source.tls.mode does not verify the server");
        }
        Ok(_) => {}
    }
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
