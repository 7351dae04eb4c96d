//! With GTIDs the relay follows a failover to a promoted replica; what the new primary lacks, or has on its own, is named.

use testbed::{Kafka, Mysql, MysqlOptions, Product, shared};

use crate::support::ending::{self, end, stopped};
use crate::support::{Instance, Outbox, PATIENCE, reader};

pub(crate) fn replicate(replica: &Mysql, primary: &Mysql) {
    let port = primary.port();
    let statement = match primary.product() {
        Product::Mysql => format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='root', \
             SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1; START REPLICA"
        ),
        Product::Mariadb => format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, \
             MASTER_CONNECT_RETRY=1; START REPLICA"
        ),
    };
    replica.sql(&statement).unwrap();
}

/// Everything that a server has executed, as it says so itself.
fn executed(server: &Mysql) -> String {
    let executed = server.sql(match server.product() {
        Product::Mysql => "SELECT @@global.gtid_executed",
        Product::Mariadb => "SELECT @@gtid_binlog_pos",
    });
    executed.unwrap().trim().replace("\\n", "")
}

pub(crate) fn wait_replicated(primary: &Mysql, replica: &Mysql) {
    let executed = executed(primary);
    let waited = replica.sql(&match primary.product() {
        Product::Mysql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 60)"),
        Product::Mariadb => format!("SELECT MASTER_GTID_WAIT('{executed}', 60)"),
    });
    assert_eq!(waited.unwrap().trim(), "0");
}

/// How the products name a server, what it has on its own by now, and what it has that another lacks.
struct Words {
    server: fn(&Mysql) -> String,
    own: fn(&Mysql, &str) -> String,
    /// After so many transactions of its own.
    lacked: fn(&Mysql, u32) -> String,
}

const MYSQL: Words = Words {
    server: uuid,
    own: |_, name| format!("{name}:1"),
    lacked: |server, count| format!("{}:1-{count}", uuid(server)),
};

/// A position names the last transaction of a domain alone.
const MARIADB: Words = Words {
    server: |server| format!("server_id {}", server.sql("SELECT @@server_id").unwrap().trim()),
    own: |server, _| executed(server),
    lacked: |server, _| executed(server),
};

fn uuid(server: &Mysql) -> String {
    server.sql("SELECT @@server_uuid").unwrap().trim().to_owned()
}

fn insert(server: &Mysql, name: &str, id: &str) {
    server.sql(&format!("INSERT INTO {name}.outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')")).unwrap();
}

/// What was published, sorted: a repeated row would come twice.
fn ids(kafka: &Kafka, name: &str) -> Vec<String> {
    let records = reader::read(kafka, &format!("{name}."));
    let mut ids: Vec<String> = ending::ids(&records).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn a_promoted_replica_is_read_on_without_loss_or_repeat() {
    follows("failover", MysqlOptions::default(), &MYSQL);
}

#[test]
fn a_promoted_replica_of_a_mariadb_is_read_on_without_loss_or_repeat() {
    let extra = vec!["--log-slave-updates=ON".to_owned()];
    follows("failover_maria", MysqlOptions { extra, ..MysqlOptions::mariadb() }, &MARIADB);
}

fn follows(name: &str, options: MysqlOptions, words: &Words) {
    let mut primary = Mysql::start(options.clone()).unwrap();
    let mut replica = Mysql::start(MysqlOptions { server_id: 2, ..options }).unwrap();
    let (old, new) = ((words.server)(&primary), (words.server)(&replica));
    replicate(&replica, &primary);
    let kafka = &shared().unwrap().kafka;
    primary.sql(&format!("CREATE DATABASE {name}; {}", Outbox::table(name, "outbox"))).unwrap();
    let mut outbox = Instance::new(name, primary.port(), &kafka.bootstrap());
    outbox.more_sources = vec![replica.port()];

    let mut relay = outbox.stream();
    insert(&primary, name, "a");
    outbox.wait_delivered(1);
    wait_replicated(&primary, &replica);
    // Errant: committed by the replica on its own, before it is promoted.
    insert(&replica, name, "errant");
    let errant = (words.own)(&replica, &new);
    primary.kill9().unwrap();
    let line = relay.wait_for("the other answers", PATIENCE, |l| l.contains("another server answers")).unwrap();
    assert!(line.contains(&format!("not_from_the_former={errant}")) && line.contains(&old), "{line}");
    replica.sql("STOP REPLICA; RESET REPLICA ALL").unwrap();
    insert(&replica, name, "b");
    outbox.wait_delivered(3);
    assert_eq!(relay.exited().unwrap(), None);
    end(relay);

    // The old primary comes back without what the new one has: it is left aside, and named.
    primary.restart().unwrap();
    let missing = (words.lacked)(&replica, 2);
    let mut relay = outbox.stream();
    let line = relay.wait_for("the old one is left", PATIENCE, |l| l.contains("this server is not read")).unwrap();
    assert!(line.contains("OBX-2202") && line.contains(&missing), "{line}");
    insert(&replica, name, "c");
    outbox.wait_delivered(1);
    end(relay);

    // Alone it is refused.
    let alone = ["--set", &format!("source.hosts=127.0.0.1:{}", primary.port()) as &str];
    let missing = format!("absent from this server: {}", (words.lacked)(&replica, 3));
    stopped(outbox.start_with(&alone)).because("OBX-2202", 65, &[&missing], "--first-start");
    // While the other one is only away, the relay waits for it.
    replica.stop().unwrap();
    let mut relay = outbox.start();
    relay.wait_for("both are named", PATIENCE, |line| line.contains("OBX-2202") && line.contains("OBX-2001")).unwrap();
    replica.restart().unwrap();
    outbox.wait_ready();
    insert(&replica, name, "d");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(ids(kafka, name), ["a", "b", "c", "d", "errant"]);
}
