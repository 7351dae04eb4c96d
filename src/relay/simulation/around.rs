//! What happens to a process, and what it wants from the world.

use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;

use super::broker::{Answer, IDS, Request};
use super::client::Timer;
use super::source::Source;
use super::{Micros, instant};
use crate::config::BatchConfig;

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
    /// The group says that this member leads.
    Leads,
    /// The group says that another member leads, which may be writing already if the membership was `lost`.
    Follows {
        lost: bool,
    },
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
    pub(super) fn instant(&self) -> Instant {
        instant(self.now)
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.wishes.push(Wish::Request { client: READER, epoch: 0, number: 0, request });
    }

    pub(super) fn after(&mut self, range: std::ops::Range<Micros>, input: Input) {
        let after = self.chance.random_range(range);
        self.wishes.push(Wish::After(after, input));
    }
}
