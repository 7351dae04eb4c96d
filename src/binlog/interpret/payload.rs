//! A compressed transaction (TRANSACTION_PAYLOAD_EVENT, WL#3549): one outer event that holds a zstd frame of inner events.
//!
//! The driver decompresses it before we see the outer event, and yields *nothing* if that fails. So the guard counts:
//! inner events must add up to exactly the declared size, and the last one must end the group. Claims that a sound
//! server does not make are refused before a single inner event is used.
//!
//! The frame's header: RFC 8878, 3.1.1.
#![deny(clippy::indexing_slicing)]

use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{Event, TransactionPayloadEvent};

use super::HEARTBEAT_EVENT_V2;
use crate::binlog::event::{BinlogEvent, Fingerprint};
use crate::error::{Code, Error, Result};
use crate::position::FilePosition;

/// Inner bytes that a payload may claim. `max_allowed_packet`, at most 1 GiB, bounds what a server compresses.
const MAX_OUTPUT: u64 = 1 << 30;

/// What one byte of a frame can yield at most: a block of 128 KiB takes three bytes of header and one of content.
const MAX_RATIO: u64 = (128 << 10) / 4;

/// Largest window, the highest that the library decodes without being asked to; level 22, the server's highest, needs it.
const MAX_WINDOW: u64 = 1 << 27;

const FRAME_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A compressed transaction whose inner events are being read.
#[derive(Debug)]
pub(super) struct Payload {
    remaining: u64,
    fingerprint: Fingerprint,
}

impl Payload {
    /// Judges the outer event, which ends at `at` and is identified by `fingerprint`.
    pub(super) fn open(event: &Event, fingerprint: Fingerprint, at: &FilePosition) -> Result<Self> {
        let payload = event.read_event::<TransactionPayloadEvent<'_>>().map_err(|e| refuse(at, &e.to_string()))?;
        let (declared, compressed) = (payload.uncompressed_size(), payload.payload_raw());
        let possible = (compressed.len() as u64).saturating_mul(MAX_RATIO);
        if declared == 0 || declared > MAX_OUTPUT.min(possible) {
            let len = compressed.len();
            return Err(refuse(at, &format!("it declares {declared} bytes out of {len}")));
        }
        match window(compressed) {
            Some(window) if window <= MAX_WINDOW => {}
            Some(window) => return Err(refuse(at, &format!("it needs a window of {window} bytes"))),
            None => return Err(refuse(at, "it does not begin with a zstd frame")),
        }
        Ok(Self { remaining: declared, fingerprint })
    }

    /// Counts the next inner event; its group is identified by the outer one's fingerprint, which is handed out.
    pub(super) fn enter(&mut self, event: &Event, at: &FilePosition) -> Result<Fingerprint> {
        let size = u64::from(event.header().event_size());
        match self.remaining.checked_sub(size).filter(|_| !is_never_inner(event.header().event_type_raw())) {
            Some(remaining) => self.remaining = remaining,
            None => return Err(refuse(at, "its inner events do not add up to the declared size")),
        }
        Ok(self.fingerprint.clone())
    }

    /// Whether `result`, made of the last event that was entered, ends the payload: exactly the terminator must.
    pub(super) fn is_complete(&self, result: &BinlogEvent, at: &FilePosition) -> Result<bool> {
        match (self.remaining == 0, matches!(result, BinlogEvent::Terminator(_))) {
            (true, false) => Err(refuse(at, "it has no terminator")),
            (false, true) => Err(refuse(at, "it goes on behind its terminator")),
            (complete, _) => Ok(complete),
        }
    }
}

fn refuse(at: &FilePosition, what: &str) -> Error {
    Error::new(Code::CompressedPayload, format!("compressed transaction ending at {at}: {what}"))
}

/// The window that a decoder needs for the frame; `None` if it is no frame.
fn window(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.strip_prefix(&FRAME_MAGIC)?.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let byte = u64::from(*rest.first()?);
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 7));
    }
    // The window is the whole content, whose size follows the id of the dictionary.
    let dictionary = match descriptor & 3 {
        3 => 4,
        length => usize::from(length),
    };
    let (length, add) = match descriptor >> 6 {
        0 => (1, 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let size = rest.get(dictionary..dictionary + length)?;
    Some(crate::binlog::bytes::uint_le(size) + add)
}

/// Types that the server never puts into a payload; meeting one there means that the payload was not decompressed.
fn is_never_inner(kind: u8) -> bool {
    kind == HEARTBEAT_EVENT_V2
        || matches!(
            EventType::try_from(kind),
            Ok(EventType::GTID_EVENT
                | EventType::GTID_TAGGED_LOG_EVENT
                | EventType::ANONYMOUS_GTID_EVENT
                | EventType::ROTATE_EVENT
                | EventType::FORMAT_DESCRIPTION_EVENT
                | EventType::PREVIOUS_GTIDS_EVENT
                | EventType::HEARTBEAT_EVENT
                | EventType::STOP_EVENT
                | EventType::TRANSACTION_PAYLOAD_EVENT)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_frame_is_read_from_its_header() {
        let frame = |rest: &[u8]| [FRAME_MAGIC.as_slice(), rest].concat();
        assert_eq!(window(&frame(&[0x00, 0x58])), Some(1 << 21));
        assert_eq!(window(&frame(&[0x00, 0x59])), Some((1 << 21) + (1 << 18)));
        assert_eq!(window(&frame(&[0x04, 0x88])), Some(1 << 27));
        assert_eq!(window(&frame(&[0x20, 7])), Some(7));
        assert_eq!(window(&frame(&[0x60, 1, 1])), Some(257 + 256));
        assert_eq!(window(&frame(&[0xa1, 9, 1, 0, 0, 2])), Some((2 << 24) + 1));
        for cut in [&b""[..], b"BZh9", &frame(&[]), &frame(&[0]), &frame(&[0x60, 1])] {
            assert_eq!(window(cut), None);
        }
        // The highest descriptor there is.
        assert_eq!(window(&frame(&[0, 255])), Some((1 << 41) + (7 << 38)));
    }
}
