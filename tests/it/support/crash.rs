//! Relays that are killed, stopped and made to fail, at named places and at random moments.

mod injection;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use testbed::{Daemon, Kafka, Mysql, MysqlOptions, Product, shared, wait};

use super::verdict::{self, Case};
use super::workload::{self, Workload};
use super::{Instance, PATIENCE};
pub(crate) use injection::{Action, PLACES, STANDBY_PLACES, is_stopped};
use injection::{Injection, MARIADB_ONLY, TRANSACTIONAL, When};

/// Injections into one process; more would lengthen its life without adding a start.
const PER_LIFE: usize = 3;

/// How often the server begins a new log while a rotation is awaited.
const ROTATE_EVERY: Duration = Duration::from_millis(300);

/// What is started once for a test and disturbed often.
pub(crate) struct Crash {
    mysql: Mysql,
    kafka: &'static Kafka,
    instance: Instance,
    workload: Workload,
    rng: StdRng,
    transactional: bool,
    done: BTreeMap<(&'static str, Action), usize>,
}

impl Crash {
    /// A server, writers and a relay that has left a checkpoint, so that there is something to resume from.
    pub(crate) fn new(name: &str, options: MysqlOptions, transactional: bool) -> Self {
        Self::configured(name, options, transactional, "")
    }

    /// The same with further keys in the relay's configuration.
    pub(crate) fn configured(name: &str, options: MysqlOptions, transactional: bool, extra: &str) -> Self {
        let kafka = &shared().unwrap().kafka;
        let mysql = Mysql::start(options).unwrap();
        let mut instance = Instance::new(name, mysql.port(), &kafka.bootstrap());
        instance.extra = extra.to_owned();
        if !transactional {
            instance.extra += "kafka.delivery = \"at-least-once\"\n";
        }
        workload::prepare(&mysql, &mut instance);
        let seed = workload::seed(name);
        let workload = Workload::start(&mysql, name, seed);
        let rng = StdRng::seed_from_u64(seed);
        let crash = Self { mysql, kafka, instance, workload, rng, transactional, done: BTreeMap::new() };
        let mut relay = crash.instance.start();
        crash.wait(&mut relay, "the first records", |crash, _| crash.instance.delivered() > 0);
        relay.kill9().unwrap();
        crash
    }

    /// How many injections there were.
    pub(crate) fn count(&self) -> usize {
        self.done.values().sum()
    }

    /// Every place once with every action.
    pub(crate) fn every_action(&mut self) {
        let all = self.places();
        let pairs = all.iter().flat_map(|place| Action::ALL.map(|action| (*place, action)));
        let injections = pairs.map(|(place, action)| Injection::of(place, action, &mut self.rng)).collect();
        self.run_all(injections);
    }

    /// Every place once, with an action by chance.
    pub(crate) fn every_place(&mut self) {
        let places = self.places();
        let injections = places.into_iter().map(|place| self.random_at(place)).collect();
        self.run_all(injections);
    }

    /// Places and actions by chance, and lives that end by chance, until there were so many injections in all.
    pub(crate) fn random_until(&mut self, count: usize) {
        let places = self.places();
        while self.count() < count {
            let injections = (0..PER_LIFE)
                .map(|_| {
                    let place = *places.choose(&mut self.rng).unwrap();
                    self.random_at(place)
                })
                .collect();
            self.run_all(injections);
        }
    }

    fn places(&self) -> Vec<(&'static str, When)> {
        let mariadb = self.mysql.product() == Product::Mariadb;
        let passed = |(place, _): &&(&str, When)| {
            (self.transactional || !TRANSACTIONAL.contains(place)) && (mariadb || *place != MARIADB_ONLY)
        };
        PLACES.iter().filter(passed).copied().collect()
    }

    fn random_at(&mut self, place: (&'static str, When)) -> Injection {
        let action = *Action::ALL.choose(&mut self.rng).unwrap();
        Injection::of(place, action, &mut self.rng)
    }

    /// Spreads injections over as few processes as possible, in an order by chance.
    fn run_all(&mut self, mut waiting: Vec<Injection>) {
        waiting.shuffle(&mut self.rng);
        while !waiting.is_empty() {
            let mut life: Vec<Injection> = Vec::new();
            while life.len() < PER_LIFE && !life.last().is_some_and(Injection::ends_process) {
                let next = waiting.iter().position(|injection| injection.can_follow(life.last()));
                match next {
                    Some(next) => life.push(waiting.swap_remove(next)),
                    // What is left needs a run that has failed.
                    None if !waiting.is_empty() => {
                        life.push(Injection::of(("all_produced", When::Load), Action::Error, &mut self.rng));
                    }
                    None => break,
                }
            }
            self.live(&life);
        }
    }

    /// One process: the injections in their order, then, if it still lives, a kill at a moment by chance.
    fn live(&mut self, injections: &[Injection]) {
        let list: Vec<String> = injections.iter().map(Injection::armed).collect();
        let armed = (!list.is_empty()).then(|| list.join(","));
        let mut relay = self.instance.start_armed(&[], armed.as_deref());
        for (number, injection) in injections.iter().enumerate() {
            let same = |before: &&Injection| (before.place, before.action) == (injection.place, injection.action);
            self.inject(&mut relay, injection, injections[..number].iter().filter(same).count());
            *self.done.entry((injection.place, injection.action)).or_default() += 1;
        }
        if !injections.last().is_some_and(Injection::ends_process) {
            self.kill_by_chance(&mut relay);
            *self.done.entry(("by chance", Action::Kill)).or_default() += 1;
        }
    }

    /// During the start, or when something has been delivered.
    fn kill_by_chance(&mut self, relay: &mut Daemon) {
        let polls = self.rng.random_range(1..100);
        let records = if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(1..150) };
        let before = self.instance.delivered();
        let mut polled = 0;
        self.wait(relay, "the moment to kill", |crash, relay| {
            assert_eq!(relay.exited().unwrap(), None, "the relay ended by itself:\n{}", relay.lines().join("\n"));
            polled += 1;
            if records == 0 { polled >= polls } else { crash.instance.delivered() >= before + records }
        });
        relay.kill9().unwrap();
    }

    /// `before`: how often the same was done to this process already.
    fn inject(&self, relay: &mut Daemon, injection: &Injection, before: usize) {
        let what = format!("{injection:?}");
        self.provoke(relay, injection);
        let (mut rotated, mut missed) = (Instant::now(), false);
        self.wait(relay, &what, |crash, relay| {
            if injection.when == When::Rotation && rotated.elapsed() > ROTATE_EVERY {
                crash.mysql.sql("FLUSH BINARY LOGS").unwrap();
                rotated = Instant::now();
            }
            let done = injection.action.is_done(relay, injection.place, before);
            let ended = relay.exited().unwrap();
            // Told to end between two runs, it does not pass the place.
            missed = !done && injection.when == When::Shutdown && ended.is_some_and(|status| status.success());
            done || missed
        });
        if missed {
            *relay = self.instance.start_armed(&[], Some(&injection.armed()));
            return self.inject(relay, injection, 0);
        }
        if injection.when == When::Shutdown && injection.action != Action::Kill {
            let status = relay.wait_exit(PATIENCE).unwrap();
            assert!(status.success(), "{what}: {status}:\n{}", relay.lines().join("\n"));
        }
        self.workload.only_other(false);
    }

    /// What has to be done so that the relay passes the place. It may pass it before: a run may end by itself, as after a slow
    /// commit, and find nothing but other tables' changes in its first batch.
    fn provoke(&self, relay: &mut Daemon, injection: &Injection) {
        let passed = |relay: &mut Daemon| relay.exited().unwrap().is_some() || is_stopped(relay);
        let ready = |crash: &Self, relay: &mut Daemon| passed(relay) || crash.instance.is_ready();
        match injection.when {
            When::Shutdown => {
                self.wait(relay, "the relay to stream", ready);
                // It ends without passing the place while it looks its topics up.
                let before = self.instance.delivered();
                let more = |crash: &Self, relay: &mut Daemon| passed(relay) || crash.instance.delivered() > before;
                self.wait(relay, "the relay to deliver", more);
                if relay.exited().unwrap().is_none() {
                    relay.sigterm().unwrap();
                }
            }
            When::Quiet => {
                self.workload.only_other(true);
                self.wait(relay, "the relay to stream", ready);
                self.mysql.sql("FLUSH BINARY LOGS").unwrap();
            }
            _ => {}
        }
    }

    /// Waits under load.
    fn wait(&self, relay: &mut Daemon, what: &str, mut done: impl FnMut(&Self, &mut Daemon) -> bool) {
        let waited = wait::until(PATIENCE, what, || {
            self.workload.grant();
            done(self, relay)
        });
        waited.unwrap_or_else(|error| {
            let (ended, stopped) = (relay.exited().unwrap(), is_stopped(relay));
            let status = self.instance.status();
            panic!("{error}: ended {ended:?}, stopped {stopped}, {status}:\n{}", relay.lines().join("\n"))
        });
    }

    /// The last relay catches up; everything arrived exactly once, or, if `at_least_once`, once and then again.
    pub(crate) fn judge(self) {
        let count = self.count();
        println!("{}: {count} injections: {}", self.instance.name, self.summary());
        let _relay = self.instance.stream();
        self.workload.finish();
        verdict::wait_caught_up(&self.mysql, &self.instance);
        let case = Case::new(&self.mysql, self.kafka, &self.instance);
        if self.transactional {
            let _ = case.assert_exactly_once();
        } else {
            // Each crash may repeat what was sent since the last checkpoint, which follows once a second.
            let copies = case.assert_at_least_once();
            println!("{}: {copies} duplicates in {count} injections", self.instance.name);
        }
    }

    fn summary(&self) -> String {
        let mut by_action: BTreeMap<Action, usize> = BTreeMap::new();
        for ((_, action), count) in &self.done {
            *by_action.entry(*action).or_default() += count;
        }
        let chance = self.done.get(&("by chance", Action::Kill)).copied().unwrap_or(0);
        format!("{by_action:?}, of these {chance} kills at moments by chance")
    }
}
