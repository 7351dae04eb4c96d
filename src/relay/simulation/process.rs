//! A process of the relay: the order of a start, the loop of a run and what ends it are those of `relay` and `delivery`,
//! and every decision is taken by their code.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::Rng;
use rand::rngs::StdRng;

use super::broker::{Answer, IDS, Request, Value};
use super::client::{Client, Event, Timer};
use super::source::{self, Source};
use super::truth::Violation;
use super::{MILLI, Micros, SECOND, instant};
use crate::batch::{Batch, Batcher};
use crate::channel::{self, Receiver, Sender};
use crate::checkpoint::newest::Newest;
use crate::checkpoint::{Checkpoint, CheckpointId, Place, codec};
use crate::config::BatchConfig;
use crate::delivery::chain::Chain;
use crate::delivery::classify::{CommitSeen, classify};
use crate::delivery::flight::{Due, Flight, Producers};
use crate::delivery::producer::RETRY_BACKOFF;
use crate::delivery::transaction::Transaction;
use crate::delivery::{Memory, StartingPoint};
use crate::error::{Code, Disposition, Error, Result};
use crate::relay::{Relay, rivals, supervise};

/// The number of the checkpoint's readers among a process's clients.
pub(super) const READER: usize = IDS;

/// How the process is made; the same for all of a schedule.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: BatchConfig,
    /// Records that fill a batch of librdkafka.
    pub(super) batch: usize,
    /// Bytes in flight.
    pub(super) in_flight: usize,
}

/// What happens to a process.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// The answer to a request, or `None` if the connection broke meanwhile.
    Answer {
        client: usize,
        number: u64,
        answer: Option<Answer>,
    },
    Timer(usize, Timer),
    /// Time to go on.
    Wake,
    /// The source may have more.
    Read,
    /// SIGTERM.
    Drain,
}

/// What a process wants from the world.
#[derive(Debug)]
pub(super) enum Wish {
    Request { client: usize, epoch: u64, number: u64, request: Request },
    After(Micros, Input),
}

/// The world around a process.
pub(super) struct Around<'a> {
    pub(super) now: Micros,
    pub(super) chance: &'a mut StdRng,
    pub(super) source: &'a Source,
    pub(super) settings: &'a Settings,
    pub(super) wishes: Vec<Wish>,
}

impl Around<'_> {
    fn instant(&self) -> Instant {
        instant(self.now)
    }

    fn ask(&mut self, request: Request) {
        self.wishes.push(Wish::Request { client: READER, epoch: 0, number: 0, request });
    }

    fn after(&mut self, range: std::ops::Range<Micros>, input: Input) {
        let after = self.chance.random_range(range);
        self.wishes.push(Wish::After(after, input));
    }
}

#[derive(Debug)]
enum Phase {
    /// Before it fences: has another one taken over?
    Looking(Micros),
    /// This producer is being initialised.
    Fencing(usize),
    Sampling,
    Settling(usize),
    Reading(usize),
    ChargeSent,
    ChargeCommitted,
    Opening,
    Flying(Box<Run>),
    Resting,
    /// Ended for good.
    Gone,
}

#[derive(Debug)]
struct Run {
    flight: Flight,
    sender: Option<Sender<Batch>>,
    receiver: Receiver<Batch>,
    batcher: Batcher,
    /// What is read next.
    next: Place,
    /// What the commit on its way has come to.
    seen: Option<CommitSeen>,
    /// The reader will look at the source again.
    reads: bool,
    /// When the loop looks again by itself.
    wakes: Micros,
}

impl Run {
    /// Whether the reader can hand on a batch.
    fn has_more(&self, source: &Source) -> bool {
        let gauge = self.receiver.gauge();
        self.sender.is_some() && source.has(self.next) && gauge.in_flight_bytes() < gauge.limit() / 2
    }
}

#[derive(Debug)]
pub(super) struct Process {
    relay: Relay,
    memory: Memory,
    phase: Phase,
    clients: Clients,
    chain: Option<Chain>,
    turn: usize,
}

/// Both producers of an incarnation.
#[derive(Debug)]
pub(super) struct Clients {
    list: Vec<Client>,
    now: Instant,
    /// Calls until one fails.
    trip: Option<u32>,
    tripped: bool,
}

impl Clients {
    fn client(&mut self, turn: usize) -> &mut Client {
        let turn = turn % self.list.len();
        &mut self.list[turn]
    }

    fn step(&mut self) -> Result<()> {
        match &mut self.trip {
            Some(0) => {
                self.trip = None;
                self.tripped = true;
                Err(Error::new(Code::DeliveryFailed, "injected"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Producers for Clients {
    fn open(&mut self, turn: usize, held: bool) -> Result<()> {
        self.step()?;
        let now = self.now;
        self.client(turn).open(now)?;
        if held { Ok(()) } else { self.release(turn) }
    }

    fn release(&mut self, turn: usize) -> Result<()> {
        self.step()?;
        let now = self.now;
        let client = self.client(turn);
        client.released = true;
        client.hold.release(now)
    }

    fn can_hold(&mut self, turn: usize, records: usize, _: usize) -> bool {
        self.client(turn).hold.fits(records, 0)
    }

    fn enqueue(&mut self, batch: &Batch, transaction: &mut Transaction) -> Result<()> {
        for record in batch.records.iter() {
            self.step()?;
            let (partition, row) = source::place(&record);
            self.client(transaction.turn).enqueue(partition, Value::Row(row))?;
        }
        Ok(())
    }

    fn enqueue_checkpoint(&mut self, turn: usize, _: &str, checkpoint: &[u8]) -> Result<()> {
        self.step()?;
        self.client(turn).enqueue(super::broker::CHECKPOINTS, Value::Checkpoint(Rc::from(checkpoint)))
    }
}

impl Process {
    pub(super) fn new(relay: Relay) -> Self {
        let clients = Clients { list: Vec::new(), now: instant(0), trip: None, tripped: false };
        Self { relay, memory: Memory::default(), phase: Phase::Resting, clients, chain: None, turn: 0 }
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

    /// Something happens. Whatever error ends the run is judged as the supervisor does.
    /// Whether it has.
    pub(super) fn handle(&mut self, input: Input, around: &mut Around<'_>) -> Result<bool, Violation> {
        self.clients.now = around.instant();
        self.clients.tripped = false;
        let ended = self.proceed(input, around);
        self.flush(around);
        let Err(error) = ended else { return Ok(self.is_gone()) };
        if let Phase::Flying(run) = &self.phase {
            self.memory.in_doubt = run.flight.in_doubt().cloned();
        }
        if matches!(error.disposition(), Disposition::Bug | Disposition::Halt) {
            return Err(Violation(format!("{}: {}", error.code(), error.chain())));
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
        }
    }

    /// A client has learned something.
    fn learn(&mut self, event: Event, around: &mut Around<'_>) -> Result<()> {
        if self.clients.list.iter().any(|client| client.fenced) && !matches!(event, Event::Committed(_)) {
            return Err(Error::new(Code::Fenced, "a newer producer of this relay exists"));
        }
        match (&mut self.phase, event) {
            (Phase::Fencing(n), Event::Initialised) => {
                let next = *n + 1;
                if next < IDS {
                    self.phase = Phase::Fencing(next);
                    self.clients.list[next].init();
                } else {
                    self.phase = Phase::Sampling;
                    around.ask(Request::End);
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
        self.phase = Phase::Fencing(0);
        self.clients.list[0].init();
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

    fn take_off(&mut self, around: &mut Around<'_>) -> Result<()> {
        let Some(mut chain) = self.chain.take() else { return Ok(()) };
        let config = chain.last().checkpoint().config.clone();
        chain.adopt(source::identity(), self.relay.owner_of(&self.memory), &config);
        let from = chain.last().checkpoint();
        let (sender, receiver) = channel::channel(around.settings.in_flight);
        let run = Run {
            sender: Some(sender),
            receiver,
            batcher: Batcher::new(from.place()),
            next: source::resume(from),
            seen: None,
            reads: false,
            wakes: 0,
            flight: Flight::new(chain, (self.turn, IDS), around.settings.limits.clone()),
        };
        self.phase = Phase::Flying(Box::new(run));
        self.read_source(around)
    }

    /// The reader's task: some of what waits becomes a batch.
    fn read_source(&mut self, around: &mut Around<'_>) -> Result<()> {
        let Phase::Flying(run) = &mut self.phase else { return Ok(()) };
        run.reads = false;
        if run.has_more(around.source)
            && let Some(sender) = &mut run.sender
        {
            for _ in 0..around.chance.random_range(1..=3) {
                if around.source.has(run.next) {
                    run.next = around.source.read(run.next, &mut run.batcher);
                }
            }
            if let Some(batch) = run.batcher.close() {
                let weight = batch.records.weight().clamp(1, sender.gauge().limit() / 2);
                let sent = sender.send(batch, weight).now_or_never();
                assert!(matches!(sent, Some(Ok(()))), "there was room");
            }
        }
        self.fly(around)
    }

    /// The loop of `delivery::exactly_once` until it would wait.
    fn fly(&mut self, around: &mut Around<'_>) -> Result<()> {
        let now = around.instant();
        let Phase::Flying(run) = &mut self.phase else { return Ok(()) };
        loop {
            let receiver = &mut run.receiver;
            let Due { send, commit } = run.flight.advance(now, || receiver.try_recv().ok(), &mut self.clients)?;
            if let Some(turn) = send {
                self.clients.step()?;
                self.clients.client(turn).send(now);
            }
            if let Some(turn) = commit {
                self.clients.step()?;
                self.clients.client(turn).commit(now);
            }
            if run.flight.is_drained() {
                self.phase = Phase::Gone;
                return Ok(());
            }
            if let Some(seen) = run.seen.take() {
                let committed = run.flight.ended(seen, now)?;
                self.memory.delivered += u64::from(committed.is_some());
                continue;
            }
            if let Some(sent) = self.clients.list.iter_mut().find_map(Client::acknowledged) {
                run.flight.sent(sent)?;
                continue;
            }
            if run.flight.wants_batch(now) {
                match run.receiver.try_recv() {
                    Ok((batch, permit)) => {
                        run.flight.take(batch, permit, now, &mut self.clients)?;
                        continue;
                    }
                    Err(channel::TryRecvError::Disconnected) => {
                        run.flight.close();
                        continue;
                    }
                    Err(channel::TryRecvError::Empty) => {}
                }
            }
            if run.has_more(around.source) && !run.reads {
                run.reads = true;
                around.after(0..3 * MILLI, Input::Read);
            }
            if let Some(at) = run.flight.wake(now) {
                let wait = u64::try_from(at.saturating_duration_since(now).as_micros()).unwrap_or(u64::MAX);
                if run.wakes <= around.now || run.wakes > around.now + wait {
                    run.wakes = around.now + wait;
                    around.wishes.push(Wish::After(wait, Input::Wake));
                }
            }
            return Ok(());
        }
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
