//! Of two instances with one name the newer one goes on and the older one stops, saying who took over.

use testbed::{Daemon, Mysql, MysqlOptions, shared, wait};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, verdict};

/// Exit status of an instance that another one replaced.
const FENCED: i32 = 3;

#[test]
fn a_newer_instance_replaces_a_running_one_that_then_names_it() {
    take_over("fence_running", false);
}

#[test]
fn an_instance_that_was_frozen_while_another_took_over_writes_nothing_more() {
    take_over("fence_frozen", true);
}

/// Three generations, each replaced by the next under load.
fn take_over(name: &str, frozen: bool) {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut instances = [0; 3].map(|_| Instance::new(name, mysql.port(), &kafka.bootstrap()));
    workload::prepare(&mysql, &mut instances[0]);
    for number in 1..instances.len() {
        instances[number].extra = instances[0].extra.clone();
    }
    let writers = Workload::start(&mysql, name, workload::seed());
    let deliver = |instance: &Instance| {
        wait::until(PATIENCE, "the instance delivers", || {
            writers.grant();
            instance.delivered() > 50
        })
        .unwrap();
    };
    let mut older = instances[0].start();
    deliver(&instances[0]);
    for newer in &instances[1..] {
        if frozen {
            older.pause().unwrap();
        }
        let successor = newer.start();
        if frozen {
            deliver(newer);
            older.resume().unwrap();
        }
        wait_fenced(&mut older, &successor, &writers);
        deliver(newer);
        older = successor;
    }
    writers.finish();
    assert_eq!(older.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instances[2]);
}

fn wait_fenced(older: &mut Daemon, successor: &Daemon, writers: &Workload) {
    let mut ended = None;
    wait::until(PATIENCE, "the older instance ends", || {
        writers.grant();
        ended = older.exited().unwrap();
        ended.is_some()
    })
    .unwrap();
    let log = older.lines().join("\n");
    assert_eq!(ended.and_then(|status| status.code()), Some(FENCED), "{log}");
    let named = format!("(pid {} on ", successor.pid());
    assert!(log.contains("OBX-4203") && log.contains(&named), "{log}");
}
