//! A server whose data was replaced, cut short or moved is not the one that the checkpoint belongs to: each change is
//! noticed, and none is passed over in silence. `proves_the_history.rs` has the changes that SQL can make.

use std::os::unix::fs::FileExt;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use testbed::{Daemon, Mysql, MysqlOptions, Product};

use crate::support::PATIENCE;
use crate::support::ending::{end, stopped};
use crate::support::source::{MARIADB_FILE, MARIADB_GTID, MYSQL_FILE, MYSQL_GTID, Source, copy, kafka};

/// An older copy of the data folder, which then overtakes the checkpoint: same server_uuid, same file names.
fn restored_from_an_older_copy(source: &mut Source) {
    source.deliver(&["a", "b"]);
    source.mysql.stop().unwrap();
    let (data, backup) = (source.mysql.data_dir(), tempfile::tempdir().unwrap());
    copy(&data, &backup.path().join("data"));
    source.mysql.restart().unwrap();
    source.deliver(&["c"]);
    source.mysql.stop().unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup.path().join("data"), &data);
    source.mysql.restart().unwrap();
    source.insert(&["d", "e"]);
    source.refuses("OBX-2201", 65, &["source history changed"], "--first-start");
    assert_eq!(source.ids(), ["a", "b", "c"]);
}

/// Crashes the server, and cuts its newest log at an offset.
fn crash_and_cut(mysql: &mut Mysql, offset: u64) {
    mysql.kill9().unwrap();
    let log = mysql.binlogs().unwrap().pop().unwrap();
    std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(offset).unwrap();
    mysql.restart().unwrap();
}

/// A crash without `sync_binlog` may take the tail of the log; GTIDs are given again.
fn lost_its_tail(source: &mut Source) {
    source.deliver(&["a"]);
    let end = source.mysql.log_end().unwrap().1.parse().unwrap();
    source.deliver(&["b"]);
    crash_and_cut(&mut source.mysql, end);
    source.insert(&["c", "d"]);
    source.refuses("OBX-2201", 65, &["source history changed"], "--first-start");
    assert_eq!(source.ids(), ["a", "b"]);
}

/// The same in the middle of a group that was not published. A MySQL with GTIDs knows that its tables have it; otherwise
/// nobody can, and what is left of it in the log counts for nothing.
fn lost_half_a_group(source: &mut Source) {
    source.deliver(&["a"]);
    let (file, end) = source.mysql.log_end().unwrap();
    source.insert(&["lost"]);
    let events = source.mysql.sql(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {end}")).unwrap();
    let commit = events.lines().last().and_then(|event| event.split('\t').nth(1)).unwrap();
    crash_and_cut(&mut source.mysql, commit.parse().unwrap());
    source.insert(&["b"]);
    if source.kind.product == Product::Mysql && source.kind.gtid {
        source.refuses("OBX-2203", 65, &["needed and purged"], "Restore the logs");
        return;
    }
    let mut relay = source.relay.stream();
    source.relay.wait_delivered(1);
    // A MySQL cuts the half from its log itself.
    if source.kind.product == Product::Mariadb {
        relay.wait_for_line("the server was lost within a transaction", PATIENCE).unwrap();
    }
    end_and_resume(source, relay);
    assert_eq!(source.ids(), ["a", "b", "c"]);
}

/// A byte of a row changes on the server's disk: nothing of it is published, and all of it when the disk is mended.
fn damaged_on_disk(source: &Source) {
    source.deliver(&["a"]);
    let (file, end) = source.mysql.log_end().unwrap();
    source.insert(&["b"]);
    let events = source.mysql.sql(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {end}")).unwrap();
    let rows = events.lines().find(|event| event.contains("Write_rows")).unwrap();
    let behind: u64 = rows.split('\t').nth(4).unwrap().parse().unwrap();
    let log = source.mysql.binlogs().unwrap().pop().unwrap();
    let log = std::fs::OpenOptions::new().read(true).write(true).open(log).unwrap();
    // Before its checksum.
    let (mut byte, at) = ([0], behind - 6);
    log.read_exact_at(&mut byte, at).unwrap();
    log.write_all_at(&[byte[0] ^ 1], at).unwrap();
    source.refuses("OBX-2301", 75, &["checksum"], "mysqlbinlog --verify-binlog-checksum");
    log.write_all_at(&byte, at).unwrap();
    let relay = source.relay.stream();
    source.relay.wait_delivered(1);
    end_and_resume(source, relay);
    assert_eq!(source.ids(), ["a", "b", "c"]);
}

/// What was read can be compared at the next start.
fn end_and_resume(source: &Source, relay: Daemon) {
    end(relay);
    let mut relay = source.relay.stream();
    relay.wait_for_line("the source's history is the one of the checkpoint", PATIENCE).unwrap();
    source.insert(&["c"]);
    source.relay.wait_delivered(1);
    end(relay);
}

#[test]
fn a_restored_copy_and_a_lost_tail_are_refused_by_gtid() {
    let mut source = Source::new("restored_gtid", MYSQL_GTID);
    restored_from_an_older_copy(&mut source);
    source.anew("truncated_gtid");
    lost_its_tail(&mut source);
    source.anew("halved_gtid");
    lost_half_a_group(&mut source);
}

#[test]
fn a_restored_copy_and_a_lost_tail_are_refused_by_file_and_position() {
    let mut source = Source::new("restored_file", MYSQL_FILE);
    restored_from_an_older_copy(&mut source);
    source.anew("truncated_file");
    lost_its_tail(&mut source);
    source.anew("halved_file");
    lost_half_a_group(&mut source);
    let on =
        ["enforce_gtid_consistency = ON", "gtid_mode = OFF_PERMISSIVE", "gtid_mode = ON_PERMISSIVE", "gtid_mode = ON"];
    on.iter().for_each(|setting| drop(source.mysql.sql(&format!("SET GLOBAL {setting}")).unwrap()));
    source.refuses("OBX-2205", 78, &["gtid_mode = ON"], "Set `gtid_mode` and `source.positions` back");
}

#[test]
fn on_mariadb_each_change_is_noticed_by_gtid() {
    let mut source = Source::new("maria_restored_gtid", MARIADB_GTID);
    restored_from_an_older_copy(&mut source);
    source.anew("maria_truncated_gtid");
    lost_its_tail(&mut source);
    source.anew("maria_halved_gtid");
    lost_half_a_group(&mut source);
    by_the_other_positions(&source, "file");
    renumbered(&mut source);
    led_elsewhere(&source, "OBX-2202");
}

#[test]
fn on_mariadb_each_change_is_noticed_by_file_and_position() {
    let mut source = Source::new("maria_restored_file", MARIADB_FILE);
    restored_from_an_older_copy(&mut source);
    source.anew("maria_truncated_file");
    lost_its_tail(&mut source);
    source.anew("maria_halved_file");
    lost_half_a_group(&mut source);
    source.anew("maria_damaged_file");
    damaged_on_disk(&source);
    by_the_other_positions(&source, "gtid");
    led_elsewhere(&source, "OBX-2204");
    renumbered(&mut source);
}

fn by_the_other_positions(source: &Source, other: &str) {
    let before = source.ids();
    let fix = "Set `gtid_mode` and `source.positions` back";
    stopped(source.relay.start_with(&["--set", &format!("source.positions={other}")])).because(
        "OBX-2205",
        78,
        &[],
        fix,
    );
    assert_eq!(source.ids(), before);
}

/// The same data under another server_id: what the server_uuid is on MySQL.
fn renumbered(source: &mut Source) {
    source.anew(&format!("{}_id", source.relay.name));
    source.deliver(&["a"]);
    source.mysql.restart_with(MysqlOptions { server_id: 7, ..source.kind.options() }).unwrap();
    source.insert(&["b"]);
    followed_by_gtid_and_refused_by_file(source, "server_id 1, this is server_id 7");
}

/// The proxy leads to another server while the relay reads.
fn led_elsewhere(source: &Source, code: &str) {
    let other = Mysql::start(MysqlOptions { server_id: 2, ..source.kind.options() }).unwrap();
    let before = source.ids();
    let relay = source.relay.stream();
    source.insert(&["here"]);
    source.relay.wait_delivered(1);
    source.proxy.lead_to(other.port());
    source.proxy.end_stream();
    source.insert(&["there"]);
    stopped(relay).because(code, 65, &[], "Connect to the server");
    assert_eq!(source.ids().len(), before.len() + 1);
    source.proxy.lead_to(source.mysql.port());
}

#[test]
fn another_server_behind_the_address_is_noticed_in_mid_stream() {
    for (name, kind, code) in [("swapped_gtid", MYSQL_GTID, "OBX-2202"), ("swapped_file", MYSQL_FILE, "OBX-2204")] {
        led_elsewhere(&Source::new(name, kind), code);
    }
}

/// The same data under another server_uuid: by GTID it is the same history, by file it may be anything.
#[test]
fn a_new_server_uuid_is_followed_by_gtid_and_refused_by_file() {
    for (name, kind) in [("uuid_gtid", MYSQL_GTID), ("uuid_file", MYSQL_FILE)] {
        let mut source = Source::new(name, kind);
        source.deliver(&["a"]);
        source.mysql.stop().unwrap();
        std::fs::remove_file(source.mysql.data_dir().join("auto.cnf")).unwrap();
        source.mysql.restart().unwrap();
        source.insert(&["b"]);
        followed_by_gtid_and_refused_by_file(&source, "server_uuid");
    }
}

fn followed_by_gtid_and_refused_by_file(source: &Source, identity: &str) {
    if !source.kind.gtid {
        let words = ["the checkpoint belongs to", identity];
        return source.refuses("OBX-2204", 65, &words, "Connect to the server");
    }
    let mut relay = source.relay.stream();
    relay.wait_for_line("another server answers", PATIENCE).unwrap();
    source.relay.wait_delivered(1);
    end(relay);
    assert_eq!(source.ids(), ["a", "b"]);
}

#[test]
fn transactions_from_a_time_without_gtids_are_not_left_out() {
    let source = Source::new("gtid_off_on", MYSQL_GTID);
    source.deliver(&["a"]);
    let set = |modes: &[&str]| {
        modes.iter().for_each(|mode| drop(source.mysql.sql(&format!("SET GLOBAL gtid_mode = {mode}")).unwrap()));
    };
    set(&["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"]);
    source.insert(&["anonymous"]);
    source.refuses("OBX-2205", 78, &["gtid_mode = OFF"], "Set `gtid_mode` and `source.positions` back");
    set(&["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"]);
    source.insert(&["b"]);
    source.refuses("OBX-2208", 65, &["anonymous transaction"], "--first-start");
    assert_eq!(source.ids(), ["a"]);
}

/// Replaces the newest checkpoint of a relay by a changed copy.
fn forge(relay: &str, change: impl FnOnce(&mut Value)) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka().bootstrap_internal()).set("group.id", "forger");
    let consumer: BaseConsumer =
        client.clone().set("enable.partition.eof", "true").set("auto.offset.reset", "earliest").create().unwrap();
    let topic = format!("{relay}.checkpoints");
    let mut assignment = rdkafka::TopicPartitionList::new();
    assignment.add_partition_offset(&topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut newest = None;
    loop {
        match consumer.poll(PATIENCE).unwrap() {
            Ok(record) => newest = record.payload().map(<[u8]>::to_vec),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let mut checkpoint: Value = serde_json::from_slice(&newest.unwrap()).unwrap();
    change(&mut checkpoint);
    let producer: BaseProducer = client.create().unwrap();
    let value = checkpoint.to_string();
    producer.send(BaseRecord::to(&topic).partition(0).key(relay).payload(&value)).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
}

#[test]
fn a_checkpoint_of_another_cluster_or_relay_is_refused() {
    let mut source = Source::new("forged", MYSQL_GTID);
    source.relay.extra = "kafka.checkpoint_topic = \"forged.checkpoints\"\nkafka.checkpoint_partition = 0\n".to_owned();
    source.deliver(&["a"]);
    source.insert(&["b"]);
    forge("forged", |checkpoint| checkpoint["cluster_id"] = "another".into());
    source.refuses("OBX-4303", 78, &["Kafka cluster another"], "start over");
    forge("forged", |checkpoint| {
        checkpoint["cluster_id"] = kafka_cluster().into();
        checkpoint["relay"] = "somebody".into();
    });
    source.refuses("OBX-4303", 78, &["belongs to relay \\\"somebody"], "start over");
    assert_eq!(source.ids(), ["a"]);
}

fn kafka_cluster() -> String {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka().bootstrap_internal()).create().unwrap();
    client.client().fetch_cluster_id(PATIENCE).unwrap()
}
