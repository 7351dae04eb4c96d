//! The servers, the topics and the workloads on them.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions};
use tokio::runtime::Runtime;

use crate::Result;
use crate::rows::{self, Random, SESSIONS};
use crate::visible::Visible;

const LEADERS: Duration = Duration::from_secs(30);

/// Partitions of every output topic.
pub(crate) const PARTITIONS: i32 = 6;

/// Rows of a workload, and where in the log they begin.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Names the schema of its outbox table.
    pub(crate) schema: &'static str,
    /// Number of rows; their payloads count from 0.
    pub(crate) rows: u64,
    /// Executed GTID set before the first of them.
    pub(crate) start: String,
}

/// How the rows of a workload are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) schema: &'static str,
    /// Outbox rows in a source transaction; [`usize::MAX`]: all of them.
    pub(crate) per_transaction: usize,
    /// Rows of another table beside each outbox row.
    pub(crate) foreign: usize,
    /// `binlog_transaction_compression`.
    pub(crate) compressed: bool,
}

/// Rows of one statement of a huge transaction.
const STATEMENT: usize = 1_000;

/// One MySQL and one Kafka on loopback ports.
pub(crate) struct Stand {
    pub(crate) mysql: Mysql,
    pub(crate) kafka: Kafka,
    pub(crate) runtime: Runtime,
    admin: AdminClient<DefaultClientContext>,
}

impl Stand {
    pub(crate) fn start() -> Result<Self> {
        eprintln!("starting MySQL and Kafka");
        // Writing the rows is not what is measured: no fsync for each commit.
        let fast = ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-buffer-pool-size=256M"];
        let mysql = Mysql::start(MysqlOptions::with(fast))?;
        let kafka = Kafka::start(KafkaOptions::for_bench(1))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let admin = ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create()?;
        Ok(Self { mysql, kafka, runtime, admin })
    }

    /// What is before the next transaction.
    pub(crate) fn executed(&self) -> Result<String> {
        Ok(self.mysql.sql("SELECT @@global.gtid_executed")?.replace("\\n", "").trim().to_owned())
    }

    pub(crate) fn create_outbox(&self, schema: &str) -> Result<()> {
        self.mysql.sql(&format!("CREATE DATABASE {schema}; CREATE TABLE {schema}.outbox ({})", rows::COLUMNS))?;
        Ok(())
    }

    /// Writes `rows` rows into an outbox of their own, at the start of a new binlog file.
    pub(crate) fn load(&self, load: Load, rows: u64) -> Result<Segment> {
        let Load { schema, per_transaction, .. } = load;
        self.create_outbox(schema)?;
        self.mysql.sql(&format!("CREATE TABLE {schema}.busy ({})", rows::COLUMNS))?;
        self.mysql.sql("FLUSH BINARY LOGS")?;
        let start = self.executed()?;
        let each = per_transaction.min(usize::try_from(rows)?);
        eprintln!("{schema}: writing {rows} rows, {each} a source transaction");
        let options = Opts::from_url(&self.mysql.root_url())?;
        if per_transaction == usize::MAX {
            self.runtime.block_on(write_one(options, schema, rows))?;
            return Ok(Segment { schema, rows, start });
        }
        let loads: Vec<_> =
            (0..SESSIONS).map(|session| self.runtime.spawn(write(options.clone(), load, session, rows))).collect();
        for load in loads {
            self.runtime.block_on(load)??;
        }
        Ok(Segment { schema, rows, start })
    }

    pub(crate) fn create_topic(&self, name: &str) -> Result<()> {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        let results = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new()))?;
        results
            .into_iter()
            .try_for_each(|result| result.map(drop))
            .map_err(|(name, code)| format!("{name}: {code}"))?;
        // Brokers learn of the topic's leaders a moment later.
        let visible = Visible::new(&self.kafka.bootstrap(), name)?;
        testbed::wait::until(LEADERS, "the topic to have leaders", || visible.offsets().is_ok())?;
        Ok(())
    }

    /// Frees the disk; the broker does it when it has time.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<()> {
        self.runtime.block_on(self.admin.delete_topics(&[name], &AdminOptions::new()))?;
        Ok(())
    }
}

async fn write(options: Opts, load: Load, session: usize, rows: u64) -> Result<()> {
    let mut conn = Conn::new(options).await?;
    let compression = if load.compressed { "ON" } else { "OFF" };
    conn.query_drop(format!("SET SESSION binlog_transaction_compression = {compression}")).await?;
    let mut random = Random::new(session as u64);
    let numbers: Vec<u64> = (session as u64..rows).step_by(SESSIONS).collect();
    for transaction in numbers.chunks(load.per_transaction) {
        let outbox = insert(load.schema, "outbox", transaction, &mut random);
        if load.foreign == 0 {
            conn.query_drop(outbox).await?;
            continue;
        }
        let foreign: Vec<u64> = transaction.iter().flat_map(|n| std::iter::repeat_n(*n, load.foreign)).collect();
        let busy = insert(load.schema, "busy", &foreign, &mut random);
        conn.query_drop(format!("BEGIN; {busy}; {outbox}; COMMIT")).await?;
    }
    conn.disconnect().await?;
    Ok(())
}

/// All rows in one transaction.
async fn write_one(options: Opts, schema: &str, rows: u64) -> Result<()> {
    let mut conn = Conn::new(options).await?;
    let mut random = Random::new(0);
    conn.query_drop("BEGIN").await?;
    for numbers in (0..rows).collect::<Vec<_>>().chunks(STATEMENT) {
        conn.query_drop(insert(schema, "outbox", numbers, &mut random)).await?;
    }
    conn.query_drop("COMMIT").await?;
    conn.disconnect().await?;
    Ok(())
}

/// One statement with these rows.
pub(crate) fn insert(schema: &str, table: &str, numbers: &[u64], random: &mut Random) -> String {
    let mut sql = format!("INSERT INTO {schema}.{table} VALUES ");
    for (i, n) in numbers.iter().enumerate() {
        if i > 0 {
            sql.push(',');
        }
        rows::write_values(*n, random, &mut sql);
    }
    sql
}
