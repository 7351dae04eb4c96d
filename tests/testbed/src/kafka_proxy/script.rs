//! Which request is disturbed, and how. Pure: connections ask, and do what they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::frame::Request;
use super::{Api, lock};

/// What happens at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBroker {
    /// The request arrives.
    Arrives,
    /// The request never arrives.
    Never,
    /// It arrives twice, one behind the other; the client sees the first answer.
    Twice,
    /// It arrives so much later, and everything behind it on its connection.
    Delayed(Duration),
    /// It is kept back, and arrives at that moment on a connection of its own.
    Late(Moment),
}

/// When a request that was kept back arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Just before the same transactional id is initialised again.
    BeforeInit,
    /// When the broker has initialised the same transactional id again.
    AfterInit,
    /// When the broker has answered the next Produce request of the same transactional id: inside its next transaction.
    NextTransaction,
    /// When the test says so.
    Asked,
}

/// What the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtClient {
    /// The broker's answer, if it comes on this connection; else nothing.
    Answer,
    /// Nothing.
    Silence,
    /// Its connection is cut: if the request arrives, in place of the answer.
    Cut,
    /// An answer with this error code; for EndTxn only.
    Told(i16),
}

/// One line of a table of outcomes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Script {
    api: Api,
    producer: Option<String>,
    nth: usize,
    until_init: bool,
    at_broker: AtBroker,
    at_client: AtClient,
}

impl Script {
    /// For the next request of that kind.
    pub fn on(api: Api) -> Self {
        Self {
            api,
            producer: None,
            nth: 1,
            until_init: false,
            at_broker: AtBroker::Arrives,
            at_client: AtClient::Answer,
        }
    }

    /// Only of producers whose transactional id begins so.
    pub fn of(self, producer: &str) -> Self {
        Self { producer: Some(producer.to_owned()), ..self }
    }

    /// The nth request from now on, from 1.
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// That request and those after it, until the same transactional id is initialised again: so that a client that
    /// sends again by itself gets no further. Only the first one is kept back; of the rest the broker sees nothing.
    pub fn until_init(self) -> Self {
        Self { until_init: true, ..self }
    }

    /// What happens at the broker.
    pub fn at_broker(self, at_broker: AtBroker) -> Self {
        Self { at_broker, ..self }
    }

    /// What the client sees.
    pub fn at_client(self, at_client: AtClient) -> Self {
        assert!(!matches!(at_client, AtClient::Told(_)) || self.api == Api::EndTxn, "only EndTxn can be answered here");
        Self { at_client, ..self }
    }
}

/// What became of a script.
#[derive(Debug, Clone, Default)]
pub struct Scripted(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    hits: usize,
    answers: Vec<i16>,
}

impl Scripted {
    /// Requests that were disturbed so far.
    #[must_use]
    pub fn hits(&self) -> usize {
        lock(&self.0).hits
    }

    /// The error codes with which brokers answered what was kept back.
    #[must_use]
    pub fn late_answers(&self) -> Vec<i16> {
        lock(&self.0).answers.clone()
    }

    pub(super) fn note_answer(&self, code: i16) {
        lock(&self.0).answers.push(code);
    }
}

/// A request that was kept back.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) node: usize,
    pub(super) request: Request,
    /// The frame without its length.
    pub(super) bytes: Vec<u8>,
    pub(super) scripted: Scripted,
    moment: Moment,
}

/// What a connection has to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) at_broker: AtBroker,
    pub(super) at_client: AtClient,
}

impl Orders {
    const NONE: Self = Self { at_broker: AtBroker::Arrives, at_client: AtClient::Answer };
}

#[derive(Debug)]
struct Armed {
    script: Script,
    scripted: Scripted,
    passed: usize,
    /// The producer that it has hit, if it goes on until that one is initialised again.
    goes_on: Option<Option<String>>,
    done: bool,
}

/// The armed scripts and the requests that are kept back.
#[derive(Debug, Default)]
pub(super) struct Stage {
    armed: Vec<Armed>,
    kept: Vec<Kept>,
}

impl Stage {
    pub(super) fn arm(&mut self, script: Script) -> Scripted {
        let scripted = Scripted::default();
        let armed = Armed { script, scripted: scripted.clone(), passed: 0, goes_on: None, done: false };
        self.armed.retain(|armed| !armed.done);
        self.armed.push(armed);
        scripted
    }

    /// What to do with a request on its way to a broker.
    pub(super) fn orders(&mut self, node: usize, request: &Request, bytes: &[u8]) -> Orders {
        if request.api == Api::InitProducerId {
            let goes_on = |armed: &Armed| armed.goes_on.as_ref() == Some(&request.producer);
            self.armed.retain(|armed| !goes_on(armed));
        }
        let Some(armed) = self.armed.iter_mut().find_map(|armed| armed.hit_by(request).then_some(armed)) else {
            return Orders::NONE;
        };
        let mut seen = lock(&armed.scripted.0);
        seen.hits += 1;
        let mut orders = Orders { at_broker: armed.script.at_broker, at_client: armed.script.at_client };
        if let AtBroker::Late(moment) = orders.at_broker {
            if seen.hits == 1 {
                let (request, bytes, scripted) = (request.clone(), bytes.to_vec(), armed.scripted.clone());
                self.kept.push(Kept { node, request, bytes, scripted, moment });
            } else {
                orders.at_broker = AtBroker::Never;
            }
        }
        orders
    }

    /// What was kept back until this moment of that producer; of any, if none is given.
    pub(super) fn take_kept(&mut self, moment: Moment, producer: Option<&str>) -> Vec<Kept> {
        let is_due = |kept: &mut Kept| {
            kept.moment == moment && producer.is_none_or(|producer| kept.request.producer.as_deref() == Some(producer))
        };
        self.kept.extract_if(.., is_due).collect()
    }
}

impl Armed {
    fn hit_by(&mut self, request: &Request) -> bool {
        let Script { api, producer, nth, until_init, .. } = &self.script;
        let fits = |prefix: &String| request.producer.as_ref().is_some_and(|name| name.starts_with(prefix));
        if self.done || request.api != *api || !producer.as_ref().is_none_or(fits) {
            return false;
        }
        if let Some(hit) = &self.goes_on {
            return *hit == request.producer;
        }
        self.passed += 1;
        if self.passed < *nth {
            return false;
        }
        match until_init {
            true => self.goes_on = Some(request.producer.clone()),
            false => self.done = true,
        }
        true
    }
}
