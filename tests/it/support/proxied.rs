//! A broker behind the frame-aware proxy, and relays that run against it under load.

use std::sync::OnceLock;

use testbed::{Daemon, Kafka, KafkaOptions, KafkaProxy, Mysql, wait};

use super::workload::Workload;
use super::{Instance, PATIENCE, verdict, workload};

/// How often the coordinator looks for transactions that have timed out; ten seconds by default.
const TIMED_OUT_EVERY_MS: &str = "200";

/// One broker and its proxy, for all tests that script it.
pub(crate) struct Proxied {
    pub(crate) kafka: Kafka,
    pub(crate) proxy: KafkaProxy,
}

/// Started once; ends with the process.
pub(crate) fn proxied() -> &'static Proxied {
    static PROXIED: OnceLock<Proxied> = OnceLock::new();
    PROXIED.get_or_init(|| {
        let every = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
        let properties = vec![(every.to_owned(), TIMED_OUT_EVERY_MS.to_owned())];
        let (kafka, proxy) = KafkaProxy::start(KafkaOptions { properties, ..KafkaOptions::default() }).unwrap();
        Proxied { kafka, proxy }
    })
}

/// A relay under load.
pub(crate) struct Lane {
    pub(crate) instance: Instance,
    pub(crate) relay: Daemon,
    writers: Workload,
}

impl Lane {
    /// Starts writers and the relay; waits until it has delivered something.
    pub(crate) fn start(name: &str, mysql: &Mysql, extra: &str) -> Self {
        let mut instance = Instance::new(name, mysql.port(), &proxied().kafka.bootstrap());
        instance.extra = extra.to_owned();
        workload::prepare(mysql, &mut instance);
        let writers = Workload::start(mysql, name, workload::seed());
        let relay = instance.start();
        let lane = Self { instance, relay, writers };
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

    /// Waits under load.
    pub(crate) fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        wait::until(PATIENCE * 2, what, || {
            self.writers.grant();
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
    pub(crate) fn rest(self) -> Rested {
        self.writers.finish();
        Rested { instance: self.instance, relay: self.relay }
    }
}

/// A relay whose writers have ended.
pub(crate) struct Rested {
    instance: Instance,
    relay: Daemon,
}

impl Rested {
    /// Everything arrived exactly once, and the relay still runs.
    pub(crate) fn assert_exactly_once(mut self, mysql: &Mysql) {
        verdict::assert_exactly_once(mysql, &proxied().kafka, &self.instance);
        assert_eq!(self.relay.exited().unwrap(), None);
    }
}

/// Runs `work` in one lane for each number of tries, all at once, then judges all of them.
pub(crate) fn in_lanes(name: &str, tries: &[usize], extra: &str, work: impl Fn(&Lane, usize) + Sync) {
    let mysql = Mysql::start(testbed::MysqlOptions::default()).unwrap();
    let rested: Vec<Rested> = std::thread::scope(|scope| {
        let start = |(number, tries): (usize, &usize)| {
            let (mysql, work, tries) = (&mysql, &work, *tries);
            scope.spawn(move || {
                let lane = Lane::start(&format!("{name}_{number}"), mysql, extra);
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
