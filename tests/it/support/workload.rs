//! Writers that commit and roll back outbox transactions of all shapes, as fast as the test grants them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testbed::{Mysql, Product, wait};

use super::{Instance, Outbox};

/// Aggregate types of the rows, hence the topics.
pub(crate) const TYPES: [&str; 2] = ["Order", "Payment"];

/// The tables of a workload: two outboxes of one relay, and one that is none.
pub(crate) const OUTBOXES: [&str; 2] = ["outbox", "outbox_b"];

const WRITERS: usize = 3;

/// Columns of both outboxes. Needed in each insert: a table of a workload gains others while it runs.
pub(crate) const COLUMNS: &str = "(id, aggregatetype, aggregateid, type, payload)";

/// Transactions granted ahead; more would only lengthen the end.
const AHEAD: usize = 8;

/// A seed for what is called `name`, or that of `OUTBOXD_SEED`. Printed, so that a failure can be had again.
pub(crate) fn seed(name: &str) -> u64 {
    let seed = std::env::var("OUTBOXD_SEED").ok().map_or_else(rand::random, |text| text.parse().unwrap());
    println!("{name}: seed {seed}");
    seed
}

/// Creates the tables and adds the second outbox to the instance's configuration.
pub(crate) fn prepare(mysql: &Mysql, instance: &mut Instance) {
    let name = instance.name.clone();
    let tables: String = OUTBOXES.map(|table| Outbox::table(&name, table)).concat();
    mysql
        .sql(&format!(
            "CREATE DATABASE `{name}`; {tables} CREATE TABLE `{name}`.other (id INT AUTO_INCREMENT PRIMARY KEY)"
        ))
        .unwrap();
    instance.extra.push_str("source.start = \"earliest\"\n");
    instance.extra.push_str(&second(&name));
}

/// Configuration of the second outbox.
pub(crate) fn second(name: &str) -> String {
    format!("outbox.second.table = \"{name}.outbox_b\"\n{}", Instance::mapping("second", name))
}

/// Running writers.
pub(crate) struct Workload {
    grants: SyncSender<()>,
    only_other: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl Workload {
    /// Starts the writers; they go on over restarts of the server.
    pub(crate) fn start(mysql: &Mysql, schema: &str, seed: u64) -> Self {
        let (grants, granted) = mpsc::sync_channel(AHEAD);
        let granted = Arc::new(Mutex::new(granted));
        let only_other = Arc::new(AtomicBool::new(false));
        let start = |number: usize| {
            let writer = Writer {
                url: mysql.url("shop"),
                product: mysql.product(),
                schema: schema.to_owned(),
                name: format!("w{number}"),
                rng: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                rows: 0,
                prepared: Vec::new(),
                only_other: Arc::clone(&only_other),
            };
            let granted = Arc::clone(&granted);
            std::thread::spawn(move || writer.run(&granted))
        };
        let writers = (0..WRITERS).map(start).collect();
        Self { grants, only_other, writers }
    }

    /// Lets the writers do a few transactions more, if they have done the ones before. Call it while waiting.
    pub(crate) fn grant(&self) {
        let _ = self.grants.try_send(());
    }

    /// Lets the writers go on until the relay has delivered more than so many rows more.
    #[track_caller]
    pub(crate) fn drive(&self, instance: &Instance, more: u64, patience: Duration) {
        let before = instance.delivered();
        wait::until(patience, "the relay delivers", || {
            self.grant();
            instance.delivered() > before + more
        })
        .unwrap_or_else(|error| panic!("{error}: {}", instance.status()));
    }

    /// Whether the writers leave the outboxes alone and write to another table only.
    pub(crate) fn only_other(&self, only: bool) {
        self.only_other.store(only, Ordering::Relaxed);
    }

    /// Ends the writers between transactions.
    pub(crate) fn finish(self) {
        drop(self.grants);
        for writer in self.writers {
            writer.join().unwrap();
        }
    }
}

struct Writer {
    url: String,
    product: Product,
    schema: String,
    name: String,
    rng: StdRng,
    rows: u64,
    /// Distributed transactions that were prepared and not decided.
    prepared: Vec<String>,
    only_other: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, granted: &Mutex<Receiver<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut connection = None;
        loop {
            let next = granted.lock().unwrap().recv();
            let statements = match next {
                Ok(()) => self.transaction(),
                Err(_) => match self.decision() {
                    Some(decision) => vec![decision],
                    None => return,
                },
            };
            runtime.block_on(async {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => connect(&self.url).await,
                };
                // What becomes of a transaction whose connection breaks, the log knows.
                let mut broken = false;
                for statement in &statements {
                    broken = broken || open.query_drop(statement).await.is_err();
                }
                // On MariaDB a connection that has prepared a transaction can do nothing else.
                let prepared = statements.last().is_some_and(|last| last.starts_with("XA PREPARE"));
                if prepared && self.product == Product::Mariadb {
                    let _ = open.disconnect().await;
                } else {
                    connection = (!broken).then_some(open);
                }
            });
        }
    }

    fn transaction(&mut self) -> Vec<String> {
        let schema = &self.schema;
        let other = format!("INSERT INTO `{schema}`.other VALUES ()");
        if self.only_other.load(Ordering::Relaxed) {
            return vec![other];
        }
        let whole =
            |inserts: Vec<String>, end: &str| [vec!["BEGIN".to_owned()], inserts, vec![end.to_owned()]].concat();
        match self.rng.random_range(0..24) {
            0 => vec![other],
            1 | 2 => whole(self.inserts("rolled-back"), "ROLLBACK"),
            3 | 4 => {
                let mut statements = self.inserts("kept");
                statements.push("SAVEPOINT `a b`".to_owned());
                statements.extend(self.inserts("dropped"));
                // MariaDB then leaves those rows in the log, and logs that they were rolled back.
                if self.rng.random_bool(0.5) {
                    let passing = format!("TEMPORARY TABLE `{}`.passing", self.schema);
                    statements.extend([format!("CREATE {passing} (n INT)"), format!("DROP {passing}")]);
                }
                statements.push("ROLLBACK TO `a b`".to_owned());
                statements.extend(self.inserts("kept"));
                whole(statements, "COMMIT")
            }
            5..8 => {
                let table = OUTBOXES[self.rng.random_range(0..2)];
                vec![self.insert(table, 1, "single")]
            }
            8 | 9 => self.prepare(),
            10 | 11 => self.decision().map_or_else(|| self.prepare(), |decision| vec![decision]),
            // The second insert fails; so does the transaction, with its connection.
            12 => whole([self.inserts("failed"), vec![self.same_id_twice()]].concat(), "COMMIT"),
            13 => vec![format!("ALTER TABLE `{schema}`.other COMMENT = '{}'", self.rows)],
            // Prepared rows may hold the table, on MariaDB only within InnoDB: then nothing comes of it.
            14 if self.rng.random_bool(0.1) => vec![
                "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1".to_owned(),
                format!("ALTER TABLE `{schema}`.outbox_b ADD COLUMN c{} INT", self.rows),
            ],
            _ => whole(self.inserts("row"), "COMMIT"),
        }
    }

    /// Prepares a distributed transaction; what becomes of it is decided later.
    fn prepare(&mut self) -> Vec<String> {
        let xid = format!("'{}-{}'", self.name, self.rows);
        let mut statements = vec![format!("XA START {xid}")];
        statements.extend(self.inserts("prepared"));
        statements.extend([format!("XA END {xid}"), format!("XA PREPARE {xid}")]);
        self.prepared.push(xid);
        statements
    }

    /// Decides one of those that are prepared, not always the oldest.
    fn decision(&mut self) -> Option<String> {
        let any = self.rng.random_range(0..self.prepared.len().max(1));
        let verb = if self.rng.random_bool(0.7) { "COMMIT" } else { "ROLLBACK" };
        let xid = (any < self.prepared.len()).then(|| self.prepared.swap_remove(any))?;
        Some(format!("XA {verb} {xid}"))
    }

    /// Multi-row inserts into both tables.
    fn inserts(&mut self, kind: &str) -> Vec<String> {
        (0..self.rng.random_range(1..4))
            .map(|_| {
                let table = OUTBOXES[self.rng.random_range(0..2)];
                let rows = self.rng.random_range(1..4);
                self.insert(table, rows, kind)
            })
            .collect()
    }

    fn insert(&mut self, table: &str, rows: usize, kind: &str) -> String {
        let values: Vec<String> = (0..rows).map(|_| self.row(kind)).collect();
        format!("INSERT INTO `{}`.{table} {COLUMNS} VALUES {}", self.schema, values.join(", "))
    }

    fn same_id_twice(&mut self) -> String {
        let row = self.row("failed");
        format!("INSERT INTO `{}`.outbox {COLUMNS} VALUES {row}, {row}", self.schema)
    }

    /// Some aggregates are this writer's own, some are shared by all.
    fn row(&mut self, kind: &str) -> String {
        self.rows += 1;
        let (name, number) = (&self.name, self.rows);
        let owner = if self.rng.random_bool(0.5) { name } else { "all" };
        let aggregate = self.rng.random_range(0..3);
        let topic = TYPES[self.rng.random_range(0..2)];
        let length = match self.rng.random_range(0..100) {
            0 => 40_000,
            1..10 => 2_000,
            _ => self.rng.random_range(0..100),
        };
        let text: String = (0..length).map(|_| self.rng.random_range('a'..='z')).collect();
        let sum = checksum(&text);
        format!(
            "('{name}-{number}', '{topic}', '{owner}-{aggregate}', 'Happened', \
             '{{\"writer\": \"{name}\", \"number\": {number}, \"kind\": \"{kind}\", \"text\": \"{text}\", \"sum\": {sum}}}')"
        )
    }
}

/// FNV-1a: goes along with the text, so that neither MySQL, nor `mysqlbinlog`, nor the relay can change it unnoticed.
pub(crate) fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Tries until the server is there.
async fn connect(url: &str) -> mysql_async::Conn {
    let mut retry = tokio::time::interval(Duration::from_millis(50));
    loop {
        retry.tick().await;
        if let Ok(connection) = mysql_async::Conn::from_url(url).await {
            return connection;
        }
    }
}
