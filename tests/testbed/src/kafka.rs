//! A real Kafka cluster of one or three combined KRaft nodes on loopback ports.
//!
//! Each node has two listeners for clients. `EXTERNAL` is what the system under test is given by
//! [`Kafka::bootstrap`]; its advertised addresses may be a proxy's. `INTERNAL` is used between brokers and by the
//! testbed's own tools, so that no fault injected on the way of the first disturbs the second.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::cache::{RunDir, Servers};
use crate::process::{self, Process};
use crate::{ports, wait};

mod log;
mod probe;
mod properties;
mod tools;

const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// What Java says of it, in the middle of a long log.
const PORT_TAKEN: &str = "Address already in use";
const START_ATTEMPTS: usize = 3;

/// How a cluster is set up.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// The number of nodes, 1 or 3.
    pub brokers: usize,
    /// Lines of `server.properties` for all nodes; they win over the ones set here.
    pub properties: Vec<(String, String)>,
    /// What each node's `EXTERNAL` listener advertises instead of its own `host:port`.
    pub advertised: Option<Vec<String>>,
    /// Options of the broker's Java machine.
    pub jvm: Vec<String>,
}

impl Default for KafkaOptions {
    /// One node whose Java machine is tuned to start fast.
    fn default() -> Self {
        Self {
            brokers: 1,
            properties: Vec::new(),
            advertised: None,
            jvm: ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned).to_vec(),
        }
    }
}

/// Set to 3 by `make test-crash`.
const BROKERS: &str = "OUTBOXD_BROKERS";

impl KafkaOptions {
    /// As many nodes as `OUTBOXD_BROKERS` says, 1 or 3; one if it is not set.
    pub fn from_env() -> Result<Self> {
        let brokers = match std::env::var(BROKERS) {
            Ok(count) => count.parse().with_context(|| format!("{BROKERS}={count}"))?,
            Err(_) => 1,
        };
        Ok(Self { brokers, ..Self::default() })
    }

    /// One or three nodes whose Java machines are as in production, but for the heap: for measurements.
    #[must_use]
    pub fn for_bench(brokers: usize) -> Self {
        Self { brokers, jvm: ["-Xms768m", "-Xmx768m", "-XX:+UseG1GC"].map(str::to_owned).to_vec(), ..Self::default() }
    }
}

#[derive(Debug)]
struct Node {
    ports: NodePorts,
    process: Option<Process>,
}

#[derive(Debug, Clone, Copy)]
struct NodePorts {
    external: u16,
    internal: u16,
    controller: u16,
}

/// A running Kafka cluster. Nodes are counted from 0. Ends when dropped.
#[derive(Debug)]
pub struct Kafka {
    nodes: Vec<Node>,
    options: KafkaOptions,
    servers: Servers,
    dir: RunDir,
}

impl Kafka {
    /// Starts the cluster and waits until every node serves clients and knows the others.
    pub fn start(options: KafkaOptions) -> Result<Self> {
        ensure!(matches!(options.brokers, 1 | 3), "one or three brokers");
        if let Some(advertised) = &options.advertised {
            ensure!(advertised.len() == options.brokers, "one advertised address per node");
        }
        let servers = Servers::find()?;
        let mut attempt = 1;
        loop {
            match Self::try_start(options.clone(), servers.clone()) {
                // Somebody else on this machine may take a port between our look and Kafka's.
                Err(error) if attempt < START_ATTEMPTS && error.to_string() == PORT_TAKEN => attempt += 1,
                result => return result,
            }
        }
    }

    fn try_start(options: KafkaOptions, servers: Servers) -> Result<Self> {
        let nodes = (0..options.brokers)
            .map(|_| {
                Ok(Node {
                    ports: NodePorts { external: ports::free()?, internal: ports::free()?, controller: ports::free()? },
                    process: None,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut kafka = Self { nodes, options, servers, dir: RunDir::new("kafka")? };
        kafka.write_properties()?;
        for node in 0..kafka.nodes.len() {
            kafka.format(node)?;
        }
        for node in 0..kafka.nodes.len() {
            kafka.launch(node)?;
        }
        for node in 0..kafka.nodes.len() {
            kafka.wait_ready(node, kafka.nodes.len())?;
        }
        Ok(kafka)
    }

    fn launch(&mut self, node: usize) -> Result<()> {
        let ports = self.node(node)?.ports;
        wait::until(START_TIMEOUT, "the node's ports to be free", || {
            [ports.external, ports.internal, ports.controller].into_iter().all(ports::is_free)
        })?;
        let mut command = self.java(&self.options.jvm);
        command
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=info")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("kafka.Kafka")
            .arg(self.properties_file(node));
        process::log_to(&mut command, &self.log_file(node))?;
        self.nodes[node].process = Some(process::spawn(command)?);
        Ok(())
    }

    /// Waits until `node` answers and tells of at least `brokers` live brokers.
    fn wait_ready(&mut self, node: usize, brokers: usize) -> Result<()> {
        let log = self.log_file(node);
        let node = self.node_mut(node)?;
        let process = node.process.as_mut().context("the node is stopped")?;
        let mut ended = None;
        wait::until(START_TIMEOUT, "the broker to be ready", || {
            ended = process.exited().ok().flatten();
            ended.is_some() || probe::live_brokers(node.ports.internal).is_ok_and(|live| live >= brokers)
        })
        .with_context(|| process::tail(&log))?;
        if ended.is_some() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            ensure!(!text.contains(PORT_TAKEN), "{PORT_TAKEN}");
            bail!("the broker ended:\n{}", process::tail(&log));
        }
        Ok(())
    }

    fn node(&self, node: usize) -> Result<&Node> {
        self.nodes.get(node).with_context(|| format!("there is no node {node}"))
    }

    fn node_mut(&mut self, node: usize) -> Result<&mut Node> {
        self.nodes.get_mut(node).with_context(|| format!("there is no node {node}"))
    }

    /// `bootstrap.servers` for the system under test: the advertised addresses.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        match &self.options.advertised {
            Some(advertised) => advertised.join(","),
            None => self.addresses(|ports| ports.external),
        }
    }

    /// `bootstrap.servers` of the listener that no proxy stands before.
    #[must_use]
    pub fn bootstrap_internal(&self) -> String {
        self.addresses(|ports| ports.internal)
    }

    fn addresses(&self, port: impl Fn(&NodePorts) -> u16) -> String {
        let address = |node: &Node| format!("127.0.0.1:{}", port(&node.ports));
        self.nodes.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// The number of nodes, those included that are stopped.
    #[must_use]
    pub fn brokers(&self) -> usize {
        self.nodes.len()
    }

    /// The port behind a node's `EXTERNAL` listener: what a proxy connects to.
    pub fn port(&self, node: usize) -> Result<u16> {
        Ok(self.node(node)?.ports.external)
    }

    /// A node's process id.
    pub fn pid(&self, node: usize) -> Result<u32> {
        let process = self.node(node)?.process.as_ref();
        Ok(process.context("the node is stopped")?.pid())
    }

    /// Sends a signal to a node, such as STOP and CONT.
    pub fn signal(&mut self, node: usize, signal: Signal) -> Result<()> {
        let process = self.node_mut(node)?.process.as_mut();
        process.context("the node is stopped")?.signal(signal)
    }

    /// Crashes a node.
    pub fn kill9(&mut self, node: usize) -> Result<()> {
        if let Some(mut process) = self.node_mut(node)?.process.take() {
            process.kill9()?;
        }
        Ok(())
    }

    /// Stops a node in good order.
    pub fn stop(&mut self, node: usize) -> Result<()> {
        if let Some(mut process) = self.node_mut(node)?.process.take() {
            // Java reports the signal that asked it to end, so the status tells nothing.
            process.terminate(STOP_TIMEOUT)?;
        }
        Ok(())
    }

    /// Starts a stopped or crashed node again: same data, same ports. Waits until it serves clients.
    pub fn start_node(&mut self, node: usize) -> Result<()> {
        ensure!(self.node(node)?.process.is_none(), "node {node} is running");
        self.launch(node)?;
        let running = self.nodes.iter().filter(|node| node.process.is_some()).count();
        self.wait_ready(node, running)
    }

    /// What the long-lived tools, such as observers, have to say.
    pub(crate) fn tools_log(&self) -> PathBuf {
        self.dir.path().join("tools.log")
    }

    /// A node's log.
    #[must_use]
    pub fn log_file(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("node-{node}.log"))
    }
}
