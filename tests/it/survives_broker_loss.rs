//! Kafka may crash or stay away: rows wait in MySQL's log, not in the relay's memory, and arrive exactly once.

use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, wait};

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
    let mut kafka = Kafka::start(KafkaOptions::default()).unwrap();
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
    for _ in 0..3 {
        go_on();
        kafka.kill9(0).unwrap();
        kafka.start_node(0).unwrap();
    }
    go_on();

    let before = resident_kb(relay.pid());
    kafka.kill9(0).unwrap();
    let insert = format!(
        "INSERT INTO broker_loss.outbox SELECT CONCAT('big-', @n := @n + 1), 'Order', CONCAT('big-', @n % 7), 'Happened', \
         JSON_OBJECT('text', REPEAT('x', {BACKLOG_ROW_BYTES})) FROM (SELECT @n := @n + 0) AS start;"
    );
    mysql.sql(&format!("SET @n = 0; {}", insert.repeat(BACKLOG_ROWS))).unwrap();
    let mut most = 0;
    wait::until(PATIENCE, "several attempts", || {
        most = most.max(resident_kb(relay.pid()));
        relay.lines().iter().filter(|line| line.contains("starting another one") && line.contains("OBX-40")).count() >= 2
    })
    .unwrap();
    assert!(most < before + GROWTH_KB, "{before} kB before, {most} kB with Kafka away");
    kafka.start_node(0).unwrap();
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
    assert_eq!(relay.exited().unwrap(), None);
    println!("resident: {before} kB before, at most {most} kB with Kafka away");
}

/// VmRSS.
fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
