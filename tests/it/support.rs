//! What the promises share: an outbox of its own for each test, a relay for it, and what Kafka then shows.

use testbed::{Isolation, Kafka, Mysql, Observed, Observer};

#[cfg(feature = "failpoints")]
pub(crate) mod crash;
pub(crate) mod differential;
pub(crate) mod ending;
mod instance;
#[cfg(feature = "failpoints")]
pub(crate) mod large;
pub(crate) mod plain_loop;
pub(crate) mod proc;
pub(crate) mod proof;
pub(crate) mod proxied;
pub(crate) mod proxy;
pub(crate) mod reader;
pub(crate) mod source;
pub(crate) mod verdict;
pub(crate) mod workload;

pub(crate) use instance::{BINARY, Instance, PATIENCE};

/// One test's outbox: a schema, a table `outbox` in it, a relay name and topics, all named after the test.
pub(crate) struct Outbox<'a> {
    /// Source.
    pub(crate) mysql: &'a Mysql,
    /// Sink.
    pub(crate) kafka: &'a Kafka,
    instance: Instance,
}

/// An outbox is the instance that relays it, too.
impl std::ops::Deref for Outbox<'_> {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl std::ops::DerefMut for Outbox<'_> {
    fn deref_mut(&mut self) -> &mut Instance {
        &mut self.instance
    }
}

impl<'a> Outbox<'a> {
    /// Creates schema and table; `name` is unique among the tests.
    pub(crate) fn new(name: &str, mysql: &'a Mysql, kafka: &'a Kafka) -> Self {
        mysql.sql(&format!("CREATE DATABASE `{name}`; {}", Self::table(name, "outbox"))).unwrap();
        Self { mysql, kafka, instance: Instance::new(name, mysql.port(), &kafka.bootstrap()) }
    }

    /// The outbox of this instance, which exists already.
    pub(crate) fn of(instance: Instance, mysql: &'a Mysql, kafka: &'a Kafka) -> Self {
        Self { mysql, kafka, instance }
    }

    /// The instance alone, so that its server can be restarted.
    pub(crate) fn into_instance(self) -> Instance {
        self.instance
    }

    /// DDL of an outbox table as Debezium's documentation has it.
    pub(crate) fn table(schema: &str, table: &str) -> String {
        format!(
            "CREATE TABLE `{schema}`.`{table}` (id CHAR(36) NOT NULL PRIMARY KEY, aggregatetype VARCHAR(255) NOT NULL, \
             aggregateid VARCHAR(255) NOT NULL, type VARCHAR(255) NOT NULL, payload JSON);"
        )
    }

    /// The statement that inserts one row into the first outbox of a schema.
    pub(crate) fn row(schema: &str, id: &str, aggregate_type: &str, key: &str, payload: &str) -> String {
        format!("INSERT INTO `{schema}`.outbox VALUES ('{id}', '{aggregate_type}', '{key}', 'Happened', '{payload}')")
    }

    /// Inserts one row as a transaction of its own.
    pub(crate) fn insert(&self, id: &str, aggregate_type: &str, key: &str, payload: &str) {
        self.mysql.sql(&Self::row(&self.name, id, aggregate_type, key, payload)).unwrap();
    }

    /// Everything that a `read_committed` consumer sees in these topics.
    pub(crate) fn seen(&self, aggregate_types: &[&str]) -> Vec<Observed> {
        let topics: Vec<String> = aggregate_types.iter().map(|t| self.topic(t)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        Observer::read_all(self.kafka, &topics, Isolation::ReadCommitted).unwrap()
    }
}
