//! A connection that stays open and says nothing is left; until then the lag grows.

use std::time::{Duration, Instant};

use testbed::{Mysql, MysqlOptions, shared, wait};

use crate::support::proxy::Proxy;
use crate::support::{Outbox, PATIENCE};

#[test]
fn a_half_open_connection_is_left_after_three_heartbeats() {
    is_left("silence", &shared().unwrap().mysql);
}

#[test]
fn a_half_open_connection_to_a_mariadb_is_left_after_three_heartbeats() {
    is_left("silence_maria", &Mysql::start(MysqlOptions::mariadb()).unwrap());
}

fn is_left(name: &str, mysql: &Mysql) {
    let proxy = Proxy::start(mysql.port());
    let mut outbox = Outbox::new(name, mysql, &shared().unwrap().kafka);
    // The heartbeat is a second.
    outbox.source = proxy.port;
    let mut relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    let lag = || outbox.status()["lag_seconds"].as_f64().unwrap_or(0.0);
    let connected = || outbox.status()["source"]["connected"].as_bool();

    let held = Instant::now();
    proxy.hold(true);
    outbox.insert("b", "Order", "1", "{}");
    wait::until(PATIENCE, "the lag grows before the connection is left", || lag() >= 2.0).unwrap();
    let metrics = outbox.get("/metrics").unwrap().1;
    let shown = metrics.lines().find(|line| line.starts_with("outboxd_lag_seconds")).unwrap();
    assert!(shown.rsplit(' ').next().unwrap().parse::<f64>().unwrap() >= 2.0, "{shown}");
    assert!(held.elapsed() > Duration::from_secs(3) || connected() != Some(false), "{}", outbox.status());
    relay.wait_for("the silence is noticed", PATIENCE, |line| line.contains("OBX-2003")).unwrap();
    assert!(held.elapsed() < Duration::from_secs(6), "{:?}", held.elapsed());
    assert_eq!(outbox.delivered(), 1);

    proxy.hold(false);
    outbox.wait_delivered(2);
    wait::until(PATIENCE, "the lag is gone", || lag() < 1.0).unwrap();
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}
