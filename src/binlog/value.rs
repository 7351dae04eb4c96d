//! One stored column value to the bytes of a key, a header, a topic or a payload.
#![deny(clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Charset;
use super::bytes::{DecodeError, uint_le};
use super::debezium::{self, put};
use super::decimal::Decimal;
use super::jsonb;
use super::mariadb_types;
use super::table::{ColumnKind, Labels};
use super::temporal::{self, DateTime, MICROS, Time};

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
/// `docs/values.md` has the whole table.
///
/// On an error `out` is left as it was.
pub fn write_value(kind: &ColumnKind, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let start = out.len();
    let written = write(kind, raw, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write(kind: &ColumnKind, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
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
        ColumnKind::Uuid => mariadb_types::write_uuid(raw, out)?,
        ColumnKind::Inet4 => mariadb_types::write_inet4(raw, out)?,
        ColumnKind::Inet6 => mariadb_types::write_inet6(raw, out)?,
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
        // The text goes behind the bytes, which are then closed up: no other buffer is needed.
        let end = out.len();
        for from in (start..end).step_by(48) {
            let mut chunk = [0; 48];
            let bytes = out.get(from..end.min(from + 48)).unwrap_or(&[]);
            let chunk = chunk.get_mut(..bytes.len()).unwrap_or(&mut []);
            chunk.copy_from_slice(bytes);
            write_base64(chunk, out);
        }
        out.drain(start..end);
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

/// Whether [`is_zero_date`] can hold for values of such a column.
pub fn may_be_zero_date(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::Date | ColumnKind::DateTime { .. } | ColumnKind::Timestamp { .. })
}

/// Whether a column can be a record's timestamp.
pub fn is_moment(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::DateTime { .. } | ColumnKind::Timestamp { .. } | ColumnKind::BigInt { .. })
}

/// The moment that a column used as record timestamp holds, in milliseconds since 1970 (micros are cut off towards
/// zero, as Debezium does): DATETIME taken as UTC, TIMESTAMP, or BIGINT as it is. A date with a zero part is the epoch;
/// see [`write_value`].
pub fn epoch_millis(kind: &ColumnKind, raw: &[u8]) -> Result<i64, DecodeError> {
    if is_zero_date(kind, raw)? {
        return Ok(0);
    }
    match *kind {
        ColumnKind::DateTime { fsp } => DateTime::of_datetime(fsp, raw)?.epoch_micros().map(|n| n / 1000),
        ColumnKind::Timestamp { fsp } => {
            temporal::timestamp(fsp, raw).map(|(seconds, micros)| (seconds * MICROS + micros) / 1000)
        }
        ColumnKind::BigInt { unsigned: signedness } => {
            let millis = unsigned(raw, 8, "integer value")?.cast_signed();
            match signedness {
                Some(true) if millis < 0 => Err(DecodeError::Range("a timestamp column")),
                None if millis < 0 => Err(DecodeError::Metadata("the signedness of a column")),
                _ => Ok(millis),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: &ColumnKind, raw: &[u8]) -> Result<String, DecodeError> {
        let mut out = Vec::new();
        let written = write_value(kind, raw, &mut out);
        assert!(written.is_ok() || out.is_empty());
        written.map(|()| String::from_utf8(out).unwrap())
    }

    fn set(bytes: u8, names: &[&str], charset: Charset) -> ColumnKind {
        let names = names.iter().map(|name| Box::from(name.as_bytes())).collect();
        ColumnKind::Set { bytes, labels: Labels { charset, names: Some(names) } }
    }

    #[test]
    fn integers_of_unknown_sign_are_exact_or_refused() {
        let kind = ColumnKind::SmallInt { unsigned: None };
        assert_eq!(shown(&kind, &[0xFF, 0x7F]), Ok("32767".into()));
        assert_eq!(shown(&kind, &[0, 0x80]), Err(DecodeError::Metadata("the signedness of a column")));
        assert!(shown(&kind, &[1]).is_err());
    }

    #[test]
    fn labels_out_of_reach_are_errors() {
        assert_eq!(shown(&set(1, &["a", "b"], Charset::Utf8), &[3]), Ok("a,b".into()));
        assert_eq!(shown(&set(1, &["a", "b"], Charset::Utf8), &[4]), Err(malformed("SET value")));
        assert_eq!(shown(&set(1, &["a", "b"], Charset::Other(51)), &[3]), Err(DecodeError::Charset(51)));
    }

    #[test]
    fn days_outside_the_calendar_are_refused_and_zero_days_are_the_epoch() {
        let date = |year: u32, month: u32, day: u32| (year << 9 | month << 5 | day).to_le_bytes();
        let day = |raw: [u8; 4]| shown(&ColumnKind::Date, &raw[..3]);
        assert_eq!(day(date(2024, 2, 29)), Ok("19782".into()));
        assert!(matches!(day(date(2023, 2, 29)), Err(DecodeError::Range(_))));
        assert_eq!(day(date(2023, 0, 29)), Ok("0".into()));
        assert_eq!(is_zero_date(&ColumnKind::Date, &date(2023, 0, 29)[..3]), Ok(true));
    }

    #[test]
    fn timestamp_columns() {
        let fsp6 = ColumnKind::Timestamp { fsp: 6 };
        assert_eq!(epoch_millis(&fsp6, &[0, 0, 0, 1, 0x01, 0xE2, 0x40]), Ok(1123));
        assert_eq!(epoch_millis(&fsp6, &[0; 7]), Ok(0));
        assert_eq!(epoch_millis(&ColumnKind::BigInt { unsigned: Some(false) }, &[0xFF; 8]), Ok(-1));
        assert!(epoch_millis(&ColumnKind::BigInt { unsigned: Some(true) }, &[0xFF; 8]).is_err());
        assert!(epoch_millis(&ColumnKind::Year, &[1]).is_err());
    }

    #[test]
    fn headers_hold_binaries_as_base64() {
        let mut out = b"id=".to_vec();
        write_header_value(&ColumnKind::Binary { len: 4 }, &[0xDE, 0xAD], &mut out).unwrap();
        assert_eq!(out, b"id=3q0AAA==");
    }
}
