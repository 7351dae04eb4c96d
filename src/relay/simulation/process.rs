//! A process of the relay: the order of a start, the loop of a run and what ends it are those of `relay` and `delivery`,
//! and every decision is taken by their code.

mod clients;
mod run;
mod standby;

use std::rc::Rc;
use std::time::Duration;

use super::around::{Around, Input, READER, Wish};
use super::broker::{Answer, IDS, Request};
use super::client::{Client, Event};
use super::truth::Violation;
use super::{MILLI, Micros, SECOND, instant, source};
use crate::checkpoint::newest::Newest;
use crate::checkpoint::{Checkpoint, CheckpointId, codec};
use crate::delivery::chain::Chain;
use crate::delivery::classify::classify;
use crate::delivery::flight::Producers;
use crate::delivery::incarnation::fence_steps;
use crate::delivery::producer::RETRY_BACKOFF;
use crate::delivery::{Memory, StartingPoint};
use crate::error::{Code, Disposition, Error, Result};
use crate::relay::{Relay, rivals, supervise};
use clients::Clients;
use run::Run;
use standby::Member;

#[derive(Debug)]
enum Phase {
    /// Before it fences: has another one taken over?
    Looking(Micros),
    /// This step of the fence; so many of its producers are being initialised.
    Fencing(usize, usize),
    Sampling,
    Settling(usize),
    Reading(usize),
    ChargeSent,
    ChargeCommitted,
    Opening,
    Flying(Box<Run>),
    Resting,
    /// Waits for its term.
    Standby,
    /// Ended for good.
    Gone,
}

#[derive(Debug)]
pub(super) struct Process {
    relay: Relay,
    memory: Memory,
    phase: Phase,
    clients: Clients,
    chain: Option<Chain>,
    turn: usize,
    /// In hot standby.
    member: Option<Member>,
}

impl Process {
    pub(super) fn new(relay: Relay, standby: bool) -> Self {
        let clients = Clients { list: Vec::new(), now: instant(0), trip: None, tripped: false };
        let phase = if standby { Phase::Standby } else { Phase::Resting };
        let member = standby.then(Member::default);
        Self { relay, memory: Memory::default(), phase, clients, chain: None, turn: 0, member }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// The next `calls`th use of a producer fails.
    pub(super) fn trip(&mut self, calls: u32) {
        self.clients.trip = Some(calls);
    }

    /// Whether it has failed.
    pub(super) fn has_tripped(&self) -> bool {
        self.clients.tripped
    }

    /// Something happens. Whatever error ends the run is judged as the supervisor does. Whether the run has ended.
    pub(super) fn handle(&mut self, input: Input, around: &mut Around<'_>) -> Result<bool, Violation> {
        self.clients.now = around.instant();
        self.clients.tripped = false;
        let ended = self.proceed(input, around);
        self.flush(around);
        let Err(error) = ended else { return Ok(self.is_over() || self.is_gone()) };
        if let Phase::Flying(run) = &self.phase {
            self.memory.in_doubt = run.flight.in_doubt().cloned();
        }
        if matches!(error.disposition(), Disposition::Bug | Disposition::Halt) {
            return Err(Violation(format!("{}: {}", error.code(), error.chain())));
        }
        if self.ends_term(around) {
            return Ok(true);
        }
        self.phase = match supervise::decide(&self.relay, &mut self.memory, error, true) {
            Some(_) => Phase::Gone,
            None => Phase::Resting,
        };
        self.clients.list.clear();
        // What was sent is sent; nothing else of the run goes on.
        around.wishes.retain(|wish| matches!(wish, Wish::Request { .. }));
        if !self.is_gone() {
            around.after(0..300 * MILLI, Input::Wake);
        }
        Ok(true)
    }

    /// Every request and timer of the clients goes out.
    fn flush(&mut self, around: &mut Around<'_>) {
        for (number, client) in self.clients.list.iter_mut().enumerate() {
            client.pump(around.chance);
            let epoch = client.epoch;
            let requests = client.out.drain(..);
            around.wishes.extend(requests.map(|(request, what)| Wish::Request {
                client: number,
                epoch,
                number: request,
                request: what,
            }));
            let timers = client.timers.drain(..);
            around.wishes.extend(timers.map(|(after, timer)| Wish::After(after, Input::Timer(number, timer))));
        }
    }

    fn proceed(&mut self, input: Input, around: &mut Around<'_>) -> Result<()> {
        match input {
            Input::Answer { client: READER, answer: None, .. } => self.ask_again(around),
            Input::Answer { client: READER, answer: Some(answer), .. } => self.read(answer, around),
            Input::Answer { client, number, answer } => {
                let now = around.instant();
                let Some(client) = self.clients.list.get_mut(client) else { return Ok(()) };
                let event = match answer {
                    Some(answer) => client.answered(number, &answer, now, around.chance),
                    None => {
                        client.broken(number, around.chance);
                        Event::None
                    }
                };
                client.pump(around.chance);
                self.learn(event, around)
            }
            Input::Timer(client, timer) => {
                let now = around.instant();
                let Some(client) = self.clients.list.get_mut(client) else { return Ok(()) };
                let event = client.elapsed(timer, now);
                self.learn(event, around)
            }
            Input::Wake => self.wake(around),
            Input::Read => self.read_source(around),
            Input::Drain => {
                if let Phase::Flying(run) = &mut self.phase {
                    run.sender = None;
                }
                self.fly(around)
            }
            Input::Leads => self.hear(true, false, around),
            Input::Follows { lost } => self.hear(false, lost, around),
        }
    }

    /// A client has learned something.
    fn learn(&mut self, event: Event, around: &mut Around<'_>) -> Result<()> {
        if self.clients.list.iter().any(|client| client.fenced) && !matches!(event, Event::Committed(_)) {
            return Err(Error::new(Code::Fenced, "a newer producer of this relay exists"));
        }
        match (&mut self.phase, event) {
            (Phase::Fencing(step, left), Event::Initialised) => {
                *left -= 1;
                if *left == 0 {
                    let next = *step + 1;
                    self.fence_step(next, around);
                }
                Ok(())
            }
            (Phase::ChargeSent, _) => {
                let now = around.instant();
                if let Some(sent) = self.clients.list[0].acknowledged() {
                    sent?;
                    self.phase = Phase::ChargeCommitted;
                    self.clients.list[0].commit(now);
                }
                Ok(())
            }
            (Phase::ChargeCommitted, Event::Committed(seen)) => {
                classify(seen, RETRY_BACKOFF).ensure_clean(seen)?;
                self.memory.in_doubt = None;
                self.turn = 1;
                self.open_source(around);
                Ok(())
            }
            (Phase::Flying(run), event) => {
                if let Event::Committed(seen) = event {
                    run.seen = Some(seen);
                }
                self.fly(around)
            }
            _ => Ok(()),
        }
    }

    fn wake(&mut self, around: &mut Around<'_>) -> Result<()> {
        match self.phase {
            Phase::Resting => {
                let fenced = std::mem::take(&mut self.memory.fenced);
                let until = around.now + if fenced { 10 * SECOND } else { 0 };
                if self.memory.owned || fenced {
                    self.phase = Phase::Looking(until);
                    around.ask(Request::Read);
                } else {
                    self.fence(around);
                }
            }
            Phase::Looking(_) => around.ask(Request::Read),
            Phase::Settling(_) => around.ask(Request::LastStable),
            Phase::Opening => self.take_off(around)?,
            Phase::Flying(_) => return self.fly(around),
            _ => {}
        }
        Ok(())
    }

    fn fence(&mut self, around: &mut Around<'_>) {
        let now = around.instant();
        let linger = Duration::from_millis(44_995);
        self.clients.list = (0..IDS).map(|_| Client::new(around.settings.batch, linger, now)).collect();
        self.fence_step(0, around);
    }

    fn fence_step(&mut self, step: usize, around: &mut Around<'_>) {
        let mut steps = fence_steps(IDS).into_iter().enumerate().skip(step);
        if let Some((step, producers)) = steps.find(|(_, producers)| !producers.is_empty()) {
            self.phase = Phase::Fencing(step, producers.len());
            self.clients.list[producers].iter_mut().for_each(Client::init);
        } else {
            self.phase = Phase::Sampling;
            around.ask(Request::End);
        }
    }

    fn ask_again(&mut self, around: &mut Around<'_>) -> Result<()> {
        match self.phase {
            Phase::Looking(_) | Phase::Reading(_) => around.ask(Request::Read),
            Phase::Sampling => around.ask(Request::End),
            Phase::Settling(_) => around.ask(Request::LastStable),
            _ => {}
        }
        Ok(())
    }

    /// What Kafka says of the checkpoint's partition.
    fn read(&mut self, answer: Answer, around: &mut Around<'_>) -> Result<()> {
        let name = self.relay.config.name.clone();
        match (&self.phase, answer) {
            (Phase::Looking(until), Answer::Checkpoints(seen)) => {
                let until = *until;
                let newest = newest(&name, usize::MAX, &seen)?;
                rivals::ensure_no_newer(&self.relay, &mut self.memory, newest.as_ref().map(|(found, _)| found))?;
                if around.now >= until {
                    self.fence(around);
                } else {
                    around.after(200 * MILLI..201 * MILLI, Input::Wake);
                }
                Ok(())
            }
            (Phase::Sampling, Answer::Offset(end)) => {
                self.phase = Phase::Settling(end);
                around.ask(Request::LastStable);
                Ok(())
            }
            (Phase::Settling(end), Answer::Offset(stable)) => {
                let end = *end;
                if Newest::new(&name, offset(end)).is_decided(offset(stable)) {
                    self.phase = Phase::Reading(end);
                    around.ask(Request::Read);
                } else {
                    around.after(20 * MILLI..100 * MILLI, Input::Wake);
                }
                Ok(())
            }
            (Phase::Reading(end), Answer::Checkpoints(seen)) => {
                let found = newest(&name, *end, &seen)?;
                self.take_charge(found, around)
            }
            _ => Ok(()),
        }
    }

    fn take_charge(&mut self, found: Option<(Checkpoint, CheckpointId)>, around: &mut Around<'_>) -> Result<()> {
        rivals::ensure_still_ours(&self.relay, &mut self.memory, found.as_ref())?;
        self.memory.incarnations += 1;
        let owner = self.relay.owner_of(&self.memory);
        let start = match found {
            Some(found) => StartingPoint::behind(found, owner),
            None => StartingPoint { checkpoint: source::first(owner), previous: None, in_charge: false },
        };
        let (chain, announcement) = start.begin()?;
        self.turn = 0;
        match announcement {
            None => self.open_source(around),
            Some(announcement) => {
                self.memory.in_doubt = Some(announcement.in_doubt);
                self.phase = Phase::ChargeSent;
                self.clients.open(0, false)?;
                self.clients.enqueue_checkpoint(0, &self.relay.config.name, &announcement.bytes)?;
                self.clients.list[0].send(around.instant());
            }
        }
        self.chain = Some(chain);
        Ok(())
    }

    fn open_source(&mut self, around: &mut Around<'_>) {
        self.memory.owned = true;
        self.phase = Phase::Opening;
        around.after(MILLI..50 * MILLI, Input::Wake);
    }
}

fn offset(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

fn newest(name: &str, end: usize, seen: &[(usize, Rc<[u8]>)]) -> Result<Option<(Checkpoint, CheckpointId)>> {
    let mut newest = Newest::new(name, offset(end));
    for (at, bytes) in seen {
        newest.see(offset(*at), Some(name.as_bytes()), Some(bytes));
    }
    newest.found().map(|bytes| codec::decode(&bytes)).transpose()
}
