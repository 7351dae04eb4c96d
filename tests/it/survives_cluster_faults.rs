//! Three brokers, replication factor 3, two in-sync replicas needed, under load: leaders move, replicas go away, the
//! coordinator gives a transaction up or forgets a producer. Nothing is lost, repeated, reordered or torn.

use testbed::{Kafka, KafkaOptions, Mysql, MysqlOptions, wait};

use crate::support::ending::end;
use crate::support::workload::{self, Workload};
use crate::support::{Instance, Outbox, PATIENCE, proof, verdict};

/// Checkpoints and output: everything that a relay writes to.
fn topics(instance: &Instance) -> Vec<String> {
    let outputs = workload::TYPES.map(|kind| instance.topic(kind));
    outputs.into_iter().chain([verdict::CHECKPOINTS.to_owned()]).collect()
}

fn cluster() -> Kafka {
    // The coordinator looks for transactions that have timed out every ten seconds by default.
    let every = ("transaction.abort.timed.out.transaction.cleanup.interval.ms".to_owned(), "200".to_owned());
    Kafka::start(KafkaOptions { brokers: 3, properties: vec![every], ..KafkaOptions::default() }).unwrap()
}

#[test]
#[ignore = "make test-crash"]
fn moved_leaders_and_lost_replicas_cost_no_row() {
    let (mysql, mut kafka) = (Mysql::start(MysqlOptions::default()).unwrap(), cluster());
    let mut instance = Instance::new("cluster_faults", mysql.port(), &kafka.bootstrap());
    instance.extra = "kafka.librdkafka.\"message.timeout.ms\" = 4000\n".to_owned();
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, &instance.name, workload::seed(&instance.name));
    let mut relay = instance.stream();
    let go_on = || writers.drive(&instance, 100, PATIENCE * 2);
    go_on();
    let rounds = proof::times(3, 9);
    for round in 0..rounds {
        // All replicas are needed, and one is away: nothing can be written until it is back.
        for topic in topics(&instance) {
            kafka.alter_configs(&topic, &[("min.insync.replicas", "3")]).unwrap();
        }
        kafka.kill9(round % 3).unwrap();
        let failed = || relay.lines().iter().filter(|line| line.contains("starting another one")).count();
        let before = failed();
        wait::until(PATIENCE * 2, "a run that fails for want of replicas", || {
            writers.grant();
            failed() > before
        })
        .unwrap();
        kafka.start_node(round % 3).unwrap();
        go_on();
        for topic in topics(&instance) {
            kafka.alter_configs(&topic, &[("min.insync.replicas", "2")]).unwrap();
        }
        // The node that was away leads nothing; now leaders and coordinators move back to it while rows flow.
        kafka.elect_preferred_leaders().unwrap();
        go_on();
    }
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
    assert_eq!(relay.exited().unwrap(), None);
    println!("{rounds} rounds of a lost replica and of moved leaders");
}

/// The relay stands still with a Kafka transaction open until the coordinator has given it up, then wakes.
#[cfg(feature = "failpoints")]
#[test]
#[ignore = "make test-crash"]
fn a_relay_that_slept_through_its_transaction_sends_it_again() {
    let (mysql, kafka) = (Mysql::start(MysqlOptions::default()).unwrap(), cluster());
    let mut instance = Instance::new("slept", mysql.port(), &kafka.bootstrap());
    let short = ["transaction.timeout.ms", "message.timeout.ms", "socket.timeout.ms"];
    instance.extra = short.map(|key| format!("kafka.librdkafka.\"{key}\" = 1000\n")).concat();
    workload::prepare(&mysql, &mut instance);
    let writers = Workload::start(&mysql, &instance.name, workload::seed(&instance.name));
    let places = ["all_produced:5", "flushed:5", "endtxn_before_send:5", "first_produced:50"];
    let rounds = proof::times(1, 5);
    let naps: Vec<String> = (0..rounds).flat_map(|_| places.map(|place| format!("{place}=stop"))).collect();
    let mut relay = instance.start_armed(&[], Some(&naps.join(",")));
    for nap in 0..naps.len() {
        wait::until(PATIENCE, "the relay stops inside a transaction", || {
            writers.grant();
            crate::support::crash::is_stopped(&relay)
        })
        .unwrap_or_else(|error| panic!("{error} (nap {nap}): {:?}", relay.lines().last()));
        wait::until(PATIENCE, "the coordinator gives the transaction up", || {
            let listed = kafka.transactions().unwrap();
            let ours = listed.lines().filter(|line| line.contains("outboxd.slept."));
            ours.into_iter().all(|line| !line.contains("Ongoing") && !line.contains("Prepare"))
        })
        .unwrap();
        relay.resume().unwrap();
    }
    writers.drive(&instance, 100, PATIENCE);
    writers.finish();
    verdict::assert_exactly_once(&mysql, &kafka, &instance);
    assert_eq!(relay.exited().unwrap(), None);
    println!("{} transactions slept through", naps.len());
}

/// Coordinator and partitions forget a producer that has been idle for long: a week and a day, here moments.
#[test]
fn a_relay_whose_producer_was_forgotten_goes_on() {
    let soon = [
        ("transactional.id.expiration.ms", "1000"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "200"),
        ("producer.id.expiration.ms", "1000"),
        ("producer.id.expiration.check.interval.ms", "200"),
    ];
    let properties = soon.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let kafka = Kafka::start(KafkaOptions { properties, ..KafkaOptions::from_env().unwrap() }).unwrap();
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let outbox = Outbox::new("forgotten", &mysql, &kafka);
    let mut relay = outbox.stream();
    for round in 1..=3 {
        outbox.insert(&format!("f{round}"), "Order", "1", "{}");
        outbox.wait_delivered(round);
        wait::until(PATIENCE, "the coordinator forgets it", || {
            !kafka.transactions().unwrap().contains("outboxd.forgotten")
        })
        .unwrap();
    }
    assert!(
        relay.lines().iter().any(|line| line.contains("the run ended")),
        "nothing was forgotten: {:?}",
        relay.lines()
    );
    relay.kill9().unwrap();
    let relay = outbox.stream();
    outbox.insert("f4", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["f1", "f2", "f3", "f4"]);
}
