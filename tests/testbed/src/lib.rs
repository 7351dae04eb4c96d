//! Real MySQL and Kafka servers for outboxd's tests, benches and demo, without containers.
//!
//! `setup.sh` beside this crate fetches the servers once; [`Mysql`] and [`Kafka`] run them on loopback ports,
//! stop, crash and restart them. [`Observer`] is a client that shares no code with outboxd, [`Daemon`] runs an
//! `outboxd` binary, and [`oracle`] compares what MySQL committed with what Kafka shows. Nothing that is
//! started here outlives the process that started it.

pub mod cache;
pub mod kafka;
pub mod mysql;
pub mod observer;
pub mod ports;
pub mod process;
pub mod wait;

pub use kafka::{Kafka, KafkaOptions};
pub use mysql::{Mysql, MysqlOptions};
pub use observer::{Isolation, Observed, Observer};
