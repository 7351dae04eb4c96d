//! One stored column value to the bytes of a key, a header, a topic or a payload.
#![deny(clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bytes::{DecodeError, uint_le};
use super::debezium::{self, put};
use super::decimal::Decimal;
use super::jsonb;
use super::table::{ColumnKind, Labels};
use super::temporal::{self, DateTime, MICROS, Time};
use crate::binlog::charset::Charset;

use std::io::Write as _;

/// Whether [`write_value`] can show values of such a column, as far as the table map tells.
pub fn is_showable(kind: &ColumnKind) -> bool {
    let text = |charset: &Charset| !matches!(charset, Charset::Other(_) | Charset::Unknown);
    match kind {
        ColumnKind::Unsupported(_) => false,
        ColumnKind::Char { charset, .. } | ColumnKind::VarChar { charset, .. } | ColumnKind::Text { charset, .. } => {
            text(charset)
        }
        ColumnKind::Enum { labels, .. } | ColumnKind::Set { labels, .. } => {
            labels.names.is_some() && text(&labels.charset)
        }
        _ => true,
    }
}

/// Appends a value: text as UTF-8, binary as it is, everything else as text.
///
/// The texts are those of a Debezium outbox connector with default options: integers in decimal; FLOAT and DOUBLE as
/// Java prints them; DECIMAL as `BigDecimal` prints it; DATE as days, DATETIME(0–3) as milliseconds, DATETIME(4–6) and
/// TIME as microseconds, all since 1970 or midnight; TIMESTAMP as ISO 8601 in UTC; YEAR as a number (0000 as 1900);
/// BIT(1) as `true` or `false`, longer BIT as little-endian bytes; JSON as compact JSON text. Dates with a zero part
/// leave as the epoch; a caller that knows the column to be nullable asks [`is_zero_date`] first and writes NULL.
pub fn write_value(kind: &ColumnKind, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match *kind {
        ColumnKind::TinyInt { unsigned } => write_int(raw, 1, unsigned, out)?,
        ColumnKind::SmallInt { unsigned } => write_int(raw, 2, unsigned, out)?,
        ColumnKind::MediumInt { unsigned } => write_int(raw, 3, unsigned, out)?,
        ColumnKind::Int { unsigned } => write_int(raw, 4, unsigned, out)?,
        ColumnKind::BigInt { unsigned } => write_int(raw, 8, unsigned, out)?,
        ColumnKind::Float => {
            let value = f32::from_le_bytes(raw.try_into().map_err(|_| malformed("FLOAT value"))?);
            finite(value.is_finite(), "FLOAT value")?;
            debezium::write_float(value, out);
        }
        ColumnKind::Double => {
            let value = f64::from_le_bytes(raw.try_into().map_err(|_| malformed("DOUBLE value"))?);
            finite(value.is_finite(), "DOUBLE value")?;
            debezium::write_double(value, out);
        }
        ColumnKind::Decimal { precision, scale } => {
            debezium::write_decimal(&Decimal::decode(precision, scale, raw)?, out);
        }
        ColumnKind::Bit { bits: 1 } => {
            let set = unsigned(raw, 1, "BIT value")? & 1 == 1;
            out.extend_from_slice(if set { b"true" } else { b"false" });
        }
        ColumnKind::Bit { .. } => out.extend(raw.iter().rev()),
        ColumnKind::Year => put!(out, "{}", 1900 + unsigned(raw, 1, "YEAR value")?),
        ColumnKind::Date => debezium::write_date(&DateTime::of_date(raw)?, out)?,
        ColumnKind::Time { fsp } => debezium::write_time(&Time::of_time(fsp, raw)?, out),
        ColumnKind::DateTime { fsp } => debezium::write_datetime(fsp, &DateTime::of_datetime(fsp, raw)?, out)?,
        ColumnKind::Timestamp { fsp } => {
            let (seconds, micros) = temporal::timestamp(fsp, raw)?;
            debezium::write_timestamp(fsp, seconds, micros, out);
        }
        ColumnKind::Char { charset, .. } | ColumnKind::VarChar { charset, .. } | ColumnKind::Text { charset, .. } => {
            charset.write(raw, out)?;
        }
        ColumnKind::Binary { len } => {
            // The server trims trailing zero bytes in the log only: BINARY has a fixed length.
            let padding = usize::from(len).checked_sub(raw.len()).ok_or(malformed("BINARY value"))?;
            out.extend_from_slice(raw);
            out.resize(out.len() + padding, 0);
        }
        ColumnKind::VarBinary { .. }
        | ColumnKind::Blob { .. }
        | ColumnKind::Geometry { .. }
        | ColumnKind::Vector { .. } => out.extend_from_slice(raw),
        ColumnKind::Enum { bytes, ref labels } => write_enum(unsigned(raw, bytes.into(), "ENUM value")?, labels, out)?,
        ColumnKind::Set { bytes, ref labels } => write_set(unsigned(raw, bytes.into(), "SET value")?, labels, out)?,
        ColumnKind::Json { .. } => jsonb::write_json(raw, out)?,
        ColumnKind::Unsupported(code) => return Err(DecodeError::UnsupportedType(code)),
    }
    Ok(())
}

/// As [`write_value`], for a header: binary values leave as base64, as Connect's `SimpleHeaderConverter` writes them.
pub fn write_header_value(kind: &ColumnKind, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let start = out.len();
    write_value(kind, raw, out)?;
    let binary = match kind {
        ColumnKind::Bit { bits } => *bits > 1,
        ColumnKind::Binary { .. }
        | ColumnKind::VarBinary { .. }
        | ColumnKind::Blob { .. }
        | ColumnKind::Geometry { .. }
        | ColumnKind::Vector { .. } => true,
        _ => false,
    };
    if binary {
        let bytes = out.split_off(start);
        write_base64(&bytes, out);
    }
    Ok(())
}

/// Whether a DATE, DATETIME or TIMESTAMP is `0000-00-00` or has a zero year, month or day. Debezium treats it as NULL,
/// and as the epoch if the column is NOT NULL.
pub fn is_zero_date(kind: &ColumnKind, raw: &[u8]) -> Result<bool, DecodeError> {
    Ok(match *kind {
        ColumnKind::Date => DateTime::of_date(raw)?.has_zero(),
        ColumnKind::DateTime { fsp } => DateTime::of_datetime(fsp, raw)?.has_zero(),
        ColumnKind::Timestamp { fsp } => temporal::timestamp(fsp, raw)? == (0, 0),
        _ => false,
    })
}

/// The moment that a column used as record timestamp holds, in milliseconds since 1970 (micros are cut off towards
/// zero, as Debezium does): DATETIME taken as UTC, TIMESTAMP, or BIGINT as it is. None for dates with a zero part.
pub fn epoch_millis(kind: &ColumnKind, raw: &[u8]) -> Result<Option<i64>, DecodeError> {
    if is_zero_date(kind, raw)? {
        return Ok(None);
    }
    match *kind {
        ColumnKind::DateTime { fsp } => DateTime::of_datetime(fsp, raw)?.epoch_micros().map(|n| Some(n / 1000)),
        ColumnKind::Timestamp { fsp } => {
            temporal::timestamp(fsp, raw).map(|(seconds, micros)| Some((seconds * MICROS + micros) / 1000))
        }
        ColumnKind::BigInt { unsigned: signedness } => {
            let millis = unsigned(raw, 8, "integer value")?.cast_signed();
            match signedness {
                Some(true) if millis < 0 => Err(DecodeError::Range("a timestamp column")),
                None if millis < 0 => Err(DecodeError::Metadata("the signedness of a column")),
                _ => Ok(Some(millis)),
            }
        }
        _ => Err(DecodeError::Range("the type of a timestamp column")),
    }
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what, offset: 0 }
}

fn finite(is_finite: bool, what: &'static str) -> Result<(), DecodeError> {
    if is_finite { Ok(()) } else { Err(malformed(what)) }
}

fn unsigned(raw: &[u8], len: usize, what: &'static str) -> Result<u64, DecodeError> {
    if raw.len() == len { Ok(uint_le(raw)) } else { Err(malformed(what)) }
}

fn write_int(raw: &[u8], len: usize, signedness: Option<bool>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let number = unsigned(raw, len, "integer value")?;
    let spare = raw.len().checked_mul(8).and_then(|bits| 64usize.checked_sub(bits)).unwrap_or(0);
    let signed = (number << spare).cast_signed() >> spare;
    match signedness {
        Some(true) => put!(out, "{number}"),
        None if signed < 0 => return Err(DecodeError::Metadata("the signedness of a column")),
        _ => put!(out, "{signed}"),
    }
    Ok(())
}

fn names(labels: &Labels) -> Result<&[Box<[u8]>], DecodeError> {
    labels.names.as_deref().ok_or(DecodeError::Metadata("the labels of ENUM and SET columns"))
}

/// 0 is the empty text that MySQL stores for an invalid label outside strict mode.
fn write_enum(number: u64, labels: &Labels, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let names = names(labels)?;
    let Some(index) = number.checked_sub(1) else { return Ok(()) };
    let name = usize::try_from(index).ok().and_then(|i| names.get(i)).ok_or(malformed("ENUM value"))?;
    labels.charset.write(name, out)
}

fn write_set(number: u64, labels: &Labels, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let names = names(labels)?;
    let known = u32::try_from(names.len()).ok().and_then(|n| 1u64.checked_shl(n)).map_or(u64::MAX, |n| n - 1);
    if number & !known != 0 {
        return Err(malformed("SET value"));
    }
    let mut first = true;
    for (_, name) in names.iter().enumerate().filter(|(i, _)| number >> i & 1 == 1) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        labels.charset.write(name, out)?;
    }
    Ok(())
}

/// Appends base64 with padding, without a copy in between.
pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    // Three bytes that divide evenly need no padding: whole chunks can be encoded one after another.
    for chunk in bytes.chunks(48) {
        let mut text = [0; 64];
        let n = STANDARD.encode_slice(chunk, &mut text).unwrap_or(0);
        out.extend_from_slice(text.get(..n).unwrap_or(&[]));
    }
}
