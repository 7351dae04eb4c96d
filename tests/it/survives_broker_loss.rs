//! Kafka may crash or stay away: rows wait in MySQL's log, not in the relay's memory, and arrive exactly once.

use testbed::process::Signal;
use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, wait};

use crate::support::proc::resident_kb;
use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

/// What the application writes while Kafka is away.
const BACKLOG_ROWS: usize = 600;
const BACKLOG_ROW_BYTES: usize = 100_000;

/// Memory that the relay may take more than before; well below the backlog, well above `batch.max_bytes` = 1 MiB.
const GROWTH_KB: u64 = 24 * 1024;

#[test]
fn a_crashed_broker_costs_no_row_and_a_long_outage_no_memory() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    // Three nodes: a single one that is fenced while it comes up leaves out the end markers of a decided transaction
    // ("Couldn't find leader endpoint … likely deleted already", seen on 4.3.1), whose records then stay undecided for
    // good. The relay waits in vain then, and says so (OBX-4304); that is safe, but no test of a crashed broker.
    let mut kafka = Kafka::start(KafkaOptions { brokers: 3, ..KafkaOptions::default() }).unwrap();
    let mut instance = Instance::new("broker_loss", mysql.port(), &kafka.bootstrap());
    // Shorter than usual, so that the outage lasts for several attempts.
    instance.extra = "batch.max_bytes = \"1MiB\"\nkafka.librdkafka.\"message.timeout.ms\" = 4000\n".to_owned();
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, "broker_loss", workload::seed());
    let mut relay = instance.stream();
    let go_on = || {
        let before = instance.delivered();
        wait::until(PATIENCE, "the relay delivers", || {
            writers.grant();
            instance.delivered() > before + 100
        })
        .unwrap_or_else(|error| panic!("{error}: {}", instance.status()));
    };
    for node in 0..3 {
        go_on();
        kafka.kill9(node).unwrap();
        kafka.start_node(node).unwrap();
    }
    go_on();

    let before = resident_kb(relay.pid());
    for node in 0..3 {
        kafka.signal(node, Signal::STOP).unwrap();
    }
    let insert = format!(
        "INSERT INTO broker_loss.outbox SELECT CONCAT('big-', @n := @n + 1), 'Order', CONCAT('big-', @n % 7), 'Happened', \
         JSON_OBJECT('text', REPEAT('x', {BACKLOG_ROW_BYTES})) FROM (SELECT @n := @n + 0) AS start;"
    );
    mysql.sql(&format!("SET @n = 0; {}", insert.repeat(BACKLOG_ROWS))).unwrap();
    let mut most = 0;
    wait::until(PATIENCE, "several attempts", || {
        most = most.max(resident_kb(relay.pid()));
        relay.lines().iter().filter(|line| line.contains("starting another one") && line.contains("OBX-40")).count()
            >= 2
    })
    .unwrap();
    assert!(most < before + GROWTH_KB, "{before} kB before, {most} kB with Kafka away");
    for node in 0..3 {
        kafka.signal(node, Signal::CONT).unwrap();
    }
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
    assert_eq!(relay.exited().unwrap(), None);
    println!("resident: {before} kB before, at most {most} kB with Kafka away");
}
