//! A server whose data was replaced, cut short or moved is not the one that the checkpoint belongs to: each change is
//! noticed, and none is passed over in silence. `proves_the_history.rs` has the changes that SQL can make.

use std::path::Path;
use std::process::Command;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use testbed::{Kafka, Mysql, MysqlOptions, shared};

use crate::support::ending::{self, end, stopped};
use crate::support::proxy::Proxy;
use crate::support::{Instance, Outbox, PATIENCE, reader};

/// A server of its own with an outbox, whose relay reads it through a proxy.
struct Source {
    mysql: Mysql,
    proxy: Proxy,
    relay: Instance,
}

impl Source {
    fn new(name: &str, gtid: bool) -> Self {
        let mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() }).unwrap();
        let proxy = Proxy::start(mysql.port());
        let relay = Instance::new(name, proxy.port, &kafka().bootstrap());
        mysql.sql(&format!("CREATE DATABASE `{name}`; {}", Outbox::table(name, "outbox"))).unwrap();
        Self { mysql, proxy, relay }
    }

    fn insert(&self, ids: &[&str]) {
        for id in ids {
            let name = &self.relay.name;
            let row = format!("INSERT INTO `{name}`.outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}')");
            self.mysql.sql(&row).unwrap();
        }
    }

    /// Inserts rows, and delivers these and none more.
    fn deliver(&self, ids: &[&str]) {
        let relay = self.relay.stream();
        self.insert(ids);
        self.relay.wait_delivered(ids.len() as u64);
        end(relay);
    }

    fn ids(&self) -> Vec<String> {
        let records = reader::read(kafka(), &format!("{}.", self.relay.name));
        let mut ids: Vec<String> = ending::ids(&records).into_iter().map(str::to_owned).collect();
        ids.sort();
        ids
    }

    fn refuses(&self, code: &str, status: i32, words: &[&str], fix: &str) {
        let before = self.ids();
        stopped(self.relay.start()).because(code, status, words, fix);
        assert_eq!(self.ids(), before);
    }
}

fn kafka() -> &'static Kafka {
    &shared().unwrap().kafka
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--archive").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// An older copy of the data folder, which then overtakes the checkpoint: same server_uuid, same file names.
fn restored_from_an_older_copy(name: &str, gtid: bool) {
    let mut source = Source::new(name, gtid);
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

#[test]
fn a_restored_copy_is_refused_by_gtid() {
    restored_from_an_older_copy("restored_gtid", true);
}

#[test]
fn a_restored_copy_is_refused_by_file_and_position() {
    restored_from_an_older_copy("restored_file", false);
}

/// A crash without `sync_binlog` may take the tail of the log.
#[test]
fn a_log_that_lost_its_tail_is_refused() {
    let mut source = Source::new("truncated", true);
    source.deliver(&["a"]);
    let status = source.mysql.sql("SHOW BINARY LOG STATUS").unwrap();
    let end: u64 = status.split('\t').nth(1).unwrap().parse().unwrap();
    source.deliver(&["b"]);
    source.mysql.kill9().unwrap();
    let log = source.mysql.binlogs().unwrap().pop().unwrap();
    std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(end).unwrap();
    source.mysql.restart().unwrap();
    source.insert(&["c", "d"]);
    source.refuses("OBX-2201", 65, &["source history changed"], "--first-start");
    assert_eq!(source.ids(), ["a", "b"]);
}

#[test]
fn another_server_behind_the_address_is_noticed_in_mid_stream() {
    for (name, gtid, code) in [("swapped_gtid", true, "OBX-2202"), ("swapped_file", false, "OBX-2204")] {
        let source = Source::new(name, gtid);
        let other = Source::new(&format!("{name}_other"), gtid);
        let relay = source.relay.stream();
        source.insert(&["a"]);
        source.relay.wait_delivered(1);
        source.proxy.lead_to(other.mysql.port());
        source.proxy.end_stream();
        source.insert(&["b"]);
        stopped(relay).because(code, 65, &[], "Connect to the server");
        assert_eq!(source.ids(), ["a"]);
    }
}

/// The same data under another server_uuid: by GTID it is the same history, by file it may be anything.
#[test]
fn a_new_server_uuid_is_followed_by_gtid_and_refused_by_file() {
    for gtid in [true, false] {
        let mut source = Source::new(if gtid { "uuid_gtid" } else { "uuid_file" }, gtid);
        source.deliver(&["a"]);
        source.mysql.stop().unwrap();
        std::fs::remove_file(source.mysql.data_dir().join("auto.cnf")).unwrap();
        source.mysql.restart().unwrap();
        source.insert(&["b"]);
        if gtid {
            let mut relay = source.relay.stream();
            relay.wait_for_line("another server answers", PATIENCE).unwrap();
            source.relay.wait_delivered(1);
            end(relay);
            assert_eq!(source.ids(), ["a", "b"]);
        } else {
            source.refuses("OBX-2204", 65, &["the checkpoint belongs to server_uuid"], "Connect to the server");
        }
    }
}

#[test]
fn transactions_from_a_time_without_gtids_are_not_left_out() {
    let source = Source::new("gtid_off_on", true);
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
    let mut source = Source::new("forged", true);
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
