//! MySQL's binary JSON straight to compact JSON text, members in stored order.
//!
//! Format: `json_binary.h` in MySQL's source. A container is its element count, its size, the entries (offset and
//! length of the key, type and offset or inlined value) and then keys and values; small containers count in two bytes,
//! large ones in four, offsets from the container's start. Printing follows Debezium's, see `debezium`.
#![deny(clippy::indexing_slicing)]

use super::bytes::{DecodeError, Reader, uint_le};
use super::debezium::{self, put};
use super::decimal::Decimal;
use super::temporal::{DateTime, Time};
use super::value::write_base64;

use std::io::Write as _;

/// `JSON_DOCUMENT_MAX_DEPTH` of the server.
const MAX_DEPTH: usize = 100;

mod code {
    pub(super) const SMALL_OBJECT: u8 = 0;
    pub(super) const LARGE_OBJECT: u8 = 1;
    pub(super) const SMALL_ARRAY: u8 = 2;
    pub(super) const LARGE_ARRAY: u8 = 3;
    pub(super) const LITERAL: u8 = 4;
    pub(super) const INT16: u8 = 5;
    pub(super) const UINT16: u8 = 6;
    pub(super) const INT32: u8 = 7;
    pub(super) const UINT32: u8 = 8;
    pub(super) const INT64: u8 = 9;
    pub(super) const UINT64: u8 = 10;
    pub(super) const DOUBLE: u8 = 11;
    pub(super) const STRING: u8 = 12;
    pub(super) const OPAQUE: u8 = 15;
}

/// Appends a stored JSON document as text. On an error `out` is left as it was.
///
/// Zero bytes are the document `null`: the server stores that for a NOT NULL column of a row that an `IGNORE` statement
/// filled. DECIMAL prints as a number, dates and times as strings, other binary values as base64 strings.
pub fn write_json(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let start = out.len();
    let mut writer = Writer { out, budget: raw.len() };
    let written = match raw.split_first() {
        Some((&kind, value)) => writer.value(kind, value, 1),
        None => writer.literal(0),
    };
    // All names and strings at once: one pass over ASCII costs less than a call for each.
    let text = written.and_then(|()| {
        out.get(start..).and_then(|text| std::str::from_utf8(text).ok()).ok_or(malformed("text in JSON")).map(|_| ())
    });
    if text.is_err() {
        out.truncate(start);
    }
    text
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what, offset: 0 }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Every byte of a document belongs to one value, so no honest document makes us read more bytes than it has.
    /// Forged offsets that share values could otherwise print exponentially much.
    budget: usize,
}

impl Writer<'_> {
    fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(malformed("shared parts of JSON"))?;
        Ok(())
    }

    /// `data` begins with the value and may go on behind it.
    fn value(&mut self, kind: u8, data: &[u8], depth: usize) -> Result<(), DecodeError> {
        let mut r = Reader::new(data);
        match kind {
            code::SMALL_OBJECT => self.container::<2, true>(data, depth),
            code::LARGE_OBJECT => self.container::<4, true>(data, depth),
            code::SMALL_ARRAY => self.container::<2, false>(data, depth),
            code::LARGE_ARRAY => self.container::<4, false>(data, depth),
            code::LITERAL => self.literal(r.u8("literal in JSON")?),
            code::INT16 | code::UINT16 => self.integer(kind, r.uint(2, "integer in JSON")?),
            code::INT32 | code::UINT32 => self.integer(kind, r.uint(4, "integer in JSON")?),
            code::INT64 | code::UINT64 => self.integer(kind, r.uint(8, "integer in JSON")?),
            code::DOUBLE => {
                let value = f64::from_bits(r.uint(8, "double in JSON")?);
                self.spend(8)?;
                if debezium::write_json_double(value, self.out) { Ok(()) } else { Err(malformed("double in JSON")) }
            }
            code::STRING => {
                let text = long_bytes(&mut r)?;
                self.spend(text.len())?;
                self.string(text);
                Ok(())
            }
            code::OPAQUE => {
                let kind = r.u8("opaque value in JSON")?;
                let bytes = long_bytes(&mut r)?;
                self.spend(bytes.len())?;
                self.opaque(kind, bytes)
            }
            _ => Err(malformed("type in JSON")),
        }
    }

    /// `N` is the width of counts and offsets.
    fn container<const N: usize, const OBJECT: bool>(&mut self, data: &[u8], depth: usize) -> Result<(), DecodeError> {
        const WHAT: &str = "container in JSON";
        if depth > MAX_DEPTH {
            return Err(malformed("depth of JSON"));
        }
        let mut head = Reader::new(data);
        let count = index(head.uint(N, WHAT)?);
        let size = index(head.uint(N, WHAT)?);
        let data = data.get(..size).ok_or(malformed(WHAT))?;
        let key_entry = if OBJECT { N + 2 } else { 0 };
        let entries = count.checked_mul(key_entry + 1 + N).ok_or(malformed(WHAT))?;
        self.spend(entries.saturating_add(2 * N))?;
        let mut entries = Reader::new(head.take(entries, WHAT)?);
        let mut keys = Reader::new(entries.take(count.saturating_mul(key_entry), WHAT)?);

        self.out.push(if OBJECT { b'{' } else { b'[' });
        for nth in 0..count {
            if nth > 0 {
                self.out.push(b',');
            }
            if OBJECT {
                let (from, len) = (index(keys.uint(N, WHAT)?), index(keys.uint(2, WHAT)?));
                let key = data.get(from..).and_then(|d| d.get(..len)).ok_or(malformed("key in JSON"))?;
                self.spend(len)?;
                self.string(key);
                self.out.push(b':');
            }
            let kind = entries.u8(WHAT)?;
            let inlined = entries.take(N, WHAT)?;
            match kind {
                code::LITERAL | code::INT16 | code::UINT16 => self.value(kind, inlined, depth + 1)?,
                code::INT32 | code::UINT32 if N == 4 => self.value(kind, inlined, depth + 1)?,
                _ => {
                    let value = data.get(index(uint_le(inlined))..).ok_or(malformed("offset in JSON"))?;
                    self.value(kind, value, depth + 1)?;
                }
            }
        }
        self.out.push(if OBJECT { b'}' } else { b']' });
        Ok(())
    }

    fn literal(&mut self, value: u8) -> Result<(), DecodeError> {
        self.out.extend_from_slice(match value {
            0 => b"null",
            1 => b"true",
            2 => b"false",
            _ => return Err(malformed("literal in JSON")),
        });
        Ok(())
    }

    fn integer(&mut self, kind: u8, number: u64) -> Result<(), DecodeError> {
        let spare = match kind {
            code::INT16 => 48,
            code::INT32 => 32,
            code::INT64 => 0,
            _ => {
                debezium::write_digits(number, self.out);
                return Ok(());
            }
        };
        let signed = (number << spare).cast_signed() >> spare;
        if signed < 0 {
            self.out.push(b'-');
        }
        debezium::write_digits(signed.unsigned_abs(), self.out);
        Ok(())
    }

    fn opaque(&mut self, kind: u8, bytes: &[u8]) -> Result<(), DecodeError> {
        const DATE: u8 = 10;
        if kind == 0 || kind == 246 {
            let [precision, scale, raw @ ..] = bytes else { return Err(malformed("DECIMAL in JSON")) };
            Decimal::decode(*precision, *scale, raw)?.write_plain(self.out);
            return Ok(());
        }
        let packed = || bytes.try_into().map(i64::from_le_bytes).map_err(|_| malformed("date or time in JSON"));
        self.out.push(b'"');
        match kind {
            DATE => debezium::write_json_date(&DateTime::of_json(packed()?)?, self.out),
            7 | 12 | 17 | 18 => debezium::write_json_datetime(&DateTime::of_json(packed()?)?, self.out),
            11 | 19 => debezium::write_json_time(&Time::of_json(packed()?)?, self.out),
            _ => write_base64(bytes, self.out),
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A string literal: `"`, `\` and control characters escaped, nothing else.
    fn string(&mut self, text: &[u8]) {
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        let mut rest = text;
        while let Some(at) = first_to_escape(rest) {
            let (clean, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.out.extend_from_slice(clean);
            let Some((&byte, tail)) = tail.split_first() else { break };
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                0x08 => self.out.extend_from_slice(b"\\b"),
                0x09 => self.out.extend_from_slice(b"\\t"),
                0x0A => self.out.extend_from_slice(b"\\n"),
                0x0C => self.out.extend_from_slice(b"\\f"),
                0x0D => self.out.extend_from_slice(b"\\r"),
                _ => put!(self.out, "\\u{byte:04X}"),
            }
            rest = tail;
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Bytes after their length, which has seven bits in each byte, lowest first, and the top bit set but in the last.
fn long_bytes<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    const WHAT: &str = "string in JSON";
    let mut len = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = r.u8(WHAT)?;
        len |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return r.take(index(len), WHAT);
        }
    }
    Err(r.malformed(WHAT))
}

/// Position of the first byte that a JSON string cannot hold as it is. Eight bytes at a time: in a clean text, which
/// is the rule, that is six operations a word.
fn first_to_escape(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest byte that is marked is right, marks above it may be false; nothing is marked if nothing is due.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, tail) = text.as_chunks::<8>();
    for (nth, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return usize::try_from(found.trailing_zeros() / 8).ok().map(|byte| nth * 8 + byte);
        }
    }
    let due = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    tail.iter().position(due).map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &[u8]) -> Result<String, DecodeError> {
        let mut out = Vec::new();
        write_json(raw, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn documents_by_hand() {
        assert_eq!(text(&[]), Ok("null".into()));
        assert_eq!(text(&[4, 1]), Ok("true".into()));
        assert_eq!(text(&[5, 0xFE, 0xFF]), Ok("-2".into()));
        assert_eq!(text(b"\x0c\x03a\"\x1f"), Ok("\"a\\\"\\u001F\"".into()));
        // {"a":1}: count 1, size 12, key at 11 of length 1, inlined int16.
        assert_eq!(text(&[0, 1, 0, 12, 0, 11, 0, 1, 0, 5, 1, 0, b'a']), Ok("{\"a\":1}".into()));
        assert_eq!(text(&[0, 1, 0, 13, 0, 11, 0, 1, 0, 5, 1, 0, b'a']), Err(malformed("container in JSON")));
        assert_eq!(text(&[4, 3]), Err(malformed("literal in JSON")));
        assert_eq!(text(b"\x0c\x01\xff"), Err(malformed("text in JSON")));
        assert!(text(&[11, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]).is_err());
    }

    /// Each level is an array whose only element follows its seven bytes of head.
    fn nested(levels: usize) -> Vec<u8> {
        let mut raw = vec![2, 0, 0, 4, 0];
        for _ in 1..levels {
            let size = u16::try_from(raw.len() + 6).unwrap().to_le_bytes();
            raw = [&[2, 1, 0, size[0], size[1], raw[0], 7, 0], &raw[1..]].concat();
        }
        raw
    }

    #[test]
    fn nesting_ends_where_the_servers_does() {
        assert_eq!(text(&nested(3)), Ok("[[[]]]".into()));
        assert!(text(&nested(100)).is_ok());
        assert_eq!(text(&nested(101)), Err(malformed("depth of JSON")));
    }
}
