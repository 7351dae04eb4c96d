//! MariaDB's own events, decoded from their raw bodies: the driver knows none of them.
//!
//! Source: MariaDB Knowledge Base, "Replication Protocol", pages "GTID_EVENT" and those beside it; `log_event.h`.
#![deny(clippy::indexing_slicing)]

use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{BinlogEventHeader, Event};

use super::cursor::header_bytes;
use super::{Interpreter, inflate};
use crate::binlog::bytes::{DecodeError, Reader};
use crate::binlog::event::{BinlogEvent, Fingerprint};
use crate::binlog::rows::WriteRows;
use crate::error::{Code, Error, Result};
use crate::position::{Gtid, MariadbGtid};

/// What one of MariaDB's event types is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Begins an event group.
    Gtid,
    /// A QUERY_EVENT (2) whose text is compressed.
    CompressedQuery,
    /// A row event whose rows are compressed.
    CompressedRows {
        /// The type of the same event without compression.
        plain: u8,
        /// Whether that is a row event of version 2, which no server has compressed yet.
        version_2: bool,
        /// Bitmaps of columns before the rows: an update has two.
        images: usize,
    },
    /// Says nothing that we need: annotations, binlog checkpoints, lists of GTIDs, the start of encryption.
    Passed,
}

impl Kind {
    /// `None` for a type that is not MariaDB's own.
    pub(super) fn of(code: u8) -> Option<Self> {
        Some(match code {
            160 | 161 | 163 | 164 => Self::Passed,
            162 => Self::Gtid,
            165 => Self::CompressedQuery,
            166..=168 => {
                Self::CompressedRows { plain: code - 143, version_2: false, images: 1 + usize::from(code == 167) }
            }
            169..=171 => {
                Self::CompressedRows { plain: code - 139, version_2: true, images: 1 + usize::from(code == 170) }
            }
            _ => return None,
        })
    }
}

/// Flags of a GTID event (`Gtid_log_event::FL_*`).
mod flag {
    /// One statement, without a terminator of its own.
    pub(super) const STANDALONE: u8 = 1;
    /// DDL, CREATE TABLE … SELECT too.
    pub(super) const DDL: u8 = 32;
}

/// The body of a GTID event, as far as we need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GtidHead {
    pub(super) gtid: MariadbGtid,
    /// The group is the next query event and nothing else; otherwise it is a transaction, whose BEGIN this event is.
    pub(super) standalone: bool,
    /// The group holds DDL; its rows, if any, are those of a CREATE TABLE … SELECT.
    pub(super) ddl: bool,
}

impl GtidHead {
    /// Decodes the body; `server` is the `server_id` of its header. What follows the flags (group commit id, XA id, parts
    /// of ALTER) says nothing more about where the group ends.
    pub(super) fn decode(body: &[u8], server: u32) -> Result<Self, DecodeError> {
        const WHAT: &str = "GTID event";
        let mut r = Reader::new(body);
        let sequence = r.uint(8, WHAT)?;
        let domain = u32::try_from(r.uint(4, WHAT)?).map_err(|_| r.malformed(WHAT))?;
        let flags = r.u8(WHAT)?;
        Ok(Self {
            gtid: MariadbGtid { domain, server, sequence },
            standalone: flags & flag::STANDALONE != 0,
            ddl: flags & flag::DDL != 0,
        })
    }
}

/// The same event with another type and body: what it would be if it had not been compressed.
pub(super) fn with_body(event: &Event, kind: u8, body: &[u8]) -> std::io::Result<Event> {
    let header = event.header();
    // The outer event's checksum has been compared; this one has none to compare.
    let checksum: &[u8] = if event.checksum().is_some() { &[0; 4] } else { &[] };
    let size = u32::try_from(BinlogEventHeader::LEN + body.len() + checksum.len()).map_err(std::io::Error::other)?;
    let mut bytes = header_bytes(&header);
    if let Some(place) = bytes.get_mut(KIND) {
        *place = kind;
    }
    if let Some(place) = bytes.get_mut(SIZE) {
        place.copy_from_slice(&size.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(checksum);
    Event::read(event.fde(), bytes.as_slice())
}

/// Where the type stands in an event's header.
const KIND: usize = 4;

/// Where the event's size stands in its header.
const SIZE: std::ops::Range<usize> = 9..13;

impl Interpreter {
    /// What one of MariaDB's own events says.
    pub(super) fn act_on_mariadb(&mut self, kind: Kind, event: Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        match kind {
            Kind::Passed => Ok(BinlogEvent::Passed),
            Kind::Gtid => self.domain_group_start(&event, &fingerprint),
            Kind::CompressedQuery => {
                let body = inflate::query_body(event.data()).map_err(|e| self.broken(&e))?;
                self.act(self.with_body(&event, EventType::QUERY_EVENT as u8, &body)?, fingerprint)
            }
            Kind::CompressedRows { .. } if !self.is_of_outbox(&event)? => Ok(BinlogEvent::Passed),
            Kind::CompressedRows { plain, version_2, images } => {
                let body = inflate::rows_body(event.data(), version_2, images).map_err(|e| self.broken(&e))?;
                self.act(self.with_body(&event, plain, &body)?, fingerprint)
            }
        }
    }

    fn with_body(&self, event: &Event, kind: u8, body: &[u8]) -> Result<Event> {
        with_body(event, kind, body).map_err(|e| self.cursor.undecodable("compressed event", &e))
    }

    fn broken(&self, cause: &DecodeError) -> Error {
        Error::new(Code::CompressedPayload, format!("compressed event ending at {}: {cause}", self.position()))
    }

    /// MariaDB's GTID event: it stands for BEGIN too, unless the group is a single statement.
    fn domain_group_start(&mut self, event: &Event, fingerprint: &Fingerprint) -> Result<BinlogEvent> {
        self.ensure_between_groups()?;
        self.tables.of_mariadb();
        let head = GtidHead::decode(event.data(), event.header().server_id())
            .map_err(|e| self.cursor.undecodable("GTID event", &e))?;
        self.previous = self.domains.last_of(head.gtid.domain).map(Gtid::Mariadb);
        self.domains.advance(head.gtid);
        self.gtid = Some(Gtid::Mariadb(head.gtid));
        self.has_ddl = head.ddl;
        let committed_at_us = i64::from(event.header().timestamp()) * 1_000_000;
        Ok(self.group_starts(fingerprint, committed_at_us, !head.standalone))
    }

    fn is_of_outbox(&self, event: &Event) -> Result<bool> {
        let id = WriteRows::table_id(event.data()).map_err(|e| self.cursor.undecodable("row event", &e))?;
        Ok(self.tables.find(id).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_row_events_are_those_of_mysql_when_they_are_plain() {
        let plain = |code| match Kind::of(code) {
            Some(Kind::CompressedRows { plain, version_2, images }) => (plain, version_2, images),
            other => panic!("{other:?}"),
        };
        assert_eq!([166, 167, 168].map(plain), [(23, false, 1), (24, false, 2), (25, false, 1)]);
        assert_eq!([169, 170, 171].map(plain), [(30, true, 1), (31, true, 2), (32, true, 1)]);
        assert_eq!(Kind::of(172), None);
    }

    #[test]
    fn the_head_of_a_group() {
        // 7-1-5, with a group commit id behind the flags.
        let body = [5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2 | 4, 9, 9, 9, 9, 9, 9, 9, 9];
        let head = GtidHead::decode(&body, 1).unwrap();
        assert_eq!(head.gtid.to_string(), "7-1-5");
        assert!(!head.standalone && !head.ddl);
        let mut ddl = body;
        ddl[12] = 1 | 32;
        let head = GtidHead::decode(&ddl, 1).unwrap();
        assert!(head.standalone && head.ddl);
        assert!(GtidHead::decode(&body[..12], 1).is_err());
    }
}
