//! Real MySQL, MariaDB and Kafka servers for outboxd's tests, benches and demo, without containers.
//!
//! `setup.sh` beside this crate fetches the servers once; [`Mysql`] and [`Kafka`] run them on loopback ports,
//! stop, crash and restart them. [`Observer`] is a client that shares no code with outboxd, [`Daemon`] runs an
//! `outboxd` binary, and [`oracle`] compares what MySQL committed with what Kafka shows. Nothing that is
//! started here outlives the process that started it.

pub mod cache;
pub mod daemon;
pub mod kafka;
pub mod kafka_proxy;
pub mod mysql;
pub mod observer;
pub mod oracle;
pub mod ports;
pub mod process;
mod shared;
pub mod wait;

pub use daemon::{Daemon, http_get};
pub use kafka::{Kafka, KafkaOptions};
pub use kafka_proxy::KafkaProxy;
pub use mysql::{Mysql, MysqlOptions, Product};
pub use observer::{Isolation, Observed, Observer};
pub use shared::{Shared, shared};
