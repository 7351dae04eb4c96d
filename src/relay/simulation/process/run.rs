//! A run behind its start: the reader's task, and the loop of `delivery::exactly_once`.

use futures_util::FutureExt;
use rand::Rng;

use super::{Phase, Process};
use crate::batch::{Batch, Batcher};
use crate::channel::{self, Receiver, Sender};
use crate::checkpoint::Place;
use crate::delivery::classify::CommitSeen;
use crate::delivery::flight::{Due, Flight};
use crate::error::Result;
use crate::relay::simulation::around::{Around, Input, Wish};
use crate::relay::simulation::broker::IDS;
use crate::relay::simulation::client::Client;
use crate::relay::simulation::source::{self, Source};
use crate::relay::simulation::{MILLI, Micros};

#[derive(Debug)]
pub(super) struct Run {
    pub(super) flight: Flight,
    pub(super) sender: Option<Sender<Batch>>,
    receiver: Receiver<Batch>,
    batcher: Batcher,
    /// What is read next.
    next: Place,
    /// What the commit on its way has come to.
    pub(super) seen: Option<CommitSeen>,
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

impl Process {
    pub(super) fn take_off(&mut self, around: &mut Around<'_>) -> Result<()> {
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
    pub(super) fn read_source(&mut self, around: &mut Around<'_>) -> Result<()> {
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
    pub(super) fn fly(&mut self, around: &mut Around<'_>) -> Result<()> {
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
                self.drained(around);
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
