//! One source transaction of 5,000,000 rows and more than 1 GB: `make soak-large`. Not run by `make test`.

use std::time::Duration;

use rdkafka::message::{Headers, Message};

use crate::support::Outbox;
use crate::support::ending::end;
use crate::support::proc::peak_kb;
use crate::support::reader::read_each;
use testbed::{Mysql, MysqlOptions, shared, wait};

const ROWS: usize = 5_000_000;

/// What the relay may take: `batch.max_bytes`, 16 MiB by default, and 64 MiB.
const MEMORY_KIB: u64 = (16 + 64) * 1024;

const LONG: Duration = Duration::from_secs(900);

/// Which of the transaction's records were seen; a record takes a byte.
struct Seen {
    records: Vec<bool>,
    bytes: usize,
    /// The last ordinal of each partition.
    last: [usize; 3],
}

impl Seen {
    /// Its header must say that it is one of [`ROWS`], and a new one, behind those before it in its partition.
    fn record(&mut self, record: &impl Message) {
        let headers = record.headers().unwrap();
        let source = headers.iter().find(|header| header.key == "outboxd-source").unwrap();
        let source = std::str::from_utf8(source.value.unwrap()).unwrap();
        let (ordinal, count) = source.rsplit_once('#').unwrap().1.split_once('/').unwrap();
        let (ordinal, count): (usize, usize) = (ordinal.parse().unwrap(), count.parse().unwrap());
        assert_eq!(count, ROWS, "{source}");
        assert!(!std::mem::replace(&mut self.records[ordinal - 1], true), "{source} twice");
        let last = &mut self.last[usize::try_from(record.partition()).unwrap()];
        assert!(*last < ordinal, "{source} behind {last}");
        *last = ordinal;
        self.bytes += record.payload().unwrap().len();
    }
}

/// Reads all committed records of a topic.
fn read(outbox: &Outbox<'_>) -> Seen {
    let mut seen = Seen { records: vec![false; ROWS], bytes: 0, last: [0; 3] };
    read_each(outbox.kafka, &outbox.topic("Order"), |record| seen.record(record));
    seen
}

#[test]
#[ignore = "writes 4 GB, wants a release build: make soak-large"]
fn a_transaction_of_five_million_rows_takes_no_more_memory_than_a_small_one() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut outbox = Outbox::new("five_million", &mysql, &shared().unwrap().kafka);
    outbox.extra = "source.start = \"earliest\"\n".into();
    // A BLACKHOLE table fills the log and no data file.
    mysql
        .sql(&format!(
            "USE five_million; ALTER TABLE outbox ENGINE = BLACKHOLE; SET SESSION cte_max_recursion_depth = {ROWS}; \
             INSERT INTO outbox WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
             SELECT i, 'Order', i % 20000, 'Happened', JSON_OBJECT('n', i, 'text', REPEAT('x', 210)) FROM n"
        ))
        .unwrap();
    let relay = outbox.start();
    wait::until(LONG, "the transaction is delivered", || outbox.delivered() == ROWS as u64).unwrap();
    let peak = peak_kb(relay.pid());
    end(relay);
    let seen = read(&outbox);
    assert!(seen.records.iter().all(|seen| *seen), "a record is missing");
    println!("{ROWS} records of {} bytes in one transaction; peak memory {} KiB", seen.bytes, peak);
    assert!(seen.bytes > 1_000_000_000 && peak <= MEMORY_KIB, "{peak} KiB, at most {MEMORY_KIB}");
}
