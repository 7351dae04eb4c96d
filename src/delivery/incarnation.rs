//! The producers behind one fence, used in turn: while one commits, the next one already takes records.
//!
//! Why the order matters: the first Kafka transaction of an incarnation is always the first producer's, and they take
//! turns strictly. Two relays that fence each other at the same time may each end up with a part of the producers; only
//! the one that holds the first of them can begin, and whoever takes the first one from it takes the others, too, before
//! it writes. So only one of them ever writes (ADR 9).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::events::Trouble;
use super::producer::{Producer, TRANSACTION_TIMEOUT, transactional_ids};
use crate::checkpoint::Fence;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::kafka;
use crate::telemetry::Metrics;

/// Transactional producers of a relay. A third one would only make smaller transactions of the same records.
pub const PRODUCERS: usize = 2;

/// All producers behind one fence.
#[derive(Debug)]
pub struct Incarnation {
    producers: Vec<Producer>,
    trouble: Arc<Trouble>,
}

impl Incarnation {
    /// Creates the producers and fences every older one of this relay. At least once: one producer, nothing to fence.
    ///
    /// # Errors
    /// As `Producer::create`.
    pub async fn begin(config: &Config, metrics: Arc<Metrics>) -> Result<(Self, Fence)> {
        let trouble = Arc::new(Trouble::default());
        let ids = transactional_ids(config);
        let create = |number: usize| {
            let id = ids.get(number).cloned();
            let (config, trouble, metrics) = (config.clone(), Arc::clone(&trouble), Arc::clone(&metrics));
            kafka::start(move || Producer::create(&config, id.as_deref(), trouble, metrics))
        };
        let mut producers: Vec<Producer> = Vec::new();
        for step in fence_steps(ids.len().max(1)) {
            let early = producers.split_off(step.start);
            // Closing takes a while.
            kafka::aside(move || drop(early));
            let created = futures_util::future::join_all(step.map(create)).await;
            // All of them end before one's error does: a straggler would fence the next incarnation.
            for producer in created {
                producers.push(producer?);
            }
        }
        Ok((Self { producers, trouble }, Fence::established()))
    }

    /// How many producers take turns.
    pub fn producers(&self) -> usize {
        self.producers.len()
    }

    /// Producer number `turn`, modulo their number.
    pub fn producer(&mut self, turn: usize) -> &mut Producer {
        let turn = turn % self.producers.len();
        &mut self.producers[turn]
    }

    /// How long a Kafka transaction may stay open.
    pub fn transaction_timeout(&self) -> Duration {
        self.producers.first().map_or(TRANSACTION_TIMEOUT, Producer::transaction_timeout)
    }

    /// Adds the next topics to every producer.
    ///
    /// # Errors
    /// As [`Producer::add_topic`].
    pub fn add_topics(&mut self, names: &[Arc<str>]) -> Result<()> {
        for producer in &mut self.producers {
            names.iter().try_for_each(|name| producer.add_topic(name))?;
            producer.look_up(names);
        }
        Ok(())
    }

    /// Cancelled when a client has met an error that only a new incarnation can mend.
    pub fn failed(&self) -> &CancellationToken {
        self.trouble.failed()
    }

    /// Why.
    pub fn failure(&self) -> Error {
        match self.trouble.is_fenced() {
            true => Error::new(Code::Fenced, "a newer producer of this relay exists"),
            false => Error::new(Code::DeliveryFailed, "the Kafka producer failed"),
        }
    }
}

/// The producers that are created at the same time, step by step; those of an earlier step are replaced.
///
/// At first all of them: what a predecessor left open is aborted everywhere at once, which takes a while. Then all but the
/// first again, behind it.
pub(crate) fn fence_steps(producers: usize) -> [Range<usize>; 2] {
    [0..producers, 1..producers]
}
