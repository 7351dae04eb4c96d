//! The dump connection: raw events with a watchdog.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mysql_async::BinlogStream;
use mysql_async::binlog::events::Event;
use tokio::time::{Instant, timeout_at};

use super::connect;
use crate::error::{Code, Error, Result};

/// Heartbeat periods without a packet after which the connection counts as dead.
const SILENT_PERIODS: u32 = 3;

/// A running binlog dump.
pub struct EventStream {
    events: BinlogStream,
    silence: Duration,
    /// When the last packet arrived. Kept here, because a caller may drop [`EventStream::next`] and call it again.
    last_packet: Instant,
}

impl EventStream {
    /// `heartbeat`: the period that was asked of the server.
    pub(super) fn new(events: BinlogStream, heartbeat: Duration) -> Self {
        Self { events, silence: heartbeat * SILENT_PERIODS, last_packet: Instant::now() }
    }

    /// The next raw event. Cancel-safe: an event is never half taken.
    ///
    /// # Errors
    /// `SourceSilent` after three heartbeat periods without a packet, `SourceLost` when the stream ends, and what
    /// [`connect::classify`] makes of the server's errors.
    pub async fn next(&mut self) -> Result<Event> {
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
