//! Two instances of one relay, each started again by its supervisor whenever it ends: the newest one goes on, and the
//! older one, started again, does not push it out.

use std::time::{Duration, Instant};

use testbed::{Daemon, Mysql, MysqlOptions, shared, wait};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, proof, verdict};

/// Exit status of an instance that another one replaced, or that lets its successor be.
const FENCED: i32 = 3;

/// How long the supervisors of a full proof go on.
const LONG: Duration = Duration::from_secs(300);

/// Restarts of a quick one.
const RESTARTS: usize = 2;

struct Test {
    mysql: Mysql,
    writers: Workload,
    here: Instance,
    there: Instance,
}

impl Test {
    /// The instance at `there` has replaced the one at `here`.
    fn replaced(name: &str) -> (Self, Daemon) {
        let mysql = Mysql::start(MysqlOptions::default()).unwrap();
        let brokers = shared().unwrap().kafka.bootstrap();
        let [mut here, mut there] = [(); 2].map(|()| Instance::new(name, mysql.port(), &brokers));
        workload::prepare(&mysql, &mut here);
        there.extra = here.extra.clone();
        let writers = Workload::start(&mysql, name, workload::seed(name));
        let test = Self { mysql, writers, here, there };
        let older = test.here.start();
        test.wait_delivered(&test.here);
        let newer = test.there.start();
        test.wait_end(older, "OBX-4203", &newer);
        test.wait_delivered(&test.there);
        (test, newer)
    }

    fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        wait::until(PATIENCE, what, || {
            self.writers.grant();
            condition()
        })
        .unwrap();
    }

    fn wait_delivered(&self, instance: &Instance) {
        let before = instance.delivered();
        self.wait("the instance delivers", || instance.delivered() > before + 20);
    }

    /// The daemon ends because of `successor`, whom it names.
    fn wait_end(&self, mut daemon: Daemon, code: &str, successor: &Daemon) {
        let mut ended = None;
        self.wait("the instance ends", || {
            ended = daemon.exited().unwrap();
            ended.is_some()
        });
        let named = format!("(pid {} on ", successor.pid());
        daemon.wait_for(&named, PATIENCE, |line| line.contains(code) && line.contains(&named)).unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(FENCED));
    }

    /// The supervisor of `here` starts it again and again.
    fn restart(&self, there: &mut Daemon, again: impl Fn(usize) -> bool) {
        let mut restarts = 0;
        while again(restarts) {
            restarts += 1;
            self.wait_end(self.here.start(), "OBX-4205", there);
            assert_eq!(there.exited().unwrap(), None);
        }
        println!("{restarts} restarts refused");
    }
}

#[test]
fn an_instance_that_was_replaced_does_not_push_its_successor_out() {
    let (test, mut newer) = Test::replaced("supervised");
    test.restart(&mut newer, |restarts| restarts < RESTARTS);

    // A crash of the newest: its own restart never waits.
    newer.kill9().unwrap();
    let mut newer = test.there.start();
    test.wait_delivered(&test.there);
    assert!(!newer.lines().join("\n").contains("waiting to see"), "its own restart waits");
    let began = Instant::now();
    if proof::is_full() {
        test.restart(&mut newer, |_| began.elapsed() < LONG);
        assert!(test.there.status()["delivered"]["records"].as_u64() > Some(1_000));
    }

    // An operator moves the relay back.
    let ordered = test.here.start_with(&["--take-over"]);
    test.wait_end(newer, "OBX-4203", &ordered);
    test.wait_end(test.there.start(), "OBX-4205", &ordered);
    test.wait_delivered(&test.here);
    let Test { mysql, writers, here, .. } = test;
    writers.finish();
    verdict::assert_exactly_once(&mysql, &shared().unwrap().kafka, &here);
}

/// Where nothing is written the successor shows that it lives, and one that does not is replaced.
#[test]
#[ignore = "a minute of waiting: make test-crash"]
fn a_silent_successor_is_told_from_an_idle_one() {
    let (test, mut newer) = Test::replaced("silent_successor");
    let Test { mysql, writers, here, there } = test;
    writers.finish();
    verdict::wait_caught_up(&mysql, &there);

    let mut refused = here.start();
    let ended = refused.wait_exit(PATIENCE).unwrap();
    refused.wait_for_line("OBX-4205", PATIENCE).unwrap();
    assert_eq!(ended.code(), Some(FENCED));

    newer.kill9().unwrap();
    let _after = here.stream();
    verdict::assert_exactly_once(&mysql, &shared().unwrap().kafka, &here);
}
