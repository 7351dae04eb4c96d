//! SIGTERM ends the relay in good order and soon; a second signal at once. Neither loses or repeats anything.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testbed::process::Signal;
use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, shared, wait};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

/// On a loaded machine; an idle one needs some tens of milliseconds.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_relay_told_to_stop_under_load_commits_what_it_has_and_exits_clean() {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut instance = Instance::new("drain", mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let seed = workload::seed("drain");
    let mut rng = StdRng::seed_from_u64(seed);
    let writers = Workload::start(&mysql, "drain", seed);
    for round in 0..6 {
        let mut relay = instance.start();
        // The last rounds interrupt the start.
        let records = if round < 4 { rng.random_range(1..200) } else { 0 };
        let polls = rng.random_range(1..60);
        let mut polled = 0;
        wait::until(PATIENCE, "the moment to stop", || {
            writers.grant();
            polled += 1;
            polled > polls && instance.delivered() >= records
        })
        .unwrap();
        // Before it listens to signals, they end it in the ordinary way of processes.
        wait::until(PATIENCE, "the relay answers", || testbed::http_get(&instance.http, "/livez").is_ok()).unwrap();
        let started = Instant::now();
        relay.sigterm().unwrap();
        let mut ended = None;
        wait::until(PATIENCE, "the relay ends", || {
            writers.grant();
            ended = relay.exited().unwrap();
            ended.is_some()
        })
        .unwrap();
        let log = relay.lines().join("\n");
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {log}");
        assert!(started.elapsed() < SOON, "{:?}: {log}", started.elapsed());
    }
    let _relay = instance.stream();
    writers.finish();
    verdict::assert_exactly_once(&mysql, kafka, &instance);
}

#[test]
fn a_second_signal_ends_a_drain_that_cannot_finish_and_loses_nothing() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut kafka = Kafka::start(KafkaOptions::default()).unwrap();
    let mut instance = Instance::new("drain_twice", mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, "drain_twice", workload::seed("drain_twice"));
    let mut relay = instance.stream();
    let in_flight = |what: &str, wanted: fn(&Instance) -> bool| {
        wait::until(PATIENCE, what, || {
            writers.grant();
            wanted(&instance)
        })
        .unwrap();
    };
    in_flight("records are delivered", |instance| instance.delivered() > 50);
    kafka.signal(0, Signal::STOP).unwrap();
    in_flight("records are on their way", |instance| verdict::number(&instance.status(), "/in_flight/bytes") > 0);
    relay.sigterm().unwrap();
    relay.wait_for_line("a second signal stops at once", PATIENCE).unwrap();
    assert_eq!(relay.exited().unwrap(), None);
    let second = Instant::now();
    relay.sigint().unwrap();
    assert!(relay.wait_exit(PATIENCE).unwrap().success());
    assert!(second.elapsed() < SOON, "{:?}", second.elapsed());
    kafka.signal(0, Signal::CONT).unwrap();
    let _relay = instance.stream();
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
}
