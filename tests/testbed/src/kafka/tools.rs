//! Kafka's own command line tools. Each call starts a Java machine, about one second.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result};

use super::Kafka;
use crate::process;

const TOPIC_COMMAND: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIG_COMMAND: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const ELECTION: &str = "org.apache.kafka.tools.LeaderElectionCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
/// For programs that live for a second: compiling well does not pay.
const SHORT_LIVED: [&str; 3] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Where the tools take a pattern, a topic's dots would stand for any character.
fn literal(topic: &str) -> String {
    topic.replace('.', "\\.")
}

/// A call of one of Kafka's tools.
#[derive(Debug)]
#[must_use]
pub struct Tool(Command);

impl Tool {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it to its end; its standard output.
    pub fn run(self) -> Result<String> {
        self.run_with("")
    }

    /// The same with `input` on its standard input.
    pub fn run_with(self, input: &str) -> Result<String> {
        let output = process::output_with(self.0, input.as_bytes())?;
        String::from_utf8(output).context("a tool's output is not UTF-8")
    }

    /// The command itself, to be started by [`process::spawn`].
    #[must_use]
    pub fn into_command(self) -> Command {
        self.0
    }
}

impl Kafka {
    pub(super) fn java(&self, options: &[impl AsRef<OsStr>]) -> Command {
        let mut command = process::command("java");
        command.args(options).arg("-cp");
        command.arg(format!("{}/*", self.servers.kafka_libs.display()));
        command
    }

    /// Any Java class among Kafka's jars, such as `org.apache.kafka.tools.TransactionsCommand`.
    pub fn tool(&self, class: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Tool {
        let mut command = self.java(&SHORT_LIVED);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error").arg(class).args(arguments);
        Tool(command)
    }

    fn admin_tool(&self, class: &str) -> Tool {
        let bootstrap = self.bootstrap_internal();
        self.tool(class, ["--bootstrap-server", bootstrap.as_str()])
    }

    /// Creates a topic, replicated to all nodes, with configuration such as `("cleanup.policy", "compact")`.
    pub fn create_topic(&self, name: &str, partitions: u32, configs: &[(&str, &str)]) -> Result<()> {
        let mut tool = self
            .admin_tool(TOPIC_COMMAND)
            .args(["--create", "--topic", name])
            .arg(format!("--partitions={partitions}"))
            .arg(format!("--replication-factor={}", self.nodes.len()));
        for (key, value) in configs {
            tool = tool.args(["--config", &format!("{key}={value}")]);
        }
        tool.run()?;
        Ok(())
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.admin_tool(TOPIC_COMMAND).args(["--delete", "--topic", &literal(name)]).run()?;
        Ok(())
    }

    /// Gives a topic more partitions.
    pub fn set_partitions(&self, name: &str, partitions: u32) -> Result<()> {
        let count = format!("--partitions={partitions}");
        self.admin_tool(TOPIC_COMMAND).args(["--alter", "--topic", &literal(name), &count]).run()?;
        Ok(())
    }

    /// Deletes every record that a topic holds now; the topic and its offsets stay.
    pub fn delete_records(&self, topic: &str) -> Result<()> {
        let ends = self.end_offsets(topic)?;
        let place = |(partition, offset): (usize, &i64)| {
            format!("{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{offset}}}")
        };
        let places: Vec<String> = ends.iter().enumerate().map(place).collect();
        let list = format!("{{\"version\":1,\"partitions\":[{}]}}", places.join(","));
        let file = self.dir.path().join(format!("delete-{topic}.json"));
        std::fs::write(&file, list).with_context(|| format!("writing {}", file.display()))?;
        self.admin_tool(DELETE_RECORDS).arg("--offset-json-file").arg(file).run()?;
        Ok(())
    }

    /// Makes the first replica of each partition its leader again.
    pub fn elect_preferred_leaders(&self) -> Result<()> {
        self.admin_tool(ELECTION).args(["--election-type", "PREFERRED", "--all-topic-partitions"]).run()?;
        Ok(())
    }

    /// Adds or removes rules of the brokers' authorizer: arguments of `kafka-acls.sh`.
    pub fn acls(&self, arguments: &[&str]) -> Result<()> {
        self.admin_tool(ACLS).args(arguments).run()?;
        Ok(())
    }

    /// What the tool prints of all transactional ids: coordinator, producer id, state.
    pub fn transactions(&self) -> Result<String> {
        self.admin_tool(TRANSACTIONS).arg("list").run()
    }

    /// What the tool prints of a topic: partitions, leaders, in-sync replicas, configuration.
    pub fn describe_topic(&self, name: &str) -> Result<String> {
        self.admin_tool(TOPIC_COMMAND).args(["--describe", "--topic", &literal(name)]).run()
    }

    /// The names of all topics but Kafka's own.
    pub fn topics(&self) -> Result<Vec<String>> {
        let text = self.admin_tool(TOPIC_COMMAND).args(["--list", "--exclude-internal"]).run()?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Changes the configuration of a topic, e.g. `("max.message.bytes", "1000")`.
    pub fn alter_configs(&self, topic: &str, configs: &[(&str, &str)]) -> Result<()> {
        let list: Vec<String> = configs.iter().map(|(key, value)| format!("{key}=[{value}]")).collect();
        self.admin_tool(CONFIG_COMMAND)
            .args(["--alter", "--entity-type", "topics", "--entity-name", topic])
            .args(["--add-config", &list.join(",")])
            .run()?;
        Ok(())
    }

    /// The end offset (high watermark) of each partition of a topic, in order.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<i64>> {
        let text = self.admin_tool(OFFSETS).args(["--topic-partitions", &literal(topic), "--time", "latest"]).run()?;
        let mut offsets = Vec::new();
        for line in text.lines() {
            let mut fields = line.rsplitn(3, ':');
            let offset = fields.next().and_then(|field| field.parse().ok());
            let partition: Option<usize> = fields.next().and_then(|field| field.parse().ok());
            let (Some(offset), Some(partition)) = (offset, partition) else {
                anyhow::bail!("cannot read the end offsets of {topic}: {line}");
            };
            offsets.push((partition, offset));
        }
        offsets.sort_unstable();
        Ok(offsets.into_iter().map(|(_, offset)| offset).collect())
    }

    /// The offset that a consumer group has committed for each partition of a topic, as far as it has.
    pub fn group_offsets(&self, group: &str, topic: &str) -> Result<HashMap<usize, i64>> {
        let text = self.admin_tool(GROUPS).args(["--describe", "--offsets", "--group", group]).run()?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip_while(|field| *field != topic);
                let partition = fields.nth(1)?.parse().ok()?;
                Some((partition, fields.next()?.parse().ok()?))
            })
            .collect())
    }
}
