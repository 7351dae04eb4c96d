//! Header names of an outbox, and the header that makes every record auditable.

use std::ffi::{CStr, CString};
use std::io::Write;

use crate::position::GroupPosition;

/// Header with the row's event id (Debezium's contract).
pub const ID: &CStr = c"id";

/// Header with the row's place in the source: `POSITION#ORDINAL/COUNT`.
pub const SOURCE: &CStr = c"outboxd-source";

/// Headers that one record may have, ours included.
pub const MAX_HEADERS: usize = 32;

/// Names of an outbox's headers, in the order in which every record carries them.
#[derive(Debug, PartialEq, Eq)]
pub struct HeaderNames {
    names: Vec<CString>,
    source: bool,
}

impl HeaderNames {
    /// No headers at all.
    pub const fn none() -> Self {
        Self { names: Vec::new(), source: false }
    }

    /// `id` first, then the configured headers, then the source header if wanted.
    ///
    /// # Errors
    /// A name with a NUL byte.
    pub fn new<'a>(configured: impl Iterator<Item = &'a str>, source: bool) -> Result<Self, std::ffi::NulError> {
        let mut names = vec![ID.to_owned()];
        for name in configured {
            names.push(CString::new(name)?);
        }
        if source {
            names.push(SOURCE.to_owned());
        }
        Ok(Self { names, source })
    }

    /// How many headers a record has.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether a record has none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the last one is the source header.
    pub fn has_source(&self) -> bool {
        self.source
    }

    /// The names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CStr> {
        self.names.iter().map(CString::as_c_str)
    }
}

/// Writes `POSITION#ORDINAL/COUNT`.
pub fn write_source(group: &str, ordinal: u64, count: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(group.as_bytes());
    // Writing to a Vec cannot fail.
    let _ = write!(out, "#{ordinal}/{count}");
}

/// The POSITION part, rendered once for a source transaction.
pub fn source_position(group: &GroupPosition) -> String {
    group.to_string()
}
