//! A transactional producer as librdkafka is one, as far as the protocol relies on it: partitions join while records are
//! held back, a broken request is sent again after its back-off with the same epoch, and nobody knows which copies arrive.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;

use super::broker::{Answer, PARTITIONS, Request, Value};
use super::{MILLI, Micros, SECOND};
use crate::delivery::classify::{Answer as Returned, CommitSeen};
use crate::delivery::hold::Hold;
use crate::error::{Code, Error, Result};

/// `retry.backoff.ms` with its jitter of 20 %.
const RETRY: std::ops::Range<Micros> = 800 * MILLI..1200 * MILLI;

/// How soon librdkafka asks a busy coordinator again.
const BUSY: Micros = 20 * MILLI;

/// `message.timeout.ms`, and how long a commit may take.
const MESSAGE_TIMEOUT: Micros = 45 * SECOND;
const COMMIT_TIMEOUT: Micros = 60 * SECOND;

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Send this request again.
    Again(u64),
    /// The send that began at this time has taken too long.
    Send(Instant),
    /// The same of a commit.
    Commit(Instant),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) epoch: u64,
    pub(super) hold: Hold,
    /// Records that fill a batch, which is sent at once.
    batch: usize,
    /// Records may be sent.
    pub(super) released: bool,
    joined: [Joined; PARTITIONS],
    queue: [VecDeque<Value>; PARTITIONS],
    sent: [Option<u64>; PARTITIONS],
    sequence: [usize; PARTITIONS],
    unanswered: BTreeMap<u64, Request>,
    requests: u64,
    sending: Option<Instant>,
    committing: Option<Instant>,
    disturbed: bool,
    undelivered: Option<Code>,
    /// A newer epoch exists: beyond repair.
    pub(super) fenced: bool,
    /// Requests to be sent, and timers to be set.
    pub(super) out: Vec<(u64, Request)>,
    pub(super) timers: Vec<(Micros, Timer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joined {
    No,
    Asked,
    Yes,
}

impl Client {
    pub(super) fn new(batch: usize, linger: std::time::Duration, now: Instant) -> Self {
        Self {
            epoch: 0,
            hold: Hold::new((batch, usize::MAX), linger, now),
            batch,
            released: false,
            joined: [Joined::No; PARTITIONS],
            queue: Default::default(),
            sent: [None; PARTITIONS],
            sequence: [0; PARTITIONS],
            unanswered: BTreeMap::new(),
            requests: 0,
            sending: None,
            committing: None,
            disturbed: false,
            undelivered: None,
            fenced: false,
            out: Vec::new(),
            timers: Vec::new(),
        }
    }

    fn request(&mut self, request: Request) -> u64 {
        self.requests += 1;
        self.unanswered.insert(self.requests, request.clone());
        self.out.push((self.requests, request));
        self.requests
    }

    pub(super) fn init(&mut self) {
        self.request(Request::Init);
    }

    /// As `Producer::open`.
    pub(super) fn open(&mut self, now: Instant) -> Result<()> {
        if self.fenced {
            return Err(Error::new(Code::Fenced, "beginning"));
        }
        self.disturbed = false;
        self.released = false;
        self.joined = [Joined::No; PARTITIONS];
        self.hold.begin(now);
        Ok(())
    }

    /// As `Producer::enqueue`.
    pub(super) fn enqueue(&mut self, partition: usize, value: Value) -> Result<()> {
        self.hold.count(1)?;
        self.queue[partition].push_back(value);
        Ok(())
    }

    /// As `Producer::send`.
    pub(super) fn send(&mut self, now: Instant) {
        self.sending = Some(now);
        self.timers.push((MESSAGE_TIMEOUT, Timer::Send(now)));
    }

    /// As `Producer::commit`.
    pub(super) fn commit(&mut self, now: Instant) {
        self.hold.again();
        self.committing = Some(now);
        self.timers.push((COMMIT_TIMEOUT, Timer::Commit(now)));
        self.request(Request::Commit);
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, chance: &mut StdRng) {
        let waiting = (0..PARTITIONS).filter(|p| !self.queue[*p].is_empty() && self.joined[*p] == Joined::No);
        let join: Vec<usize> = waiting.collect();
        if !join.is_empty() && (self.sending.is_some() || chance.random_bool(0.7)) {
            join.iter().for_each(|partition| self.joined[*partition] = Joined::Asked);
            self.request(Request::Join(join));
        }
        for partition in 0..PARTITIONS {
            let ready = self.joined[partition] == Joined::Yes && self.sent[partition].is_none();
            if !ready || self.queue[partition].is_empty() || self.undelivered.is_some() {
                continue;
            }
            let full = self.queue[partition].len() >= self.batch;
            if self.sending.is_some() || full || self.released && chance.random_bool(0.5) {
                self.produce(partition);
            }
        }
    }

    fn produce(&mut self, partition: usize) {
        let values: Rc<[Value]> = self.queue[partition].drain(..).collect();
        let sequence = self.sequence[partition];
        self.sequence[partition] += values.len();
        self.sent[partition] = Some(self.request(Request::Produce { partition, sequence, values }));
    }

    /// The connection broke while this request was unanswered.
    pub(super) fn broken(&mut self, number: u64, chance: &mut StdRng) {
        if self.unanswered.contains_key(&number) {
            self.disturbed |= chance.random_bool(0.5);
            self.timers.push((chance.random_range(RETRY), Timer::Again(number)));
        }
    }

    /// The answer to a request; a second one to the same is dropped.
    pub(super) fn answered(&mut self, number: u64, answer: &Answer, now: Instant, chance: &mut StdRng) -> Event {
        let Some(request) = self.unanswered.get(&number) else { return Event::None };
        if let Answer::Busy = answer {
            let wait = if matches!(request, Request::Commit) { chance.random_range(RETRY) } else { BUSY };
            self.timers.push((wait, Timer::Again(number)));
            return Event::None;
        }
        let request = self.unanswered.remove(&number);
        self.fenced |= matches!(answer, Answer::Fenced);
        let failure = match answer {
            Answer::Fenced => Some(Code::Fenced),
            Answer::Refused => Some(Code::DeliveryFailed),
            _ => None,
        };
        match request {
            Some(Request::Init) => {
                if let Answer::Epoch(epoch) = answer {
                    self.epoch = *epoch;
                }
                Event::Initialised
            }
            Some(Request::Join(partitions)) => {
                partitions.iter().for_each(|partition| self.joined[*partition] = Joined::Yes);
                self.undelivered = self.undelivered.or(failure);
                Event::None
            }
            Some(Request::Produce { partition, .. }) => {
                self.sent[partition] = None;
                self.undelivered = self.undelivered.or(failure);
                Event::None
            }
            Some(Request::Commit) => self.returned(failure, now),
            _ => Event::None,
        }
    }

    fn returned(&mut self, failure: Option<Code>, now: Instant) -> Event {
        let Some(began) = self.committing.take() else { return Event::None };
        let answer = match failure {
            None => Returned::Ok,
            Some(Code::Fenced) => Returned::Fenced,
            Some(_) => Returned::Failed,
        };
        Event::Committed(CommitSeen { answer, elapsed: now.duration_since(began), disturbed: self.disturbed })
    }

    /// A timer has run out.
    pub(super) fn elapsed(&mut self, timer: Timer, now: Instant) -> Event {
        match timer {
            Timer::Again(number) => {
                if let Some(request) = self.unanswered.get(&number) {
                    self.out.push((number, request.clone()));
                }
            }
            Timer::Send(began) if self.sending == Some(began) => {
                self.undelivered = self.undelivered.or(Some(Code::DeliveryFailed));
            }
            Timer::Commit(began) if self.committing == Some(began) => {
                self.unanswered.retain(|_, request| !matches!(request, Request::Commit));
                return self.returned(Some(Code::DeliveryFailed), now);
            }
            Timer::Send(_) | Timer::Commit(_) => {}
        }
        Event::None
    }

    /// What became of the send, if it has ended.
    pub(super) fn acknowledged(&mut self) -> Option<Result<()>> {
        self.sending?;
        let result = match self.undelivered {
            Some(code) => Err(Error::new(code, "a record was not delivered")),
            None if self.queue.iter().all(VecDeque::is_empty) && self.sent.iter().all(Option::is_none) => Ok(()),
            None => return None,
        };
        self.sending = None;
        Some(result)
    }
}

/// What the process learns at once.
#[derive(Debug)]
pub(super) enum Event {
    None,
    Initialised,
    Committed(CommitSeen),
}
