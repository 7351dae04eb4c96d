//! A relay that is killed at any moment resumes without losing, repeating, reordering or tearing anything.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testbed::oracle::Defect;
use testbed::{Daemon, Mysql, MysqlOptions, shared, wait};

use crate::support::verdict::Case;
use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

/// What is started once for a test and killed often.
struct Crash {
    mysql: Mysql,
    instance: Instance,
    workload: Workload,
    rng: StdRng,
    kills: usize,
}

impl Crash {
    fn new(name: &str, options: MysqlOptions, extra: &str) -> Self {
        let mysql = Mysql::start(options).unwrap();
        let mut instance = Instance::new(name, mysql.port(), &shared().unwrap().kafka.bootstrap());
        instance.extra = extra.to_owned();
        workload::prepare(&mysql, &mut instance);
        let seed = workload::seed();
        let workload = Workload::start(&mysql, name, seed);
        Self { mysql, instance, workload, rng: StdRng::seed_from_u64(seed), kills: 0 }
    }

    /// Kills the relay at random moments: every other time during its start, else after it has delivered something.
    fn kill_at_random(&mut self, times: usize) {
        for time in 0..times {
            let mut relay = self.instance.start();
            let polls = self.rng.random_range(1..150);
            let records = if time % 2 == 0 { 0 } else { self.rng.random_range(1..150) };
            let mut polled = 0;
            wait::until(PATIENCE, "the moment to kill", || {
                self.workload.grant();
                polled += 1;
                if records == 0 { polled >= polls } else { self.instance.delivered() >= records }
            })
            .unwrap();
            assert_eq!(relay.exited().unwrap(), None, "the relay ended by itself:\n{}", relay.lines().join("\n"));
            relay.kill9().unwrap();
            self.kills += 1;
        }
    }

    /// Lets the relay kill itself at a named point.
    #[cfg(feature = "failpoints")]
    fn kill_at(&mut self, point: &str, hit: u32) {
        let mut relay = self.instance.start_armed(&[], Some(&format!("{point}:{hit}=kill")));
        match point {
            "shutdown_begin" => {
                self.wait(|instance| instance.delivered() > 0);
                relay.sigterm().unwrap();
            }
            "heartbeat_checkpoint" => {
                self.workload.only_other(true);
                self.wait(|instance| instance.delivered() > 0 || instance.is_ready());
                self.mysql.sql("FLUSH BINARY LOGS").unwrap();
            }
            _ => {}
        }
        self.wait_killed(&mut relay, point);
        self.workload.only_other(false);
        self.kills += 1;
    }

    #[cfg(feature = "failpoints")]
    fn wait(&self, done: impl Fn(&Instance) -> bool) {
        wait::until(PATIENCE, "the relay to be ready for the failpoint", || {
            self.workload.grant();
            done(&self.instance)
        })
        .unwrap();
    }

    #[cfg(feature = "failpoints")]
    fn wait_killed(&self, relay: &mut Daemon, point: &str) {
        use std::os::unix::process::ExitStatusExt;
        let mut ended = None;
        wait::until(PATIENCE, point, || {
            self.workload.grant();
            ended = relay.exited().unwrap();
            ended.is_some()
        })
        .unwrap_or_else(|error| panic!("{error}:\n{}", relay.lines().join("\n")));
        assert!(
            ended.and_then(|status| status.signal()).is_some(),
            "{ended:?} at {point}:\n{}",
            relay.lines().join("\n")
        );
    }

    /// Lets the last relay catch up, with the writers at rest.
    fn catch_up(self) -> (Mysql, Instance, Daemon) {
        println!("{} kills", self.kills);
        let relay = self.instance.stream();
        self.workload.finish();
        verdict::wait_caught_up(&self.mysql, &self.instance);
        (self.mysql, self.instance, relay)
    }

    fn assert_exactly_once(self) {
        let (mysql, instance, _relay) = self.catch_up();
        let _ = Case::new(&mysql, &shared().unwrap().kafka, &instance).assert_exactly_once();
    }
}

/// The places in the order in which a relay passes them. The first ones are passed before any row is read.
#[cfg(feature = "failpoints")]
const POINTS: [&str; 23] = [
    "producer_created",
    "init_done",
    "hw_sampled",
    "checkpoint_read",
    "source_connected",
    "identity_checked",
    "dump_sent",
    "rewind_event_seen",
    "gtid_seen",
    "row_first",
    "row_mid",
    "terminator_seen",
    "batch_closed",
    "txn_begun",
    "first_produced",
    "all_produced",
    "checkpoint_produced",
    "flushed",
    "endtxn_before_send",
    "commit_ok",
    "position_advanced",
    "heartbeat_checkpoint",
    "shutdown_begin",
];

#[test]
fn a_relay_killed_at_random_moments_delivers_every_committed_row_exactly_once() {
    let mut crash = Crash::new("crash_random", MysqlOptions::default(), "");
    crash.kill_at_random(16);
    crash.assert_exactly_once();
}

#[test]
#[cfg(feature = "failpoints")]
fn a_relay_killed_at_each_named_point_delivers_every_committed_row_exactly_once() {
    let mut crash = Crash::new("crash_points", MysqlOptions::default(), "");
    // The first run leaves a checkpoint behind a row, so that there is something to rewind to.
    crash.kill_at_random(2);
    for point in POINTS {
        // Points in the steady state are also passed once by the take-over; a later hit is inside the load.
        let steady = POINTS.iter().position(|p| *p == point) > POINTS.iter().position(|p| *p == "rewind_event_seen");
        let once = ["heartbeat_checkpoint", "shutdown_begin"].contains(&point);
        let hit = if steady && !once { crash.rng.random_range(2..6) } else { 1 };
        crash.kill_at(point, hit);
    }
    crash.assert_exactly_once();
}

#[test]
fn a_killed_relay_resumes_exactly_once_by_file_and_position() {
    let options = MysqlOptions { gtid: false, ..MysqlOptions::default() };
    let mut crash = Crash::new("crash_file", options, "");
    crash.kill_at_random(6);
    #[cfg(feature = "failpoints")]
    for point in ["rewind_event_seen", "row_mid", "terminator_seen", "all_produced", "endtxn_before_send", "commit_ok"]
    {
        crash.kill_at(point, 2);
    }
    crash.assert_exactly_once();
}

#[test]
fn a_killed_relay_that_delivers_at_least_once_repeats_but_neither_loses_nor_reorders() {
    let mut crash = Crash::new("crash_at_least_once", MysqlOptions::default(), "kafka.delivery = \"at-least-once\"\n");
    crash.kill_at_random(6);
    #[cfg(feature = "failpoints")]
    for point in ["row_mid", "all_produced", "checkpoint_produced", "position_advanced"] {
        crash.kill_at(point, 2);
    }
    let (mysql, instance, _relay) = crash.catch_up();
    let kafka = &shared().unwrap().kafka;
    let (once, copies) = verdict::without_duplicates(verdict::observe(kafka, &instance));
    println!("{copies} duplicates");
    let (verdict, _) = Case::new(&mysql, kafka, &instance).judge(&once);
    for defect in Defect::ALL {
        assert_eq!(verdict.count(defect), 0, "{}", defect.name());
    }
}
