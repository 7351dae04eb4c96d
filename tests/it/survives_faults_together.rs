//! MySQL, Kafka and the relay fail at the same time, by a schedule of chance: nothing is lost, repeated, reordered or torn.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use testbed::process::Signal;
use testbed::{Daemon, Kafka, KafkaOptions, Mysql, MysqlOptions};

use crate::support::workload::{self, Workload};
use crate::support::{Instance, PATIENCE, proof, verdict};

/// Replication factor 3, two in-sync replicas needed.
const NODES: usize = 3;

/// What fails. Whatever is stopped goes on again; whatever is killed is started again.
#[derive(Clone, Copy, Debug)]
enum Fault {
    SourceKilled,
    SourceStopped,
    BrokerKilled(usize),
    BrokerStopped(usize),
    AllBrokersStopped,
    RelayKilled,
    RelayStopped,
}

impl Fault {
    /// One of the source, one of Kafka, and now and then one of the relay, in an order by chance.
    fn some(chance: &mut StdRng) -> Vec<Self> {
        let node = chance.random_range(0..NODES);
        let brokers = [Self::BrokerKilled(node), Self::BrokerStopped(node), Self::AllBrokersStopped];
        let mut faults =
            vec![*[Self::SourceKilled, Self::SourceStopped].choose(chance).unwrap(), *brokers.choose(chance).unwrap()];
        if chance.random_bool(0.5) {
            faults.push(*[Self::RelayKilled, Self::RelayStopped].choose(chance).unwrap());
        }
        faults.shuffle(chance);
        faults
    }
}

struct World {
    mysql: Mysql,
    kafka: Kafka,
    instance: Instance,
    relay: Daemon,
}

impl World {
    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::SourceKilled => self.mysql.kill9().unwrap(),
            Fault::SourceStopped => self.mysql.signal(Signal::STOP).unwrap(),
            Fault::BrokerKilled(node) => self.kafka.kill9(node).unwrap(),
            Fault::BrokerStopped(node) => self.kafka.signal(node, Signal::STOP).unwrap(),
            Fault::AllBrokersStopped => (0..NODES).for_each(|node| self.kafka.signal(node, Signal::STOP).unwrap()),
            Fault::RelayKilled => self.relay.kill9().unwrap(),
            Fault::RelayStopped => self.relay.pause().unwrap(),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::SourceKilled => self.mysql.restart().unwrap(),
            Fault::SourceStopped => self.mysql.signal(Signal::CONT).unwrap(),
            Fault::BrokerKilled(node) => self.kafka.start_node(node).unwrap(),
            Fault::BrokerStopped(node) => self.kafka.signal(node, Signal::CONT).unwrap(),
            Fault::AllBrokersStopped => (0..NODES).for_each(|node| self.kafka.signal(node, Signal::CONT).unwrap()),
            Fault::RelayKilled => self.relay = self.instance.start(),
            Fault::RelayStopped => self.relay.resume().unwrap(),
        }
    }
}

#[test]
#[ignore = "make test-crash"]
fn faults_of_mysql_kafka_and_the_relay_together_cost_no_row() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let kafka = Kafka::start(KafkaOptions { brokers: NODES, ..KafkaOptions::default() }).unwrap();
    let mut instance = Instance::new("faults_together", mysql.port(), &kafka.bootstrap());
    // Shorter than usual, so that faults last for several attempts.
    instance.extra = "kafka.librdkafka.\"message.timeout.ms\" = 4000\n".to_owned();
    workload::prepare(&mysql, &mut instance);
    let seed = workload::seed(&instance.name);
    let mut chance = StdRng::seed_from_u64(seed);
    let writers = Workload::start(&mysql, &instance.name, seed);
    let relay = instance.stream();
    let mut world = World { mysql, kafka, instance, relay };
    let rounds = proof::times(2, 20);
    for round in 0..rounds {
        let faults = Fault::some(&mut chance);
        let after = format!("round {round}, {faults:?}");
        println!("{after}");
        writers.drive(&world.instance, 50, PATIENCE * 2);
        // The times are part of the schedule: faults begin and end in the middle of each other.
        let mut pause = || std::thread::sleep(Duration::from_millis(chance.random_range(0..1_500)));
        for fault in &faults {
            world.begin(*fault);
            pause();
        }
        for fault in &faults {
            world.end(*fault);
            pause();
        }
        writers.drive(&world.instance, 50, PATIENCE * 2);
        assert_eq!(world.relay.exited().unwrap(), None, "{after}: {:?}", world.relay.lines().last());
    }
    writers.finish();
    verdict::assert_exactly_once(&world.mysql, &world.kafka, &world.instance);
    println!("{rounds} rounds of faults together");
}
