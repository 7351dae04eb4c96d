//! A configured relay: started, asked, waited for.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use testbed::{Daemon, wait};

/// Long enough for a loaded machine; only a broken relay takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The relay under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_outboxd");

/// One configuration of a relay. Two of the same name are two instances of one relay.
pub(crate) struct Instance {
    /// Schema, relay name, and start of every topic name.
    pub(crate) name: String,
    /// Port of MySQL, or of what stands before it.
    pub(crate) source: u16,
    /// Ports of further servers of `source.hosts`.
    pub(crate) more_sources: Vec<u16>,
    /// Kafka's bootstrap addresses.
    pub(crate) brokers: String,
    /// TOML keys besides the usual ones; a table header may stand in it only at the end.
    pub(crate) extra: String,
    /// Where the relay serves HTTP.
    pub(crate) http: String,
    folder: tempfile::TempDir,
}

impl Instance {
    pub(crate) fn new(name: &str, source: u16, brokers: &str) -> Self {
        let http = format!("127.0.0.1:{}", testbed::ports::free().unwrap());
        let folder = tempfile::tempdir().unwrap();
        Self {
            name: name.to_owned(),
            source,
            more_sources: Vec::new(),
            brokers: brokers.to_owned(),
            extra: String::new(),
            http,
            folder,
        }
    }

    /// The topic of an aggregate type.
    pub(crate) fn topic(&self, aggregate_type: &str) -> String {
        format!("{}.{aggregate_type}", self.name)
    }

    /// Writes the configuration file and returns its path.
    pub(crate) fn config(&self) -> PathBuf {
        let Self { name, source, more_sources, brokers, extra, http, .. } = self;
        let hosts = [source].into_iter().chain(more_sources).map(|port| format!("\"127.0.0.1:{port}\""));
        let place = match more_sources.is_empty() {
            true => format!("source.host = \"127.0.0.1\"\nsource.port = {source}"),
            false => format!("source.hosts = [{}]", hosts.collect::<Vec<_>>().join(", ")),
        };
        let text = format!(
            r#"
name = "{name}"
{place}
source.user = "outboxd"
source.password = "outboxd"
source.tls.mode = "disabled"
source.heartbeat = "1s"
kafka.brokers = ["{brokers}"]
kafka.create_topics = true
kafka.partitions = 3
kafka.replication_factor = -1
http.listen = "{http}"
log.format = "text"
outbox.main.table = "{name}.outbox"
{main}
{extra}
"#,
            main = Self::mapping("main", name),
            brokers = brokers.replace(',', "\", \""),
        );
        let path = self.folder.path().join("outboxd.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The usual mapping of the outbox called `outbox`, but for its table.
    pub(crate) fn mapping(outbox: &str, name: &str) -> String {
        format!(
            r#"outbox.{outbox}.id = "id"
outbox.{outbox}.aggregate_type = "aggregatetype"
outbox.{outbox}.aggregate_id = "aggregateid"
outbox.{outbox}.event_type = "type"
outbox.{outbox}.payload = "payload"
outbox.{outbox}.topic = "{name}.{{aggregate_type}}"
outbox.{outbox}.headers.eventType = "type"
"#
        )
    }

    /// Starts the relay; does not wait for it.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the relay with further arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Daemon {
        self.start_armed(arguments, None)
    }

    /// Starts the relay with `OUTBOXD_FAILPOINT`.
    pub(crate) fn start_armed(&self, arguments: &[&str], failpoint: Option<&str>) -> Daemon {
        let config = self.config();
        let mut all = vec!["run", "-c", config.to_str().unwrap()];
        all.extend_from_slice(arguments);
        Daemon::start_with_env(BINARY, &all, failpoint.map(|failpoint| ("OUTBOXD_FAILPOINT", failpoint))).unwrap()
    }

    /// Starts the relay and waits until it streams.
    pub(crate) fn stream(&self) -> Daemon {
        let mut daemon = self.start();
        wait::until(PATIENCE, "the relay is ready", || {
            assert_eq!(daemon.exited().unwrap(), None, "the relay has ended:\n{}", daemon.lines().join("\n"));
            self.is_ready()
        })
        .unwrap();
        daemon
    }

    /// Waits until the relay is ready.
    pub(crate) fn wait_ready(&self) {
        wait::until(PATIENCE, "the relay is ready", || self.is_ready()).unwrap();
    }

    /// Whether the relay streams.
    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(code, _)| code == 200)
    }

    /// An endpoint's answer, if it answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        testbed::http_get(&self.http, path).ok()
    }

    /// `GET /status`; null while the relay does not answer.
    pub(crate) fn status(&self) -> Value {
        self.get("/status").and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    /// Records delivered since the relay started.
    pub(crate) fn delivered(&self) -> u64 {
        self.status()["delivered"]["records"].as_u64().unwrap_or(0)
    }

    /// Waits until the relay has delivered this many records since it started.
    pub(crate) fn wait_delivered(&self, records: u64) {
        wait::until(PATIENCE, "records are delivered", || self.delivered() >= records).unwrap();
    }
}
