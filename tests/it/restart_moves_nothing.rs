//! A restart with nothing new publishes nothing and leaves the position where it was.

use testbed::{Mysql, MysqlOptions, shared};

use crate::support::workload::{self, TYPES, Workload};
use crate::support::{Instance, PATIENCE, verdict};

#[test]
fn a_restart_with_nothing_new_publishes_nothing_and_moves_nothing_by_gtid() {
    restart_three_times("restart_gtid", true);
}

#[test]
fn a_restart_with_nothing_new_publishes_nothing_and_moves_nothing_by_file_and_position() {
    restart_three_times("restart_file", false);
}

fn restart_three_times(name: &str, gtid: bool) {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() }).unwrap();
    let mut instance = Instance::new(name, mysql.port(), &kafka.bootstrap());
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, name, workload::seed(name));
    let mut relay = instance.stream();
    testbed::wait::until(PATIENCE, "some records", || {
        writers.grant();
        instance.delivered() > 100
    })
    .unwrap();
    writers.finish();
    verdict::wait_caught_up(&mysql, &instance);
    // Offsets count the end markers of Kafka transactions, too.
    let offsets = || TYPES.map(|kind| kafka.end_offsets(&instance.topic(kind)).unwrap());
    let (before, position) = (offsets(), position(&instance));
    for _ in 0..3 {
        relay.sigterm().unwrap();
        assert!(relay.wait_exit(PATIENCE).unwrap().success());
        relay = instance.stream();
        assert_eq!(self::position(&instance), position);
    }
    assert_eq!(offsets(), before);
    // Whatever a restart might have left to be repeated would come before the row that this writes.
    verdict::assert_exactly_once(&mysql, kafka, &instance);
}

/// Position and GTID set of the checkpoint, without its sequence number.
fn position(instance: &Instance) -> String {
    let checkpoint = &instance.status()["checkpoint"];
    format!("{}:{} {}", checkpoint["file"], checkpoint["offset"], checkpoint["executed"])
}
