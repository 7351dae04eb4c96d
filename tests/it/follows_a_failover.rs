//! With GTIDs the relay follows a failover to a promoted replica; what the new primary lacks, or has on its own, is named.

use testbed::{Kafka, Mysql, MysqlOptions, shared};

use crate::support::ending::{self, end, stopped};
use crate::support::{Instance, Outbox, PATIENCE, reader};

fn replicate(replica: &Mysql, primary: &Mysql) {
    replica
        .sql(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, SOURCE_USER='root', \
             SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1; START REPLICA",
            primary.port()
        ))
        .unwrap();
}

fn wait_replicated(primary: &Mysql, replica: &Mysql) {
    let executed = primary.sql("SELECT @@global.gtid_executed").unwrap().trim().replace("\\n", "");
    let waited = replica.sql(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 60)")).unwrap();
    assert_eq!(waited.trim(), "0");
}

fn insert(server: &Mysql, id: &str) {
    server.sql(&format!("INSERT INTO failover.outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')")).unwrap();
}

/// What was published, sorted: a repeated row would come twice.
fn ids(kafka: &Kafka) -> Vec<String> {
    let records = reader::read(kafka, "failover.");
    let mut ids: Vec<String> = ending::ids(&records).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn a_promoted_replica_is_read_on_without_loss_or_repeat() {
    let mut primary = Mysql::start(MysqlOptions::default()).unwrap();
    let mut replica = Mysql::start(MysqlOptions { server_id: 2, ..MysqlOptions::default() }).unwrap();
    let uuid = |server: &Mysql| server.sql("SELECT @@server_uuid").unwrap().trim().to_owned();
    let (old, new) = (uuid(&primary), uuid(&replica));
    replicate(&replica, &primary);
    let kafka = &shared().unwrap().kafka;
    primary.sql(&format!("CREATE DATABASE failover; {}", Outbox::table("failover", "outbox"))).unwrap();
    let mut outbox = Instance::new("failover", primary.port(), &kafka.bootstrap());
    outbox.more_sources = vec![replica.port()];

    let mut relay = outbox.stream();
    insert(&primary, "a");
    outbox.wait_delivered(1);
    wait_replicated(&primary, &replica);
    // Errant: committed by the replica on its own, before it is promoted.
    insert(&replica, "errant");
    primary.kill9().unwrap();
    let line = relay.wait_for("the other answers", PATIENCE, |l| l.contains("another server answers")).unwrap();
    assert!(line.contains(&format!("not_from_the_former={new}:1")) && line.contains(&old), "{line}");
    replica.sql("STOP REPLICA; RESET REPLICA ALL").unwrap();
    insert(&replica, "b");
    outbox.wait_delivered(3);
    assert_eq!(relay.exited().unwrap(), None);
    end(relay);

    // The old primary comes back without what the new one has: it is left aside, and named.
    primary.restart().unwrap();
    let mut relay = outbox.stream();
    let line = relay.wait_for("the old one is left", PATIENCE, |l| l.contains("this server is not read")).unwrap();
    assert!(line.contains("OBX-2202") && line.contains(&format!("{new}:1-2")), "{line}");
    insert(&replica, "c");
    outbox.wait_delivered(1);
    end(relay);

    // Alone it is refused.
    let alone = ["--set", &format!("source.hosts=127.0.0.1:{}", primary.port()) as &str];
    let missing = format!("absent from this server: {new}:1-3 (3 transactions)");
    stopped(outbox.start_with(&alone)).because("OBX-2202", 65, &[&missing], "--first-start");
    // While the other one is only away, the relay waits for it.
    replica.stop().unwrap();
    let mut relay = outbox.start();
    relay.wait_for("both are named", PATIENCE, |line| line.contains("OBX-2202") && line.contains("OBX-2001")).unwrap();
    replica.restart().unwrap();
    outbox.wait_ready();
    insert(&replica, "d");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(ids(kafka), ["a", "b", "c", "d", "errant"]);
}
