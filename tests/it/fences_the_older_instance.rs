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
    let writers = Workload::start(&mysql, name, workload::seed(name));
    let mut older = instances[0].start();
    wait_more(&instances[0], &writers);
    for newer in &instances[1..] {
        if frozen {
            older.pause().unwrap();
        }
        let successor = newer.start();
        if frozen {
            wait_more(newer, &writers);
            older.resume().unwrap();
        }
        wait_fenced(&mut older, &successor, &writers);
        wait_more(newer, &writers);
        older = successor;
    }
    writers.finish();
    assert_eq!(older.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instances[2]);
}

/// It has fenced the running instance and is replaced itself before it has written anything.
#[cfg(feature = "failpoints")]
#[test]
fn a_newcomer_that_is_replaced_before_its_first_checkpoint_names_its_successor() {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let name = "fence_newcomer";
    let mut instances = [0; 3].map(|_| Instance::new(name, mysql.port(), &kafka.bootstrap()));
    workload::prepare(&mysql, &mut instances[0]);
    for number in 1..instances.len() {
        instances[number].extra = instances[0].extra.clone();
    }
    let writers = Workload::start(&mysql, name, workload::seed(name));
    let mut first = instances[0].start();
    wait_more(&instances[0], &writers);
    let mut newcomer = instances[1].start_armed(&[], Some("checkpoint_read=stop"));
    newcomer.wait_for_line("failpoint checkpoint_read stops", PATIENCE).unwrap();
    let mut successor = instances[2].start();
    wait_fenced(&mut first, &successor, &writers);
    wait_more(&instances[2], &writers);
    newcomer.resume().unwrap();
    wait_fenced(&mut newcomer, &successor, &writers);
    wait_more(&instances[2], &writers);
    writers.finish();
    assert_eq!(successor.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instances[2]);
}

/// It was slow, so the older instance has taken its own place again meanwhile; the newest one wins all the same.
#[cfg(feature = "failpoints")]
#[test]
fn a_newcomer_that_is_fenced_by_the_instance_it_replaces_tries_again_and_wins() {
    let kafka = &shared().unwrap().kafka;
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let name = "fence_back";
    let mut instances = [0; 2].map(|_| Instance::new(name, mysql.port(), &kafka.bootstrap()));
    workload::prepare(&mysql, &mut instances[0]);
    instances[1].extra = instances[0].extra.clone();
    let writers = Workload::start(&mysql, name, workload::seed(name));
    let mut older = instances[0].start();
    wait_more(&instances[0], &writers);
    let mut newcomer = instances[1].start_armed(&[], Some("checkpoint_read=stop"));
    newcomer.wait_for_line("failpoint checkpoint_read stops", PATIENCE).unwrap();
    wait_more(&instances[0], &writers);
    newcomer.resume().unwrap();
    wait_fenced(&mut older, &newcomer, &writers);
    wait_more(&instances[1], &writers);
    writers.finish();
    assert_eq!(newcomer.exited().unwrap(), None);
    verdict::assert_exactly_once(&mysql, kafka, &instances[1]);
}

/// Waits until the instance delivers.
fn wait_more(instance: &Instance, writers: &Workload) {
    writers.drive(instance, 50, PATIENCE);
}

fn wait_fenced(older: &mut Daemon, successor: &Daemon, writers: &Workload) {
    let mut ended = None;
    wait::until(PATIENCE, "the older instance ends", || {
        writers.grant();
        ended = older.exited().unwrap();
        ended.is_some()
    })
    .unwrap();
    let named = format!("(pid {} on ", successor.pid());
    older.wait_for(&named, PATIENCE, |line| line.contains("OBX-4203") && line.contains(&named)).unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(FENCED));
}
