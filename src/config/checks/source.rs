//! `[source]`: hosts, where to start, and what the relay calls itself there.

use super::not_empty;
use super::tls::tls;
use crate::config::layers::Sources;
use crate::config::settings::{Settings, quoted};
use crate::config::{ColumnNames, Host, SourceConfig, StartPosition, fingerprint, secret};
use crate::position::PositionMode;
use std::net::IpAddr;

pub(super) fn source(settings: &mut Settings<'_>, sources: &Sources, name: Option<&str>) -> Option<SourceConfig> {
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
    let hash = fingerprint::Fnv::of(name.as_bytes());
    u32::try_from(LOWEST + hash % ((1 << 32) - LOWEST)).unwrap_or(u32::MAX)
}

/// The UUID that a relay registers with (RFC 9562, version 8): stable for a name.
fn derive_replica_uuid(name: &str) -> uuid::Uuid {
    let half = |salt: &str| fingerprint::Fnv::of(format!("{salt}{name}").as_bytes()).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half("outboxd/1/"));
    bytes[8..].copy_from_slice(&half("outboxd/2/"));
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
