//! A relay that is killed, stopped or made to fail at any place and at any moment resumes without losing, repeating,
//! reordering or tearing anything.
#![cfg(feature = "failpoints")]

use testbed::MysqlOptions;

use crate::support::crash::{Crash, PLACES, STANDBY_PLACES};
use crate::support::proof;

#[test]
fn a_relay_that_is_disturbed_at_every_place_delivers_exactly_once_by_gtid() {
    disturb("crash_gtid", true);
}

#[test]
fn a_relay_that_is_disturbed_at_every_place_delivers_exactly_once_by_file_and_position() {
    disturb("crash_file", false);
}

/// Every place; in a full proof with every action, and many more by chance.
fn disturb(name: &str, gtid: bool) {
    let mut crash = Crash::new(name, MysqlOptions { gtid, ..MysqlOptions::default() }, true);
    if proof::is_full() {
        crash.every_action();
        crash.random_until(proof::injections() / 2);
    } else {
        crash.every_place();
    }
    crash.judge();
}

#[test]
fn a_relay_that_delivers_at_least_once_repeats_but_neither_loses_nor_reorders() {
    let mut crash = Crash::new("crash_at_least_once", MysqlOptions::default(), false);
    if proof::is_full() {
        crash.every_action();
    } else {
        crash.random_until(12);
    }
    crash.judge();
}

/// A few places by GTID; in a full proof every place with every action, by file and position too.
#[test]
fn on_mariadb_a_relay_that_is_disturbed_delivers_exactly_once() {
    if !proof::is_full() {
        let mut crash = Crash::new("crash_maria", MysqlOptions::mariadb(), true);
        crash.random_until(3);
        return crash.judge();
    }
    for positions in ["gtid", "file"] {
        let extra = format!("source.positions = \"{positions}\"\n");
        let mut crash = Crash::configured(&format!("crash_maria_{positions}"), MysqlOptions::mariadb(), true, &extra);
        crash.every_action();
        crash.random_until(proof::injections() / 10);
        crash.judge();
    }
}

/// A place that is in the code and not in the list would never be disturbed.
#[test]
fn every_place_in_the_code_is_in_the_list() {
    let mut found: Vec<String> = sources("src").iter().flat_map(|source| places_in(source)).collect();
    // The supervisor names its place in a variable.
    found.extend(["config_loaded", "reconnecting"].map(str::to_owned));
    let mut listed: Vec<&str> = PLACES.iter().map(|(place, _)| *place).chain(STANDBY_PLACES).collect();
    found.sort();
    found.dedup();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

/// The words in quotes in each `failpoint::hit(…)`.
fn places_in(source: &str) -> Vec<String> {
    let calls = source.split("failpoint::hit(").skip(1);
    let arguments = calls.filter_map(|call| call.split(");").next()?.split(")?").next());
    arguments.flat_map(|argument| argument.split('"').skip(1).step_by(2).map(str::to_owned)).collect()
}

fn sources(folder: &str) -> Vec<String> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(self::sources(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(std::fs::read_to_string(path).unwrap());
        }
    }
    sources
}
