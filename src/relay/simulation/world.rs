//! Time and the network: a queue of what happens next, filled by chance.

mod group;
mod harm;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::around::{Around, Input, Settings, Wish};
use super::broker::{Answer, Broker, Due, Request};
use super::process::Process;
use super::seen::Seen;
use super::source::Source;
use super::truth::{Truth, Violation};
use super::{MILLI, Micros, SECOND};
use crate::checkpoint::{Owner, Place};
use crate::config::{BatchConfig, Config, Oversize, testing};
use crate::relay::{Orders, Relay};
use crate::telemetry::metrics::BuildInfo;
use crate::telemetry::{Metrics, Status};
use group::Group;

/// Nothing takes longer, or it is stuck.
const END: Micros = 7_200 * SECOND;

/// What all schedules share.
pub(super) struct Stage {
    config: Config,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let config = testing::config(&["outbox.orders.table=shop.outbox"]);
        let metrics = Arc::new(Metrics::new("orders", &BuildInfo::current(), ["shop.outbox"]));
        Self { config, metrics, status: Arc::new(Status::new("orders")) }
    }

    fn process(&self, number: u64, standby: bool) -> Process {
        let owner = Owner {
            instance: number.to_string(),
            host: String::new(),
            pid: 1,
            incarnation: 0,
            started_at: number,
            place: String::new(),
        };
        let relay = Relay {
            owner,
            config: self.config.clone(),
            orders: Orders { first_start: true, take_over: false },
            metrics: Arc::clone(&self.metrics),
            status: Arc::clone(&self.status),
            warned: Mutex::default(),
            damaged_starts: Arc::default(),
        };
        Process::new(relay, standby)
    }
}

#[derive(Debug)]
enum What {
    Arrives { slot: usize, run: u64, client: usize, epoch: u64, number: u64, request: Request, answered: bool },
    Happens { slot: usize, run: u64, input: Input },
    Broker(Due),
    ForeignEnds,
    Written,
    Harm,
    Starts(usize),
    Election,
    Hears { slot: usize, lost: bool },
}

#[derive(Debug)]
struct Slot {
    process: Option<Process>,
    /// Counts runs and processes: what was meant for an earlier one is dropped.
    run: u64,
    paused: Micros,
    /// What an injected failure does.
    dies: bool,
}

pub(super) struct World<'a> {
    stage: &'a Stage,
    chance: StdRng,
    now: Micros,
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    events: Vec<Option<What>>,
    broker: Broker,
    truth: Truth,
    source: Source,
    settings: Settings,
    slots: [Slot; 2],
    /// Processes so far.
    processes: u64,
    /// So many requests will still be broken, each with this probability.
    harm: u32,
    odds: f64,
    /// In hot standby.
    group: Option<Group>,
    seen: Seen,
}

impl<'a> World<'a> {
    pub(super) fn new(stage: &'a Stage, seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut truth = Truth::default();
        let count = chance.random_range(1..=24);
        let source = Source::new(count, &mut truth, &mut chance);
        let limits = BatchConfig {
            max_bytes: *pick(&[400, 1 << 20], &mut chance),
            max_records: *pick(&[1, 6, 1000], &mut chance),
            max_stream_bytes: *pick(&[1, 150, u64::MAX], &mut chance),
            oversize: Oversize::Split,
            linger: *pick(&[Duration::ZERO, Duration::from_millis(3)], &mut chance),
        };
        let settings = Settings {
            limits,
            batch: *pick(&[5, 12, 1000], &mut chance),
            in_flight: *pick(&[2000, 1 << 20], &mut chance),
        };
        let slot = || Slot { process: None, run: 0, paused: 0, dies: false };
        let mut world = Self {
            stage,
            now: 0,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            broker: Broker::new(),
            truth,
            source,
            settings,
            slots: [slot(), slot()],
            processes: 0,
            harm: *pick(&[0, 1, 2, 4, 12], &mut chance),
            odds: *pick(&[0.02, 0.1, 0.4], &mut chance),
            group: chance.random_bool(0.3).then(Group::default),
            seen: Seen { schedules: 1, ..Seen::default() },
            chance,
        };
        world.at(0, What::Starts(0));
        world.at(MILLI, What::Written);
        if world.group.is_some() {
            world.at(0, What::Starts(1));
            world.at(0, What::Election);
            for _ in 0..*pick(&[0, 1, 2, 4], &mut world.chance) {
                let after = world.up_to(&[400 * MILLI, 10 * SECOND, 60 * SECOND]);
                world.at(after, What::Election);
            }
        }
        for _ in 0..*pick(&[0, 0, 1, 2, 4], &mut world.chance) {
            let after = world.up_to(&[50 * MILLI, 400 * MILLI, 10 * SECOND]);
            world.at(after, What::Harm);
        }
        world
    }

    fn at(&mut self, after: Micros, what: What) {
        self.queue.push(Reverse((self.now.saturating_add(after), self.events.len() as u64)));
        self.events.push(Some(what));
    }

    pub(super) fn run(mut self) -> Result<Seen, Violation> {
        while let Some(Reverse((time, number))) = self.queue.pop() {
            self.now = time;
            let what = usize::try_from(number).ok().and_then(|number| self.events[number].take());
            if let Some(what) = what {
                self.happen(what)?;
            }
            if time > END {
                break;
            }
        }
        if self.truth.place != Place::between(self.source.len() as u64) {
            let what = format!("stuck: {} of {} groups are committed", self.truth.place, self.source.len());
            return Err(Violation(what));
        }
        self.seen.events = self.events.len() as u64;
        self.seen.commits = self.truth.commits;
        self.seen.pieces = self.truth.pieces;
        Ok(self.seen)
    }

    fn happen(&mut self, what: What) -> Result<(), Violation> {
        match what {
            What::Arrives { slot, run, client, epoch, number, request, answered } => {
                let answer = self.broker.handle((client, epoch), &request, &mut self.truth)?;
                self.follow_up();
                if answered {
                    self.reply((slot, run), client, number, Some(answer));
                }
            }
            What::Happens { slot, run, input } if self.slots[slot].run == run => self.input(slot, input)?,
            What::Happens { .. } => {}
            What::Broker(Due::Marker { id, partition, .. }) => self.broker.mark(id, partition),
            What::Broker(Due::Timeout { id, number, .. }) => {
                self.broker.time_out(id, number);
                self.follow_up();
            }
            What::ForeignEnds => self.broker.close_foreign(),
            What::Written => self.write()?,
            What::Harm => self.do_harm()?,
            What::Starts(slot) => self.start(slot)?,
            What::Election => self.elect(),
            What::Hears { slot, lost } => {
                if let Some(input) = self.heard(slot, lost) {
                    self.input(slot, input)?;
                }
            }
        }
        Ok(())
    }

    /// Markers take a moment, each its own.
    fn follow_up(&mut self) {
        for due in std::mem::take(&mut self.broker.due) {
            let after = match due {
                Due::Timeout { after, .. } => after,
                Due::Marker { .. } => self.delay(),
            };
            self.at(after, What::Broker(due));
        }
    }

    /// Below one of these, each as likely.
    fn up_to(&mut self, limits: &[Micros]) -> Micros {
        let limit = *pick(limits, &mut self.chance);
        self.chance.random_range(0..limit)
    }

    fn delay(&mut self) -> Micros {
        match self.chance.random_range(0..20) {
            0 => self.chance.random_range(MILLI..60 * MILLI),
            _ => self.chance.random_range(100..1500),
        }
    }

    fn reply(&mut self, (slot, run): (usize, u64), client: usize, number: u64, answer: Option<Answer>) {
        let after = self.delay();
        self.at(after, What::Happens { slot, run, input: Input::Answer { client, number, answer } });
    }

    fn write(&mut self) -> Result<(), Violation> {
        self.source.written += self.chance.random_range(1..=4).min(self.source.len() - self.source.written);
        if self.source.written < self.source.len() {
            let after = match self.chance.random_range(0..12) {
                0 => self.chance.random_range(0..3 * SECOND),
                _ => self.chance.random_range(0..6 * MILLI),
            };
            self.at(after, What::Written);
        }
        for slot in 0..self.slots.len() {
            self.input(slot, Input::Read)?;
        }
        Ok(())
    }

    fn start(&mut self, slot: usize) -> Result<(), Violation> {
        if self.slots[slot].process.as_ref().is_some_and(|process| !process.is_gone()) {
            return Ok(());
        }
        self.processes += 1;
        self.slots[slot].process = Some(self.stage.process(self.processes, self.group.is_some()));
        self.slots[slot].run += 1;
        self.slots[slot].paused = 0;
        self.input(slot, Input::Wake)
    }

    fn input(&mut self, slot: usize, input: Input) -> Result<(), Violation> {
        let run = self.slots[slot].run;
        if self.now < self.slots[slot].paused {
            self.at(self.slots[slot].paused - self.now, What::Happens { slot, run, input });
            return Ok(());
        }
        let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
        let mut around = Around {
            now: self.now,
            chance: &mut self.chance,
            source: &self.source,
            settings: &self.settings,
            wishes: Vec::new(),
        };
        let ended = process.handle(input, &mut around)?;
        let wishes = around.wishes;
        let (gone, tripped, left) = (process.is_gone(), process.has_tripped(), process.has_left());
        if ended {
            self.slots[slot].run += 1;
        }
        for wish in wishes {
            match wish {
                Wish::Request { client, epoch, number, request } => {
                    self.transmit((slot, run), client, epoch, number, request);
                }
                Wish::After(after, input) => {
                    let run = self.slots[slot].run;
                    self.at(after, What::Happens { slot, run, input });
                }
            }
        }
        if gone || left {
            self.abandon(slot);
        }
        if tripped && self.slots[slot].dies {
            self.kill(slot);
        } else if gone {
            self.seen.successors += 1;
            self.slots[slot].process = None;
            self.slots[slot].run += 1;
            // Somebody has to go on.
            if self.slots.iter().all(|slot| slot.process.is_none()) {
                self.at(SECOND, What::Starts(slot));
            }
        }
        Ok(())
    }
}

fn pick<'t, T>(from: &'t [T], chance: &mut StdRng) -> &'t T {
    &from[chance.random_range(0..from.len())]
}
