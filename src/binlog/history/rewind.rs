//! The part of the log that is read again at a start: the last processed group, to be compared, and the groups of
//! distributed transactions that were undecided, for their rows.

use crate::binlog::event::{BinlogEvent, Fingerprint, GroupStart};
use crate::binlog::xa::PreparedXa;
use crate::error::{Code, Error, Result};

/// The comparison of the last processed group. Fed with every event until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// Its terminator. Without a GTID the dump is one by file position, which may begin in the middle of a group and
    /// brings everything from there on.
    expected: Fingerprint,
    /// Groups to be held again.
    held: Vec<PreparedXa>,
    in_held: bool,
    in_last: bool,
    /// By file position: the expected terminator's file was reached.
    in_file: bool,
}

/// What a [`Rewind`] makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// The last processed group has been found again: the next event is new.
    pub verified: bool,
    /// The event belongs to a prepared transaction: hand it on. Others are dropped.
    pub held: bool,
}

impl Rewind {
    /// `expected`: the last processed group's terminator; `held`: prepared groups up to there, in the log's order.
    pub fn new(expected: Fingerprint, held: Vec<PreparedXa>) -> Self {
        let in_file = held.first().is_none_or(|first| first.file == expected.file);
        Self { expected, held, in_held: false, in_last: false, in_file }
    }

    /// Judges the next event.
    ///
    /// # Errors
    /// `HistoryChanged` if the last processed group is not where it was, as it was.
    pub fn check(&mut self, event: &BinlogEvent) -> Result<Rewound> {
        let mut rewound = Rewound { verified: false, held: self.in_held };
        match event {
            BinlogEvent::GroupStart(start) => {
                self.begin(start)?;
                rewound.held = self.in_held;
            }
            BinlogEvent::Terminator(terminator) => {
                rewound.verified = self.end(&terminator.fingerprint)?;
                self.in_held = false;
            }
            BinlogEvent::FileHead(head) => {
                rewound.verified = self.begin_file(head)?;
                self.in_held = false;
            }
            _ => {}
        }
        Ok(rewound)
    }

    /// Judges an error met before the comparison was done. A file position that is no event's start any more reads as
    /// damage; in GTID mode every dump begins at an event. But a wrong checksum may as well be damage on the way, so
    /// only if it is `met_again` it means another log.
    pub fn explain(&self, error: Error, met_again: bool) -> Error {
        let unreadable = match error.code() {
            Code::EventCorrupt => met_again,
            Code::EventUndecodable | Code::EventUnsupported => true,
            _ => false,
        };
        if self.expected.gtid.is_none() && unreadable {
            return self.changed("what is no event").caused_by(error.chain());
        }
        error
    }

    fn begin(&mut self, start: &GroupStart) -> Result<()> {
        if self.expected.gtid.is_none() {
            self.in_held = self.held.iter().any(|prepared| prepared.starts_at() == start.start);
            return Ok(());
        }
        self.in_held = self.held.iter().any(|prepared| prepared.gtid == start.gtid);
        self.in_last = start.gtid == self.expected.gtid;
        if self.in_last || self.in_held {
            return Ok(());
        }
        let found = start.gtid.as_ref().map_or_else(|| "an anonymous group".to_owned(), ToString::to_string);
        Err(self.changed(&format!("{found} at {}", start.start)))
    }

    /// Whether the file that begins here is the one whose head was the last thing processed.
    fn begin_file(&mut self, head: &Fingerprint) -> Result<bool> {
        if self.expected.gtid.is_some() {
            return Ok(false);
        }
        if self.matches(head) {
            return Ok(true);
        }
        let is_file = head.file == self.expected.file;
        // Its head is another one, or the place lies in a file before this one.
        if (is_file && self.expected.is_file_head()) || (!is_file && self.in_file) {
            return Err(self.changed(&describe(head)));
        }
        self.in_file |= is_file;
        Ok(false)
    }

    /// Whether the group that ends here is the last processed one.
    fn end(&mut self, found: &Fingerprint) -> Result<bool> {
        if self.matches(found) {
            return Ok(true);
        }
        let missed = match self.expected.gtid {
            Some(_) => self.in_last,
            None if found.file == self.expected.file => {
                self.in_file = true;
                found.end > self.expected.start
            }
            None => self.in_file,
        };
        if missed { Err(self.changed(&describe(found))) } else { Ok(false) }
    }

    fn matches(&self, found: &Fingerprint) -> bool {
        // A dump by file position may begin behind the event that carries the GTID.
        let by_gtid = self.expected.gtid.is_some();
        let same_before = !by_gtid || found.previous == self.expected.previous;
        let gtid = found.gtid.clone().filter(|_| by_gtid);
        same_before && self.expected.is_same_event(&Fingerprint { gtid, ..found.clone() })
    }

    fn changed(&self, found: &str) -> Error {
        let expected = describe(&self.expected);
        Error::new(Code::HistoryChanged, format!("source history changed: expected {expected}, found {found}"))
    }
}

fn describe(fingerprint: &Fingerprint) -> String {
    format!(
        "{}:{} (type {}, {} bytes, time {}, server id {}, crc {:08x}, {})",
        fingerprint.file,
        fingerprint.start,
        fingerprint.event_type,
        fingerprint.size,
        fingerprint.timestamp,
        fingerprint.server_id,
        fingerprint.crc32,
        fingerprint.gtid.as_ref().map_or_else(|| "anonymous".to_owned(), |gtid| format!("GTID {gtid}")),
    )
}

#[cfg(test)]
mod tests;
