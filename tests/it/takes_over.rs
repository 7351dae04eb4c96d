//! Hot standby: when the leader ends, however it ends, another instance goes on where it stopped.

use std::time::{Duration, Instant};

use testbed::{Daemon, Kafka, Mysql, MysqlOptions, shared, wait};

#[cfg(feature = "failpoints")]
use crate::support::crash::{Action, STANDBY_PLACES};
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

/// Pairs that are killed or paused at once: they wait most of the time. Their limit holds nevertheless.
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
        let writers = Workload::start(&mysql, name, workload::seed(name));
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

    /// Starts the standby again, told what to do at a place, and sees to it that it passes there.
    #[cfg(feature = "failpoints")]
    fn disturb_standby(&mut self, place: &str, action: Action) {
        let leader = self.settle();
        let armed = 1 - leader;
        let member = &mut self.members[armed];
        member.daemon.sigterm().unwrap();
        assert_eq!(member.daemon.wait_exit(PATIENCE).unwrap().code(), Some(0));
        member.daemon = member.instance.start_armed(&[], Some(&format!("{place}={}", action.word())));
        if place != "group_joined" {
            // It has to lead first, and to lose that by sleeping too long.
            self.take_over(|leader| leader.kill9().unwrap());
            self.members[leader].daemon = self.members[leader].instance.start();
            self.take_over(|leader| leader.pause().unwrap());
            self.members[armed].daemon.resume().unwrap();
        }
        wait::until(PATIENCE, place, || {
            self.writers.grant();
            action.is_done(&mut self.members[armed].daemon, place, 0)
        })
        .unwrap();
        if action == Action::Kill {
            self.members[armed].daemon = self.members[armed].instance.start();
        }
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
        println!("{}, brokers: {}\n{verdict}", self.name, self.kafka.brokers());
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
    in_pairs("takes_over_killed", proof::times(1, 50), |pair| {
        let former = pair.take_over(|leader| leader.kill9().unwrap());
        let member = &mut pair.members[former];
        member.daemon = member.instance.start();
    });
}

/// The former leader wakes in the middle of what it did, stands by, and leads again later.
#[test]
fn a_paused_leader_that_wakes_writes_nothing_and_stands_by() {
    in_pairs("takes_over_paused", proof::times(2, 200), |pair| {
        let former = pair.take_over(|leader| leader.pause().unwrap());
        pair.members[former].daemon.resume().unwrap();
        pair.settle();
        assert_eq!(pair.members[former].daemon.exited().unwrap(), None);
    });
}

/// Where a member joins the group, and where it gives its term up. What it is told there it may not live to do.
#[cfg(feature = "failpoints")]
#[test]
fn a_member_that_is_disturbed_where_it_joins_or_gives_up_stands_by_again() {
    let mut pair = Pair::start("takes_over_disturbed", SESSION);
    let all = STANDBY_PLACES.iter().flat_map(|place| Action::ALL.map(|action| (*place, action)));
    let chosen: Vec<_> = all.step_by(proof::times(4, 1)).collect();
    for (place, action) in &chosen {
        pair.disturb_standby(place, *action);
    }
    println!("disturbed in hot standby: {chosen:?}");
    pair.finish(SESSION + ON_TOP);
}

/// So many times in all; full proofs share them among pairs.
fn in_pairs(name: &str, times: usize, disturb: impl Fn(&mut Pair) + Sync) {
    proof::share(name, times, PAIRS, |name, times| {
        let mut pair = Pair::start(name, SESSION);
        (0..times).for_each(|_| disturb(&mut pair));
        pair.finish(SESSION + ON_TOP);
    });
}
