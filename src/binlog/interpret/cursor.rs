//! Where in the log: our own 64-bit position, kept from outer events only, and each event's checksum.

use std::sync::Arc;

use mysql_async::binlog::events::{BinlogEventHeader, Event};
use mysql_async::binlog::{BinlogChecksumAlg, EventFlags, EventType};

use crate::binlog::bytes::uint_le;
use crate::binlog::event::Fingerprint;
use mysql_common::proto::MySerialize as _;

use crate::error::{Code, Error, Result};
use crate::position::FilePosition;

/// How positions in the stream relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contiguity {
    /// File mode: the server sends every byte; a gap is an error.
    Exact,
    /// File mode on MariaDB: the server sends every group, but leaves out annotations.
    WholeGroups,
    /// GTID mode: the server leaves out groups that were already executed.
    Gaps,
}

/// The end of the last outer event.
#[derive(Debug)]
pub(super) struct Cursor {
    contiguity: Contiguity,
    position: FilePosition,
}

impl Cursor {
    pub(super) fn new(contiguity: Contiguity, position: FilePosition) -> Self {
        Self { contiguity, position }
    }

    pub(super) fn position(&self) -> &FilePosition {
        &self.position
    }

    /// Whether the dump may have begun in the middle of a group.
    pub(super) fn may_begin_inside(&self) -> bool {
        self.contiguity != Contiguity::Gaps
    }

    /// Moves past an outer event, whose checksum is compared first.
    ///
    /// MariaDB 11.4 leaves the position in the header of an event inside a group at 0 (`binlog_legacy_event_pos = OFF`).
    /// At the head of a stream that begins inside a file, 0 means that the event was moved there.
    pub(super) fn pass(&mut self, event: &Event) -> Result<Fingerprint> {
        let crc32 = self.ensure_checksum(event)?;
        let header = event.header();
        let before = self.position.offset;
        let in_log = !header.flags().contains(EventFlags::LOG_EVENT_ARTIFICIAL_F);
        if in_log && header.log_pos() != 0 {
            self.advance(header.log_pos(), header.event_size())?;
        } else if in_log && !is_head(header.event_type_raw()) {
            self.position.offset += u64::from(header.event_size());
        }
        Ok(Fingerprint {
            file: Arc::clone(&self.position.file),
            start: self.position.offset.saturating_sub(u64::from(header.event_size())).max(before),
            end: self.position.offset,
            event_type: header.event_type_raw(),
            timestamp: header.timestamp(),
            server_id: header.server_id(),
            size: header.event_size(),
            crc32,
            gtid: None,
            previous: None,
        })
    }

    /// Follows a rotate event; true if the log really goes on in another file, false if the server only says where we are.
    pub(super) fn rotate(&mut self, event: &Event) -> Result<bool> {
        self.ensure_checksum(event)?;
        let body = without_early_checksum(event);
        let (offset, name) = body.split_at_checked(8).ok_or_else(|| self.undecodable("rotate event", &"too short"))?;
        let file: Arc<str> = String::from_utf8_lossy(name).into();
        let real = event.header().log_pos() != 0 && file != self.position.file;
        self.position = FilePosition { file, offset: uint_le(offset) };
        Ok(real)
    }

    /// The event that is being read cannot be.
    pub(super) fn undecodable(&self, what: &str, cause: &dyn std::fmt::Display) -> Error {
        Error::new(Code::EventUndecodable, format!("{what} before {}: {cause}", self.position))
    }

    /// Moves the position to the end of an event. The header carries only the low 32 bits of it.
    fn advance(&mut self, log_pos: u32, size: u32) -> Result<()> {
        let next = self.position.offset + u64::from(size);
        let gap = u64::from(log_pos.wrapping_sub(low32(next)));
        if gap != 0 && self.contiguity == Contiguity::Exact {
            return Err(Error::new(
                Code::EventCorrupt,
                format!("{}: the next event says it ends at {log_pos} (modulo 2^32), not at {next}", self.position),
            ));
        }
        self.position.offset = next + gap;
        Ok(())
    }

    /// Compares the checksum, if the event has one.
    pub(super) fn ensure_checksum(&self, event: &Event) -> Result<u32> {
        let algorithm = event.footer().get_checksum_alg();
        let header = event.header();
        let describes = header.event_type_raw() == EventType::FORMAT_DESCRIPTION_EVENT as u8;
        if describes {
            self.ensure_setting(event, matches!(algorithm, Ok(Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32))))?;
        }
        let Ok(Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32)) = algorithm else { return Ok(0) };
        let Some(stored) = event.checksum().map(u32::from_le_bytes) else { return Ok(0) };
        let computed = event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32);
        if stored != computed {
            return Err(self.corrupt(event, &format!("checksum {computed:08x}, stored {stored:08x}")));
        }
        // A server leaves this flag out of a format description's checksum, the driver out of every event's.
        if !describes && header.flags().contains(EventFlags::LOG_EVENT_BINLOG_IN_USE_F) {
            return Err(
                self.corrupt(event, "a flag is set that only a format description has (LOG_EVENT_BINLOG_IN_USE_F)")
            );
        }
        Ok(stored)
    }

    /// A format description decides whether the events behind it are compared at all, so it may not turn that off by
    /// damage: its own checksum, which it always has, would fit with the setting turned back.
    fn ensure_setting(&self, event: &Event, checks: bool) -> Result<()> {
        // Every supported server writes the setting (WL#2540).
        let Some(stored) = event.checksum().map(u32::from_le_bytes) else {
            return Err(self.corrupt(event, "a format description without a checksum"));
        };
        if !checks && stored == event.calc_checksum(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32) {
            return Err(self.corrupt(event, "its checksum fits only with checksums turned on"));
        }
        Ok(())
    }

    fn corrupt(&self, event: &Event, what: &str) -> Error {
        let size = event.header().event_size();
        Error::new(Code::EventCorrupt, format!("event of {size} bytes behind {}: {what}", self.position))
    }
}

/// The body of an event before the first format description, which tells about checksums: a MariaDB gives its first rotate
/// event one nevertheless, and the driver takes it for a part of the file's name.
fn without_early_checksum(event: &Event) -> &[u8] {
    let body = event.data();
    let told = matches!(event.footer().get_checksum_alg(), Ok(Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32)));
    let Some((plain, checksum)) = body.split_last_chunk::<4>().filter(|_| !told) else { return body };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header_bytes(&event.header()));
    hasher.update(plain);
    if hasher.finalize() == u32::from_le_bytes(*checksum) { plain } else { body }
}

/// The bytes of an event's header.
pub(super) fn header_bytes(header: &BinlogEventHeader) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BinlogEventHeader::LEN);
    header.serialize(&mut bytes);
    bytes
}

/// FORMAT_DESCRIPTION_EVENT, and MariaDB's START_ENCRYPTION_EVENT behind it.
fn is_head(kind: u8) -> bool {
    kind == EventType::FORMAT_DESCRIPTION_EVENT as u8 || kind == 164
}

pub(super) fn low32(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
