//! Brokers behind the frame-aware proxy, and relays that run against it under load.

use std::sync::OnceLock;

use testbed::{Daemon, Kafka, KafkaOptions, KafkaProxy, Mysql, wait};

use super::workload::Workload;
use super::{Instance, PATIENCE, proof, verdict, workload};

/// How often the coordinator looks for transactions that have timed out; ten seconds by default.
const TIMED_OUT_EVERY_MS: &str = "200";

/// Brokers and their proxy, for all tests that script them.
pub(crate) struct Proxied {
    pub(crate) kafka: Kafka,
    pub(crate) proxy: KafkaProxy,
}

impl Proxied {
    /// One broker, or three if `OUTBOXD_BROKERS` says so, with replication factor 3 and two in-sync replicas needed.
    pub(crate) fn start() -> Self {
        let every = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
        let properties = vec![(every.to_owned(), TIMED_OUT_EVERY_MS.to_owned())];
        let options = KafkaOptions { properties, ..KafkaOptions::from_env().unwrap() };
        let (kafka, proxy) = KafkaProxy::start(options).unwrap();
        Self { kafka, proxy }
    }
}

/// Started once; ends with the process.
pub(crate) fn proxied() -> &'static Proxied {
    static PROXIED: OnceLock<Proxied> = OnceLock::new();
    PROXIED.get_or_init(Proxied::start)
}

/// A relay under load.
pub(crate) struct Lane<'a> {
    pub(crate) servers: &'a Proxied,
    pub(crate) instance: Instance,
    pub(crate) relay: Daemon,
    writers: Workload,
}

impl<'a> Lane<'a> {
    /// Starts writers and the relay; waits until it has delivered something.
    pub(crate) fn start(servers: &'a Proxied, name: &str, mysql: &Mysql, extra: &str) -> Self {
        let mut instance = Instance::new(name, mysql.port(), &servers.kafka.bootstrap());
        instance.extra = extra.to_owned();
        workload::prepare(mysql, &mut instance);
        let writers = Workload::start(mysql, name, workload::seed(name));
        let relay = instance.start();
        let lane = Self { servers, instance, relay, writers };
        lane.wait("the first records", || lane.instance.delivered() > 0);
        lane
    }

    /// Starts a newer instance; gives back the older one.
    pub(crate) fn succeed(&mut self) -> Daemon {
        self.instance.http = format!("127.0.0.1:{}", testbed::ports::free().unwrap());
        std::mem::replace(&mut self.relay, self.instance.start())
    }

    /// The beginning of the relay's transactional ids.
    pub(crate) fn transactional_id(&self) -> String {
        format!("outboxd.{}", self.instance.name)
    }

    /// Waits under load, which the lanes of a full proof share.
    pub(crate) fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let mut polls = 0;
        wait::until(PATIENCE * 2, what, || {
            if polls % proof::times(1, proof::LANES) == 0 {
                self.writers.grant();
            }
            polls += 1;
            done()
        })
        .unwrap_or_else(|error| {
            let lines = self.relay.lines();
            panic!("{error}: {}\n{}", self.instance.status(), lines[lines.len().saturating_sub(40)..].join("\n"))
        });
    }

    /// How many lines of the relay's log hold these words.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.relay.lines().iter().filter(|line| line.contains(words)).count()
    }

    /// Ends the writers. Do so for all lanes of a server before the first verdict.
    pub(crate) fn rest(self) -> Rested<'a> {
        self.writers.finish();
        Rested { servers: self.servers, instance: self.instance, relay: self.relay }
    }
}

/// A relay whose writers have ended.
pub(crate) struct Rested<'a> {
    servers: &'a Proxied,
    instance: Instance,
    relay: Daemon,
}

impl Rested<'_> {
    /// Everything arrived exactly once and, at each last stable offset, whole; and the relay still runs.
    pub(crate) fn assert_exactly_once(mut self, mysql: &Mysql) {
        verdict::wait_caught_up(mysql, &self.instance);
        let mut case = verdict::Case::new(mysql, &self.servers.kafka, &self.instance);
        case.every_stable_offset = true;
        let _ = case.assert_exactly_once();
        assert_eq!(self.relay.exited().unwrap(), None);
    }
}

/// Runs `work` in one lane for each number of tries, all at once, then judges all of them.
pub(crate) fn in_lanes(name: &str, tries: &[usize], extra: &str, work: impl Fn(&Lane<'_>, usize) + Sync) {
    let mysql = Mysql::start(testbed::MysqlOptions::default()).unwrap();
    let rested: Vec<Rested<'_>> = std::thread::scope(|scope| {
        let start = |(number, tries): (usize, &usize)| {
            let (mysql, work, tries) = (&mysql, &work, *tries);
            scope.spawn(move || {
                let lane = Lane::start(proxied(), &format!("{name}_{number}"), mysql, extra);
                work(&lane, tries);
                lane.rest()
            })
        };
        let lanes: Vec<_> = tries.iter().enumerate().map(start).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    for rested in rested {
        rested.assert_exactly_once(&mysql);
    }
}
