//! A relay under measurement: its configuration file, its process.

use std::path::{Path, PathBuf};

use testbed::Daemon;

use crate::Result;
use crate::stand::Stand;

/// One configuration of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) exactly_once: bool,
    /// The header `outboxd-source`, which the relay writes by default.
    pub(crate) source_header: bool,
}

impl Variant {
    pub(crate) fn describe(self) -> String {
        let delivery = if self.exactly_once { "exactly once" } else { "at least once" };
        let headers = if self.source_header { ", with source header" } else { "" };
        format!("{delivery}{headers}")
    }
}

/// One relay: name, transactional id, output topic and checkpoint topic are its own, so that runs share nothing.
#[derive(Debug)]
pub(crate) struct Relay {
    /// The only topic that its rows go to.
    pub(crate) topic: String,
    pub(crate) http: String,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Relay {
    /// Writes its configuration and creates its output topic. `start`: value of `source.start`.
    pub(crate) fn prepare(stand: &Stand, name: String, schema: &str, start: &str, variant: Variant) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let http = format!("127.0.0.1:{}", testbed::ports::free()?);
        let delivery = if variant.exactly_once { "exactly-once" } else { "at-least-once" };
        let text = format!(
            r#"
name = "{name}"
source.host = "127.0.0.1"
source.port = {port}
source.user = "outboxd"
source.password = "outboxd"
source.start = "{start}"
source.tls.mode = "disabled"
kafka.brokers = ["{brokers}"]
kafka.delivery = "{delivery}"
kafka.checkpoint_topic = "{name}.checkpoint"
kafka.replication_factor = 1
http.listen = "{http}"
outbox.main.table = "{schema}.outbox"
outbox.main.id = "id"
outbox.main.payload = "payload"
outbox.main.topic = "{name}.{{aggregate_type}}"
outbox.main.source_header = {source_header}
"#,
            port = stand.mysql.port(),
            brokers = stand.kafka.bootstrap(),
            source_header = variant.source_header,
        );
        let config = folder.path().join("outboxd.toml");
        std::fs::write(&config, text)?;
        let topic = format!("{name}.Order");
        stand.create_topic(&topic)?;
        Ok(Self { topic, http, config, _folder: folder })
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn run(&self, binary: &Path) -> Result<Daemon> {
        let arguments = [Path::new("run"), Path::new("-c"), &self.config];
        Ok(Daemon::start(binary, arguments)?)
    }
}
