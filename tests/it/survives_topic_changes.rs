//! Topics may be changed, emptied or deleted under a running relay. What Kafka loses is lost, and nothing else: the relay
//! goes on with the next row, or stops and says what is gone.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, shared, wait};

use crate::support::ending::{end, stopped};
use crate::support::{Outbox, PATIENCE, proof, verdict};

/// So that a topic that is gone is not waited for so long.
const SHORT_TIMEOUT: &str = "kafka.librdkafka.\"message.timeout.ms\" = 4000\n";

/// The user whose rights are taken away.
const USER: &str = "relay";

fn wait_until_gone(kafka: &Kafka, topic: &str) {
    let gone = || !kafka.topics().unwrap().iter().any(|name| name == topic);
    wait::until(PATIENCE, "the topic is gone", gone).unwrap();
}

#[test]
fn an_output_topic_may_grow_be_emptied_and_be_made_anew() {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new("topic_changes", &servers.mysql, &servers.kafka);
    outbox.extra = SHORT_TIMEOUT.to_owned();
    let topic = outbox.topic("Order");
    let relay = outbox.stream();
    let mut inserted = 0;
    let mut insert = |id: &str| {
        outbox.insert(id, "Order", id, "{}");
        inserted += 1;
        outbox.wait_delivered(inserted);
    };
    insert("a");
    outbox.kafka.set_partitions(&topic, 6).unwrap();
    insert("b");
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
    outbox.kafka.delete_records(&topic).unwrap();
    insert("c");
    assert_eq!(outbox.sorted_ids(), ["c"]);
    outbox.kafka.delete_topic(&topic).unwrap();
    wait_until_gone(outbox.kafka, &topic);
    insert("d");
    assert_eq!(outbox.sorted_ids(), ["d"]);
    end(relay);
}

/// Each broker learns of a new topic by itself: the coordinator of a Kafka transaction may not know it yet. A busy cluster
/// takes longer, so a full proof has several relays. Their checkpoint topics are new, too.
#[test]
fn a_new_topic_ends_no_run() {
    proof::share("new_topics", proof::times(3, 150), proof::LANES, write_to_new_topics);
}

fn write_to_new_topics(name: &str, times: usize) {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new(name, &servers.mysql, &servers.kafka);
    outbox.extra = format!("kafka.checkpoint_topic = \"{name}.positions\"\n");
    let relay = outbox.stream();
    let mut slowest = Duration::ZERO;
    for number in 0..times {
        let row = |id: &str, kind: &str| Outbox::row(name, &format!("{number}-{id}"), kind, id, "{}");
        // The partitions of all three join the Kafka transaction in one request.
        let rows = [row("old", "Order"), row("new", &format!("New{number}")), row("newer", &format!("Newer{number}"))];
        outbox.mysql.sql(&format!("BEGIN; {}; COMMIT", rows.join("; "))).unwrap();
        let began = Instant::now();
        outbox.wait_delivered(3 * (number as u64 + 1));
        slowest = slowest.max(began.elapsed());
    }
    println!("{name}: {} new topics, brokers: {}, slowest after {slowest:?}", 2 * times, outbox.kafka.brokers());
    let ended: Vec<String> = relay.lines().into_iter().filter(|line| line.contains("the run ended")).collect();
    assert!(ended.is_empty(), "{ended:?}");
    end(relay);
}

/// An outbox whose checkpoints are in a topic of their own, with one partition.
fn with_own_checkpoints(name: &str) -> (Outbox<'static>, String) {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new(name, &servers.mysql, &servers.kafka);
    let topic = format!("{name}.positions");
    servers.kafka.create_topic(&topic, 1, &[("cleanup.policy", "compact")]).unwrap();
    outbox.extra = format!("{SHORT_TIMEOUT}kafka.checkpoint_topic = \"{topic}\"\n");
    (outbox, topic)
}

#[test]
#[ignore = "make test-crash"]
fn a_checkpoint_topic_that_was_deleted_or_may_lose_records_stops_it() {
    let (outbox, topic) = with_own_checkpoints("checkpoint_loss");
    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    outbox.kafka.alter_configs(&topic, &[("cleanup.policy", "delete")]).unwrap();
    outbox.insert("b", "Order", "1", "{}");
    outbox.wait_delivered(2);
    end(relay);
    stopped(outbox.start()).because("OBX-4301", 78, &[&topic], "cleanup.policy=compact");
    outbox.kafka.alter_configs(&topic, &[("cleanup.policy", "compact")]).unwrap();

    let relay = outbox.stream();
    outbox.kafka.delete_topic(&topic).unwrap();
    wait_until_gone(outbox.kafka, &topic);
    outbox.insert("c", "Order", "1", "{}");
    stopped(relay).because("OBX-4302", 65, &["our own checkpoint is gone"], "--first-start");
    stopped(outbox.start()).because("OBX-4302", 65, &["holds a record of this source"], "--first-start");
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}

/// Somebody else's open transaction hides what stands behind it; the relay cannot know whether that is a checkpoint.
#[test]
#[ignore = "make test-crash"]
fn a_foreign_transaction_on_the_checkpoints_is_waited_for() {
    let (outbox, topic) = with_own_checkpoints("checkpoint_blocked");
    let relay = outbox.stream();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    let foreign: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", outbox.kafka.bootstrap())
        .set("transactional.id", "checkpoint_blocked.foreign")
        .set("transaction.timeout.ms", "900000")
        .create()
        .unwrap();
    foreign.init_transactions(PATIENCE).unwrap();
    foreign.begin_transaction().unwrap();
    foreign.send(BaseRecord::to(&topic).key("foreign").payload("x")).map_err(|(error, _)| error).unwrap();
    foreign.flush(PATIENCE).unwrap();

    let mut relay = outbox.start();
    outbox.insert("b", "Order", "1", "{}");
    relay.wait_for_line("OBX-4304", PATIENCE * 2).unwrap();
    assert_eq!(outbox.sorted_ids(), ["a"]);
    foreign.commit_transaction(PATIENCE).unwrap();
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}

/// A broker with an authorizer. Whoever comes by the inner listener may do everything, the relay's user what it is given.
fn guarded() -> Kafka {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let properties = [
        (
            "listener.security.protocol.map",
            "EXTERNAL:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        ("sasl.enabled.mechanisms", "PLAIN".to_owned()),
        ("listener.name.external.plain.sasl.jaas.config", format!("{login} user_{USER}=\"secret\";")),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
    ];
    let properties = properties.map(|(key, value)| (key.to_owned(), value)).to_vec();
    Kafka::start(KafkaOptions { properties, ..KafkaOptions::from_env().unwrap() }).unwrap()
}

#[test]
#[ignore = "make test-crash"]
fn a_permission_that_is_taken_away_stops_it_until_it_is_given_back() {
    let (kafka, mysql) = (guarded(), Mysql::start(MysqlOptions::default()).unwrap());
    let mut outbox = Outbox::new("permissions", &mysql, &kafka);
    let property = |name: &str, value: &str| format!("kafka.librdkafka.\"{name}\" = \"{value}\"\n");
    outbox.extra = [
        property("security.protocol", "SASL_PLAINTEXT"),
        property("sasl.mechanisms", "PLAIN"),
        property("sasl.username", USER),
        property("sasl.password", "secret"),
    ]
    .concat();
    let user = format!("User:{USER}");
    let on = |change: &str, operation: &str, resource: &[&str]| {
        let rule = [change, "--allow-principal", &user, "--operation", operation];
        kafka.acls(&[&rule, resource, &["--force"]].concat()).unwrap();
    };
    let topic = outbox.topic("Order");
    let resources: [&[&str]; 3] =
        [&["--topic", &topic], &["--topic", verdict::CHECKPOINTS], &["--transactional-id", "*"]];
    let others: [&[&str]; 2] = [&["--cluster"], &["--group", "*"]];
    resources.iter().chain(&others).for_each(|resource| on("--add", "All", resource));
    let mut expected = Vec::new();
    for (number, resource) in resources.into_iter().enumerate() {
        let relay = outbox.stream();
        let ids = ["before", "during", "after"].map(|when| format!("{number}-{when}"));
        outbox.insert(&ids[0], "Order", "1", "{}");
        outbox.wait_delivered(1);
        on("--remove", "All", resource);
        outbox.insert(&ids[1], "Order", "1", "{}");
        stopped(relay).because("OBX-4004", 77, &[], "Grant the permission");
        expected.push(ids[0].clone());
        assert_eq!(outbox.sorted_ids(), expected);
        on("--add", "All", resource);
        let relay = outbox.stream();
        outbox.insert(&ids[2], "Order", "1", "{}");
        outbox.wait_delivered(2);
        end(relay);
        expected.extend([ids[1].clone(), ids[2].clone()]);
        expected.sort();
        assert_eq!(outbox.sorted_ids(), expected);
    }
}
