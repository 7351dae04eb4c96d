//! A commit whose request may have been sent twice, or whose answer is lost, neither loses nor repeats anything: the
//! producer is renewed and the checkpoint tells what happened (KAFKA-17754, `docs/adr/0003`).
#![cfg(feature = "failpoints")]

use std::time::{Duration, Instant};

use testbed::process::Signal;
use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, wait};

use crate::support::crash::is_stopped;
use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

/// Longer than `retry.backoff.ms`, after which librdkafka sends the request again.
const PAUSE: Duration = Duration::from_millis(1_500);

#[test]
fn a_producer_is_renewed_after_a_commit_that_may_have_been_sent_twice() {
    doubt("slow_commit", |kafka| {
        kafka.signal(0, Signal::STOP).unwrap();
        "OBX-4202"
    });
}

#[test]
fn a_commit_without_an_answer_is_decided_by_the_checkpoint() {
    doubt("lost_commit", |kafka| {
        kafka.kill9(0).unwrap();
        "OBX-420"
    });
}

/// The relay stands still between the last acknowledgement and the commit while Kafka is disturbed; `disturb` says which
/// code the relay is to log.
fn doubt(name: &str, disturb: fn(&mut Kafka) -> &'static str) {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut kafka = Kafka::start(KafkaOptions::default()).unwrap();
    let mut instance = Instance::new(name, mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, name, workload::seed());
    // The first commit is the take-over's.
    let mut relay = instance.start_armed(&[], Some("endtxn_before_send:4=stop"));
    wait::until(PATIENCE, "the relay stands before a commit", || {
        writers.grant();
        is_stopped(&relay)
    })
    .unwrap();
    let expected = disturb(&mut kafka);
    relay.resume().unwrap();
    let disturbed = Instant::now();
    wait::until(PATIENCE, "the request is sent again", || disturbed.elapsed() > PAUSE).unwrap();
    if kafka.signal(0, Signal::CONT).is_err() {
        kafka.start_node(0).unwrap();
    }
    wait::until(PATIENCE / 4, expected, || {
        writers.grant();
        relay.lines().iter().any(|line| line.contains(expected))
    })
    .unwrap_or_else(|error| panic!("{error}: {}\n{}", instance.status(), relay.lines().join("\n")));
    let before = instance.delivered();
    wait::until(PATIENCE, "the relay delivers again", || {
        writers.grant();
        instance.delivered() > before + 50
    })
    .unwrap();
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
    assert_eq!(relay.exited().unwrap(), None);
}
