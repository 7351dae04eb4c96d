//! The dump connection: raw events with a watchdog.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mysql_async::BinlogStream;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::Event;
use tokio::time::{Instant, timeout_at};

use super::connect;
use super::history::DumpFrom;
use super::interpret::HEARTBEAT_EVENT_V2;
use crate::error::{Code, Error, Result};

/// Heartbeat periods without a packet after which the connection counts as dead.
const SILENT_PERIODS: u32 = 3;

/// A running binlog dump.
pub struct EventStream {
    events: BinlogStream,
    silence: Duration,
    /// Events that were looked at before their time.
    ahead: VecDeque<Event>,
    /// When the last packet arrived. Kept here, because a caller may drop [`EventStream::next`] and call it again.
    last_packet: Instant,
}

impl EventStream {
    /// `heartbeat`: the period that was asked of the server.
    pub(super) fn new(events: BinlogStream, heartbeat: Duration) -> Self {
        Self { events, silence: heartbeat * SILENT_PERIODS, ahead: VecDeque::new(), last_packet: Instant::now() }
    }

    /// The next raw event. Cancel-safe: an event is never half taken.
    ///
    /// # Errors
    /// `SourceSilent` after three heartbeat periods without a packet, `SourceLost` when the stream ends, and what
    /// [`connect::classify`] makes of the server's errors.
    pub async fn next(&mut self) -> Result<Event> {
        match self.ahead.pop_front() {
            Some(event) => Ok(event),
            None => self.receive().await,
        }
    }

    /// Waits until the server has shown that it can send from where it was asked to: the first event of the log behind the
    /// heads that it makes up, or a heartbeat. Nothing is taken out of the stream.
    ///
    /// # Errors
    /// As [`EventStream::next`], and `StartPosition` if `from` is not where an event begins.
    pub async fn prove(&mut self, from: &DumpFrom) -> Result<()> {
        loop {
            let event = self.receive().await?;
            let header = event.header();
            let (kind, ends, size) = (header.event_type_raw(), header.log_pos(), header.event_size());
            let head = kind == EventType::ROTATE_EVENT as u8 || kind == EventType::FORMAT_DESCRIPTION_EVENT as u8;
            let heartbeat = kind == EventType::HEARTBEAT_EVENT as u8 || kind == HEARTBEAT_EVENT_V2;
            self.ahead.push_back(event);
            // Heads that are not in the log stand nowhere in it.
            if head && ends == 0 {
                continue;
            }
            return match from {
                DumpFrom::File(position) if !heartbeat && position.offset + u64::from(size) != u64::from(ends) => {
                    Err(Error::new(Code::StartPosition, format!("{position} is not where an event begins")))
                }
                _ => Ok(()),
            };
        }
    }

    async fn receive(&mut self) -> Result<Event> {
        match timeout_at(self.last_packet + self.silence, self.events.next()).await {
            Err(_) => Err(Error::new(
                Code::SourceSilent,
                format!("no event and no heartbeat from MySQL for {:?}", self.silence),
            )),
            Ok(answer) => self.received(answer),
        }
    }

    /// The next raw event if its bytes are already here.
    pub fn next_ready(&mut self) -> Option<Result<Event>> {
        if let Some(event) = self.ahead.pop_front() {
            return Some(Ok(event));
        }
        let answer = self.events.next().now_or_never()?;
        Some(self.received(answer))
    }

    /// The caller stood still for a reason of its own: what MySQL sent meanwhile waits in the socket.
    pub fn excuse_silence(&mut self) {
        self.last_packet = Instant::now();
    }

    fn received(&mut self, answer: Option<mysql_async::Result<Event>>) -> Result<Event> {
        self.last_packet = Instant::now();
        match answer {
            // The dump never ends by itself; an EOF packet means that the server killed it.
            None => Err(Error::new(Code::SourceLost, "the server ended the binlog stream")),
            Some(Err(error)) => Err(connect::classify(&error, "binlog stream")),
            Some(Ok(event)) => Ok(event),
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("silence", &self.silence).finish_non_exhaustive()
    }
}
