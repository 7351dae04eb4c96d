//! A cursor over the bytes of one event, and the error that every decoder here returns.
#![deny(clippy::indexing_slicing)]

/// Why bytes could not be decoded. `offset` counts from the first byte of the slice that was handed in.
///
/// The text never holds a value of a row: names, type codes, collation ids and offsets only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the thing does.
    #[error("{what} ends early at byte {offset}")]
    Truncated {
        /// The thing being decoded.
        what: &'static str,
        /// Where it was expected.
        offset: usize,
    },
    /// The bytes contradict the format.
    #[error("{what} is malformed at byte {offset}")]
    Malformed {
        /// The thing being decoded.
        what: &'static str,
        /// Where it was read.
        offset: usize,
    },
    /// A storage form that we cannot show, or, if its length is unknown too, cannot even step over.
    #[error("column type {0} is not supported")]
    UnsupportedType(u8),
    /// A text in a character set that we do not convert to UTF-8; the number is the collation id, 0 if the log has none.
    #[error("the character set of collation {0} is not supported")]
    Charset(u16),
    /// A stored code for which the server itself has no character (`CONVERT` shows `?` or U+FFFD).
    #[error("a text holds a code for which the character set {0} has no character")]
    NoCharacter(&'static str),
    /// The table map lacks what the value needs (`binlog_row_metadata` is not FULL, or it is an old server).
    #[error("the table map does not carry {0}")]
    Metadata(&'static str),
    /// A stored value that its text form cannot express, such as 31 February under `ALLOW_INVALID_DATES`.
    #[error("{0} is out of range")]
    Range(&'static str),
}

/// Reads forward only; a failed read consumes nothing.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { rest: data, len: data.len() }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn truncated(&self, what: &'static str) -> DecodeError {
        DecodeError::Truncated { what, offset: self.len - self.rest.len() }
    }

    pub(super) fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { what, offset: self.len - self.rest.len() }
    }

    #[inline]
    pub(super) fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| self.truncated(what))?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let (&first, tail) = self.rest.split_first().ok_or_else(|| self.truncated(what))?;
        self.rest = tail;
        Ok(first)
    }

    /// A little-endian number of `n` ≤ 8 bytes.
    #[inline]
    pub(super) fn uint(&mut self, n: usize, what: &'static str) -> Result<u64, DecodeError> {
        self.take(n, what).map(uint_le)
    }

    /// MySQL's packed integer ("length encoded integer" of the protocol documentation).
    pub(super) fn packed(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        match self.u8(what)? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.uint(2, what),
            253 => self.uint(3, what),
            254 => self.uint(8, what),
            251 | 255 => Err(self.malformed(what)),
        }
    }

    /// A packed count of things that take at least one byte each, so it can size an allocation.
    pub(super) fn count(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.packed(what)?;
        usize::try_from(count).ok().filter(|&n| n <= self.rest.len()).ok_or_else(|| self.truncated(what))
    }

    /// Bytes after their packed length.
    pub(super) fn packed_bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let n = self.count(what)?;
        self.take(n, what)
    }

    pub(super) fn end(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed(what)) }
    }
}

/// A little-endian number; of more than eight bytes only the last eight count.
#[inline]
pub(super) fn uint_le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// A big-endian number; of more than eight bytes only the last eight count.
#[inline]
pub(super) fn uint_be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// Bit `index` of a bitmap whose first bit is the lowest of the first byte (columns present, NULL bits).
#[inline]
pub(super) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Bit `index` of a bitmap whose first bit is the highest of the first byte (optional metadata).
pub(super) fn bit_from_top(bitmap: &[u8], index: usize) -> Option<bool> {
    bitmap.get(index / 8).map(|byte| byte >> (7 - index % 8) & 1 == 1)
}
