//! What the promises share: an outbox of its own for each test, a relay for it, and what Kafka then shows.

pub(crate) mod ending;
pub(crate) mod reader;

use std::path::PathBuf;
use std::time::Duration;

use testbed::{Daemon, Isolation, Kafka, Mysql, Observed, Observer};

/// Long enough for a loaded machine; only a broken relay takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The relay under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_outboxd");

/// One test's outbox: a schema, a table `outbox` in it, a relay name and topics, all named after the test.
pub(crate) struct Outbox<'a> {
    /// Schema, relay name, and start of every topic name.
    pub(crate) name: String,
    /// Source.
    pub(crate) mysql: &'a Mysql,
    /// Sink.
    pub(crate) kafka: &'a Kafka,
    /// TOML keys besides the usual ones; a table header may stand in it only at the end.
    pub(crate) extra: String,
    /// Where the relay serves HTTP.
    pub(crate) http: String,
    folder: tempfile::TempDir,
}

impl<'a> Outbox<'a> {
    /// Creates schema and table; `name` is unique among the tests.
    pub(crate) fn new(name: &str, mysql: &'a Mysql, kafka: &'a Kafka) -> Self {
        mysql.sql(&format!("CREATE DATABASE `{name}`; {}", Self::table(name, "outbox"))).unwrap();
        let http = format!("127.0.0.1:{}", testbed::ports::free().unwrap());
        let folder = tempfile::tempdir().unwrap();
        Self { name: name.to_owned(), mysql, kafka, extra: String::new(), http, folder }
    }

    /// DDL of an outbox table as Debezium's documentation has it.
    pub(crate) fn table(schema: &str, table: &str) -> String {
        format!(
            "CREATE TABLE `{schema}`.`{table}` (id CHAR(36) NOT NULL PRIMARY KEY, aggregatetype VARCHAR(255) NOT NULL, \
             aggregateid VARCHAR(255) NOT NULL, type VARCHAR(255) NOT NULL, payload JSON);"
        )
    }

    /// The topic of an aggregate type.
    pub(crate) fn topic(&self, aggregate_type: &str) -> String {
        format!("{}.{aggregate_type}", self.name)
    }

    /// Inserts one row as a transaction of its own.
    pub(crate) fn insert(&self, id: &str, aggregate_type: &str, key: &str, payload: &str) {
        let Self { name, .. } = self;
        self.mysql
            .sql(&format!(
                "INSERT INTO `{name}`.outbox VALUES ('{id}', '{aggregate_type}', '{key}', 'Happened', '{payload}')"
            ))
            .unwrap();
    }

    /// Writes the configuration file and returns its path.
    pub(crate) fn config(&self) -> PathBuf {
        let Self { name, extra, http, .. } = self;
        let text = format!(
            r#"
name = "{name}"
source.host = "127.0.0.1"
source.port = {port}
source.user = "outboxd"
source.password = "outboxd"
source.tls.mode = "disabled"
source.heartbeat = "1s"
kafka.brokers = ["{brokers}"]
kafka.create_topics = true
kafka.partitions = 3
kafka.replication_factor = 1
http.listen = "{http}"
log.format = "text"
outbox.main.table = "{name}.outbox"
outbox.main.id = "id"
outbox.main.aggregate_type = "aggregatetype"
outbox.main.aggregate_id = "aggregateid"
outbox.main.event_type = "type"
outbox.main.payload = "payload"
outbox.main.topic = "{name}.{{aggregate_type}}"
outbox.main.headers.eventType = "type"
{extra}
"#,
            port = self.mysql.port(),
            brokers = self.kafka.bootstrap(),
        );
        let path = self.folder.path().join("outboxd.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts the relay; does not wait for it.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the relay with further arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Daemon {
        let config = self.config();
        let mut all = vec!["run", "-c", config.to_str().unwrap()];
        all.extend_from_slice(arguments);
        Daemon::start(BINARY, &all).unwrap()
    }

    /// Starts the relay and waits until it streams.
    pub(crate) fn stream(&self) -> Daemon {
        let daemon = self.start();
        self.wait_ready();
        daemon
    }

    /// Waits until the relay is ready.
    pub(crate) fn wait_ready(&self) {
        testbed::wait::until(PATIENCE, "the relay is ready", || {
            self.get("/readyz").is_some_and(|(code, _)| code == 200)
        })
        .unwrap();
    }

    /// An endpoint's answer, if it answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        testbed::http_get(&self.http, path).ok()
    }

    /// Waits until the relay has delivered this many records since it started.
    pub(crate) fn wait_delivered(&self, records: u64) {
        testbed::wait::until(PATIENCE, "records are delivered", || {
            let status =
                self.get("/status").and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(&body).ok());
            status.is_some_and(|s| s["delivered"]["records"].as_u64() >= Some(records))
        })
        .unwrap();
    }

    /// Everything that a `read_committed` consumer sees in these topics.
    pub(crate) fn seen(&self, aggregate_types: &[&str]) -> Vec<Observed> {
        let topics: Vec<String> = aggregate_types.iter().map(|t| self.topic(t)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        Observer::read_all(self.kafka, &topics, Isolation::ReadCommitted).unwrap()
    }
}
