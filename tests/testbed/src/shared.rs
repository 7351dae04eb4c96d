//! One MySQL server and one Kafka cluster for all tests of a process that neither stop them nor change their
//! configuration.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::{Kafka, KafkaOptions, Mysql, MysqlOptions};

/// Servers that several tests use at once: each must take databases and topics of its own.
#[derive(Debug)]
pub struct Shared {
    /// The MySQL server, with default options.
    pub mysql: Mysql,
    /// The Kafka cluster: one broker, or three if `OUTBOXD_BROKERS` says so.
    pub kafka: Kafka,
}

/// The process's shared servers; the first call starts them. They die with the process, and the next run
/// removes their folders (a static is never dropped).
pub fn shared() -> Result<&'static Shared> {
    static SHARED: OnceLock<Result<Shared>> = OnceLock::new();
    SHARED.get_or_init(Shared::start).as_ref().map_err(|error| anyhow!("{error:#}"))
}

impl Shared {
    /// Starts both, for a caller that wants to own them.
    pub fn start() -> Result<Self> {
        std::thread::scope(|scope| {
            let mysql = scope.spawn(|| Mysql::start(MysqlOptions::default()));
            let kafka = Kafka::start(KafkaOptions::from_env()?)?;
            let mysql = mysql.join().map_err(|_| anyhow!("starting MySQL panicked"))??;
            Ok(Self { mysql, kafka })
        })
    }
}
