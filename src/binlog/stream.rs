//! The dump connection: raw events with a watchdog.

use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::BinlogStream;
use mysql_async::binlog::events::Event;
use tokio::time::timeout;

use super::connect;
use crate::error::{Code, Error, Result};

/// Heartbeat periods without a packet after which the connection counts as dead.
const SILENT_PERIODS: u32 = 3;

/// A running binlog dump.
pub struct EventStream {
    events: BinlogStream,
    silence: Duration,
}

impl EventStream {
    /// `heartbeat`: the period that was asked of the server.
    pub(super) fn new(events: BinlogStream, heartbeat: Duration) -> Self {
        Self { events, silence: heartbeat * SILENT_PERIODS }
    }

    /// The next raw event. Cancel-safe: an event is never half taken.
    ///
    /// # Errors
    /// `SourceSilent` after three heartbeat periods without a packet, `SourceLost` when the stream ends, and what
    /// [`connect::classify`] makes of the server's errors.
    pub async fn next(&mut self) -> Result<Event> {
        match timeout(self.silence, self.events.next()).await {
            Err(_) => Err(Error::new(
                Code::SourceSilent,
                format!("no event and no heartbeat from MySQL for {:?}", self.silence),
            )),
            // The dump never ends by itself; an EOF packet means that the server killed it.
            Ok(None) => Err(Error::new(Code::SourceLost, "the server ended the binlog stream")),
            Ok(Some(Err(error))) => Err(connect::classify(&error, "binlog stream")),
            Ok(Some(Ok(event))) => Ok(event),
        }
    }

    /// The next raw event if its bytes are already here.
    pub fn next_ready(&mut self) -> Option<Result<Event>> {
        use futures_util::FutureExt;
        match self.events.next().now_or_never()? {
            None => Some(Err(Error::new(Code::SourceLost, "the server ended the binlog stream"))),
            Some(Err(error)) => Some(Err(connect::classify(&error, "binlog stream"))),
            Some(Ok(event)) => Some(Ok(event)),
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("silence", &self.silence).finish_non_exhaustive()
    }
}
