//! What the consumer sees while the show goes on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::{Isolation, Kafka, Mysql, Observer};

use crate::relay::Relay;
use crate::screen;
use crate::shop::Shop;
use crate::{TOPIC, interrupt};

/// So often a line tells how far things are.
const PROGRESS: Duration = Duration::from_secs(2);
/// Between looks at the signals and processes.
const LOOK: Duration = Duration::from_millis(50);
/// Nothing new for so long means that it will not come.
const STUCK: Duration = Duration::from_secs(60);

/// Kafka's console consumer, running all the time.
#[derive(Debug)]
pub(crate) struct Watch {
    consumer: Observer,
    seen: u64,
    last: Instant,
    said: Instant,
}

impl Watch {
    /// Starts the consumer on the demo's topic.
    pub(crate) fn start(kafka: &Kafka) -> Result<Self> {
        let consumer = Observer::start(kafka, &[TOPIC], Isolation::ReadCommitted)?;
        Ok(Self { consumer, seen: 0, last: Instant::now(), said: Instant::now() })
    }

    /// Records so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Shows the next records in full.
    pub(crate) fn show(&mut self, count: u64, relay: &mut Relay) -> Result<()> {
        let end = self.seen + count;
        while self.seen < end {
            self.step(relay, screen::record)?;
        }
        Ok(())
    }

    /// Shows everything that comes, briefly, until somebody asks for the end.
    pub(crate) fn show_all(&mut self, relay: &mut Relay) -> Result<()> {
        while !interrupt::asked() {
            relay.ensure_running()?;
            if let Some(record) = self.consumer.next(LOOK)? {
                self.seen += 1;
                screen::record_in_brief(&record);
            }
        }
        Ok(())
    }

    /// Counts records, telling how far things are, until `done` is content with how many there were.
    pub(crate) fn count_until(
        &mut self,
        mysql: &Mysql,
        relay: &mut Relay,
        shop: &mut Option<Shop>,
        done: impl Fn(u64) -> Result<bool>,
    ) -> Result<()> {
        self.last = Instant::now();
        while !done(self.seen)? {
            self.step(relay, |_| ())?;
            if let Some(shop) = shop {
                shop.ensure_open()?;
            }
            if self.said.elapsed() >= PROGRESS {
                self.said = Instant::now();
                screen::say(format!("rows committed {:>6}   records seen {:>6}", committed(mysql)?, self.seen));
            }
        }
        Ok(())
    }

    fn step(&mut self, relay: &mut Relay, mut show: impl FnMut(&testbed::Observed)) -> Result<()> {
        interrupt::ensure_not_asked()?;
        relay.ensure_running()?;
        match self.consumer.next(LOOK)? {
            Some(record) => {
                self.seen += 1;
                self.last = Instant::now();
                show(&record);
            }
            None => ensure!(self.last.elapsed() < STUCK, "no record came for {STUCK:?}; {} so far", self.seen),
        }
        Ok(())
    }
}

/// MySQL's own count.
pub(crate) fn committed(mysql: &Mysql) -> Result<u64> {
    Ok(mysql.sql("SELECT COUNT(*) FROM shop.outbox")?.trim().parse()?)
}
