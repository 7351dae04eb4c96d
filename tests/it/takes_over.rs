//! Hot standby: when the leader ends, however it ends, another instance goes on where it stopped.

use std::time::{Duration, Instant};

use testbed::{Daemon, Kafka, Mysql, MysqlOptions, shared, wait};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, proof, verdict};

/// Short, so that the test is; the testbed's brokers allow it.
const SESSION: Duration = Duration::from_secs(2);

/// So long that nobody waits for it in vain: a leader that stops says so.
const LONG_SESSION: Duration = Duration::from_secs(45);

/// What a take-over may take on top of the session's time-out.
const ON_TOP: Duration = Duration::from_secs(2);

/// By how much most take-overs from a leader that stops may differ. What librdkafka puts off, it puts off by a second, and
/// not every time.
const SPREAD: Duration = Duration::from_millis(500);

/// Pairs that are paused at once: they wait most of the time. Their limit holds nevertheless.
const PAIRS: usize = 2;

/// An instance and its process.
struct Member {
    instance: Instance,
    daemon: Daemon,
}

impl Member {
    fn is(&self, state: &str) -> bool {
        self.instance.status()["state"] == state
    }
}

/// Two instances of one relay under load.
struct Pair {
    name: String,
    mysql: Mysql,
    kafka: &'static Kafka,
    writers: Workload,
    members: [Member; 2],
    /// How long each take-over took.
    took: Vec<Duration>,
}

impl Pair {
    fn start(name: &str, session: Duration) -> Self {
        let kafka = &shared().unwrap().kafka;
        let mysql = Mysql::start(MysqlOptions::default()).unwrap();
        let mut instances = [(); 2].map(|()| Instance::new(name, mysql.port(), &kafka.bootstrap()));
        workload::prepare(&mysql, &mut instances[0]);
        instances[0].extra.push_str(&format!("ha.standby = true\nha.session_timeout = \"{}s\"\n", session.as_secs()));
        instances[1].extra = instances[0].extra.clone();
        let writers = Workload::start(&mysql, name, workload::seed());
        let members = instances.map(|instance| Member { daemon: instance.start(), instance });
        let pair = Self { name: name.to_owned(), mysql, kafka, writers, members, took: Vec::new() };
        pair.settle();
        pair
    }

    fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        wait::until(PATIENCE, what, || {
            self.writers.grant();
            condition()
        })
        .unwrap();
    }

    /// One streams, the other one stands by.
    fn settle(&self) -> usize {
        let mut leader = 0;
        self.wait("one leads and the other one stands by", || {
            leader = usize::from(self.members[1].is("streaming"));
            self.members[leader].is("streaming") && self.members[1 - leader].is("standby")
        });
        let status = self.members[1 - leader].instance.status();
        assert_eq!((status["role"].as_str(), status["lag_seconds"].as_f64()), (Some("standby"), Some(0.0)));
        leader
    }

    /// Disturbs the leader and waits until the other one delivers. A record that is delivered by then was written by it,
    /// since it delivered none before.
    fn take_over(&mut self, disturb: impl FnOnce(&mut Daemon)) -> usize {
        let leader = self.settle();
        let standby = 1 - leader;
        let before = self.members[standby].instance.delivered();
        let began = Instant::now();
        disturb(&mut self.members[leader].daemon);
        self.wait("the other one delivers", || self.members[standby].instance.delivered() > before);
        self.took.push(began.elapsed());
        leader
    }

    /// Judges what came of it, then how long it took: no take-over may have taken longer than `limit`. That is asked by a full
    /// proof only: other tests may keep the machine busy. Returns what half of them took, and 95 %.
    fn finish(mut self, limit: Duration) -> (Duration, Duration) {
        let leader = self.settle();
        self.members[1 - leader].daemon.kill9().unwrap();
        self.writers.finish();
        let instance = &self.members[leader].instance;
        verdict::wait_caught_up(&self.mysql, instance);
        let seen = verdict::observe(self.kafka, instance);
        // What a process has counted is not compared: it may have led more than once.
        let (verdict, _) = verdict::Case::new(&self.mysql, self.kafka, instance).judge(&seen);
        println!("{verdict}");
        assert!(verdict.is_clean() && verdict.committed > 0, "{verdict}");

        let took = &mut self.took;
        took.sort_unstable();
        let quantile = |percent: usize| took[(took.len() - 1) * percent / 100];
        let (half, most, all) = (quantile(50), quantile(95), quantile(100));
        println!("{}: {} take-overs, p50 {half:?}, p95 {most:?}, max {all:?}", self.name, took.len());
        assert!(!proof::is_full() || all <= limit, "above {limit:?}: {took:?}");
        (half, most)
    }
}

#[test]
fn the_standby_goes_on_when_the_leader_stops() {
    let mut pair = Pair::start("takes_over_stopped", LONG_SESSION);
    for _ in 0..proof::times(2, 50) {
        let former = pair.take_over(|leader| leader.sigterm().unwrap());
        let member = &mut pair.members[former];
        assert_eq!(member.daemon.wait_exit(PATIENCE).unwrap().code(), Some(0));
        member.daemon = member.instance.start();
    }
    assert!(pair.took.iter().all(|took| *took < LONG_SESSION), "the session had to end: {:?}", pair.took);
    let (half, most) = pair.finish(ON_TOP);
    assert!(!proof::is_full() || most - half <= SPREAD, "half of them took {half:?}, some {most:?}");
}

#[test]
fn the_standby_goes_on_when_the_leader_is_killed() {
    let mut pair = Pair::start("takes_over_killed", SESSION);
    for _ in 0..proof::times(1, 50) {
        let former = pair.take_over(|leader| leader.kill9().unwrap());
        let member = &mut pair.members[former];
        member.daemon = member.instance.start();
    }
    pair.finish(SESSION + ON_TOP);
}

/// The former leader wakes in the middle of what it did, stands by, and leads again later.
#[test]
fn a_paused_leader_that_wakes_writes_nothing_and_stands_by() {
    let lanes = proof::lanes(proof::times(2, 200), PAIRS);
    std::thread::scope(|scope| {
        for (lane, times) in lanes.into_iter().enumerate() {
            scope.spawn(move || pause_in_turn(&format!("takes_over_paused_{lane}"), times));
        }
    });
}

fn pause_in_turn(name: &str, times: usize) {
    let mut pair = Pair::start(name, SESSION);
    for _ in 0..times {
        let former = pair.take_over(|leader| leader.pause().unwrap());
        pair.members[former].daemon.resume().unwrap();
        pair.settle();
    }
    for member in &mut pair.members {
        assert_eq!(member.daemon.exited().unwrap(), None);
    }
    pair.finish(SESSION + ON_TOP);
}
