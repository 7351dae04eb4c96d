//! `server.properties` of each node, and the formatting of its storage.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Kafka;

/// The oracle looks at every checkpoint, also at the end of a long run: nothing may be compacted away before.
const COMPACTION_LAG_MS: u64 = 24 * 3_600_000;

/// Any UUID in Kafka's base64 spelling will do: clusters are told apart by their ports.
const CLUSTER_ID: &str = "b3V0Ym94ZC10ZXN0YmVkMQ";

impl Kafka {
    pub(super) fn properties_file(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("node-{node}.properties"))
    }

    pub(super) fn write_properties(&self) -> Result<()> {
        for node in 0..self.nodes.len() {
            let path = self.properties_file(node);
            fs::write(&path, self.properties(node)?).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn format(&self, node: usize) -> Result<()> {
        self.tool("kafka.tools.StorageTool", ["format", "-t", CLUSTER_ID, "-c"])
            .arg(self.properties_file(node))
            .run()
            .context("formatting Kafka's storage")?;
        Ok(())
    }

    fn properties(&self, node: usize) -> Result<String> {
        let ports = self.nodes[node].ports;
        let voters: Vec<String> = (self.nodes.iter().enumerate())
            .map(|(id, node)| format!("{id}@127.0.0.1:{}", node.ports.controller))
            .collect();
        let advertised = match &self.options.advertised {
            Some(advertised) => advertised[node].clone(),
            None => format!("127.0.0.1:{}", ports.external),
        };
        let replicas = self.nodes.len();
        let min_isr = replicas.min(2);
        let data = self.dir.path().join(format!("node-{node}"));
        let mut text = format!(
            "process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=EXTERNAL://127.0.0.1:{external},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=EXTERNAL://{advertised},INTERNAL://127.0.0.1:{internal}
listener.security.protocol.map=EXTERNAL:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
log.dirs={data}
default.replication.factor={replicas}
min.insync.replicas={min_isr}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={min_isr}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={min_isr}
offsets.topic.num.partitions=5
transaction.state.log.num.partitions=5
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.min.compaction.lag.ms={COMPACTION_LAG_MS}
",
            voters = voters.join(","),
            external = ports.external,
            internal = ports.internal,
            controller = ports.controller,
            data = data.display(),
        );
        for (key, value) in &self.options.properties {
            writeln!(text, "{key}={value}")?;
        }
        Ok(text)
    }
}
