//! Type code and type metadata to [`ColumnKind`] and length of the stored value.
#![deny(clippy::indexing_slicing)]

use super::{ColumnKind, Labels, Storage};
use crate::binlog::bytes::{DecodeError, Reader};
use crate::binlog::charset::Charset;
use crate::binlog::decimal;

/// Type codes of `enum_field_types` (`field_types.h`).
mod code {
    pub(super) const DECIMAL: u8 = 0;
    pub(super) const TINY: u8 = 1;
    pub(super) const SHORT: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const NULL: u8 = 6;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const LONGLONG: u8 = 8;
    pub(super) const INT24: u8 = 9;
    pub(super) const DATE: u8 = 10;
    pub(super) const TIME: u8 = 11;
    pub(super) const DATETIME: u8 = 12;
    pub(super) const YEAR: u8 = 13;
    pub(super) const VARCHAR: u8 = 15;
    pub(super) const BIT: u8 = 16;
    pub(super) const TIMESTAMP2: u8 = 17;
    pub(super) const DATETIME2: u8 = 18;
    pub(super) const TIME2: u8 = 19;
    /// MariaDB's columns with the attribute COMPRESSED.
    pub(super) const BLOB_COMPRESSED: u8 = 140;
    pub(super) const VARCHAR_COMPRESSED: u8 = 141;
    pub(super) const VECTOR: u8 = 242;
    pub(super) const TYPED_ARRAY: u8 = 244;
    pub(super) const JSON: u8 = 245;
    pub(super) const NEWDECIMAL: u8 = 246;
    pub(super) const ENUM: u8 = 247;
    pub(super) const SET: u8 = 248;
    pub(super) const TINY_BLOB: u8 = 249;
    pub(super) const BLOB: u8 = 252;
    pub(super) const VAR_STRING: u8 = 253;
    pub(super) const STRING: u8 = 254;
    pub(super) const GEOMETRY: u8 = 255;
}

/// Reads the type metadata of one column. A code that we do not know is an error: its metadata has an unknown length,
/// so nothing after it could be told apart.
pub(super) fn column_kind(code: u8, r: &mut Reader<'_>) -> Result<(ColumnKind, Storage), DecodeError> {
    const WHAT: &str = "column metadata";
    let fixed = |kind, n| Ok((kind, Storage::Fixed(n)));
    match code {
        code::TINY => fixed(ColumnKind::TinyInt { unsigned: None }, 1),
        code::SHORT => fixed(ColumnKind::SmallInt { unsigned: None }, 2),
        code::INT24 => fixed(ColumnKind::MediumInt { unsigned: None }, 3),
        code::LONG => fixed(ColumnKind::Int { unsigned: None }, 4),
        code::LONGLONG => fixed(ColumnKind::BigInt { unsigned: None }, 8),
        code::FLOAT => r.u8(WHAT).and_then(|_| fixed(ColumnKind::Float, 4)),
        code::DOUBLE => r.u8(WHAT).and_then(|_| fixed(ColumnKind::Double, 8)),
        code::NEWDECIMAL => {
            let (precision, scale) = (r.u8(WHAT)?, r.u8(WHAT)?);
            let size = decimal::storage_len(precision, scale).ok_or_else(|| r.malformed("DECIMAL metadata"))?;
            fixed(ColumnKind::Decimal { precision, scale }, size)
        }
        code::BIT => {
            let (rest, whole) = (r.u8(WHAT)?, r.u8(WHAT)?);
            let bits = whole.checked_mul(8).and_then(|n| n.checked_add(rest)).filter(|n| (1..=64).contains(n));
            let bits = bits.ok_or_else(|| r.malformed("BIT metadata"))?;
            fixed(ColumnKind::Bit { bits }, usize::from(bits.div_ceil(8)))
        }
        code::YEAR => fixed(ColumnKind::Year, 1),
        code::DATE => fixed(ColumnKind::Date, 3),
        code::TIME2 => fsp(r).and_then(|(fsp, n)| fixed(ColumnKind::Time { fsp }, 3 + n)),
        code::DATETIME2 => fsp(r).and_then(|(fsp, n)| fixed(ColumnKind::DateTime { fsp }, 5 + n)),
        code::TIMESTAMP2 => fsp(r).and_then(|(fsp, n)| fixed(ColumnKind::Timestamp { fsp }, 4 + n)),
        code::VARCHAR | code::VAR_STRING => {
            let (low, high) = (r.u8(WHAT)?, r.u8(WHAT)?);
            let max_bytes = u16::from_le_bytes([low, high]);
            Ok((ColumnKind::VarChar { max_bytes, charset: Charset::Unknown }, string_prefix(max_bytes)))
        }
        code::STRING => string(r),
        code::ENUM | code::SET => {
            let (code, bytes) = (r.u8(WHAT)?, r.u8(WHAT)?);
            enum_or_set(code, bytes).ok_or_else(|| r.malformed("ENUM or SET metadata"))
        }
        code::TINY_BLOB..=code::BLOB => {
            prefixed(r, |length_bytes| ColumnKind::Text { length_bytes, charset: Charset::Unknown })
        }
        code::JSON => prefixed(r, |length_bytes| ColumnKind::Json { length_bytes }),
        code::GEOMETRY => prefixed(r, |length_bytes| ColumnKind::Geometry { length_bytes }),
        code::VECTOR => prefixed(r, |length_bytes| ColumnKind::Vector { length_bytes }),
        code::BLOB_COMPRESSED => prefixed(r, |_| ColumnKind::Unsupported(code::BLOB_COMPRESSED)),
        code::VARCHAR_COMPRESSED => {
            let (low, high) = (r.u8(WHAT)?, r.u8(WHAT)?);
            Ok((ColumnKind::Unsupported(code), string_prefix(u16::from_le_bytes([low, high]))))
        }
        // The forms before MySQL 5.6.4 (MariaDB can still write them): we can step over them.
        code::TIMESTAMP => fixed(ColumnKind::Unsupported(code), 4),
        code::TIME => fixed(ColumnKind::Unsupported(code), 3),
        code::DATETIME => fixed(ColumnKind::Unsupported(code), 8),
        code::NULL => fixed(ColumnKind::Unsupported(code), 0),
        code::DECIMAL => Ok((ColumnKind::Unsupported(code), Storage::Unknown(code))),
        code::TYPED_ARRAY => {
            // The element's type and its metadata follow. The server leaves the hidden columns of multi-valued
            // indexes out of the log, so this is not expected in one.
            let element = r.u8(WHAT)?;
            if element == code::TYPED_ARRAY {
                return Err(r.malformed("array metadata"));
            }
            column_kind(element, r)?;
            Ok((ColumnKind::Unsupported(code), Storage::Unknown(code)))
        }
        unknown => Err(DecodeError::UnsupportedType(unknown)),
    }
}

/// Digits after the decimal point of the second, and the bytes that they take.
fn fsp(r: &mut Reader<'_>) -> Result<(u8, usize), DecodeError> {
    let fsp = r.u8("fractional seconds")?;
    if fsp <= 6 { Ok((fsp, usize::from(fsp.div_ceil(2)))) } else { Err(r.malformed("fractional seconds")) }
}

fn prefixed(r: &mut Reader<'_>, kind: fn(u8) -> ColumnKind) -> Result<(ColumnKind, Storage), DecodeError> {
    let n = r.u8("length of a length")?;
    if (1..=4).contains(&n) {
        Ok((kind(n), Storage::Prefixed(usize::from(n))))
    } else {
        Err(r.malformed("length of a length"))
    }
}

fn string_prefix(max_bytes: u16) -> Storage {
    Storage::Prefixed(if max_bytes > 255 { 2 } else { 1 })
}

/// MYSQL_TYPE_STRING stands for CHAR, ENUM and SET: the first byte of its metadata is the real type. As CHAR grew over
/// 255 bytes, bits 8 and 9 of the length were put, inverted, into two bits of the type that are always set.
fn string(r: &mut Reader<'_>) -> Result<(ColumnKind, Storage), DecodeError> {
    let (first, second) = (r.u8("string metadata")?, r.u8("string metadata")?);
    if first == code::ENUM || first == code::SET {
        return enum_or_set(first, second).ok_or_else(|| r.malformed("ENUM or SET metadata"));
    }
    if first | 0x30 != code::STRING {
        return Err(r.malformed("string metadata"));
    }
    let max_bytes = u16::from(second) | u16::from(first & 0x30 ^ 0x30) << 4;
    Ok((ColumnKind::Char { max_bytes, charset: Charset::Unknown }, string_prefix(max_bytes)))
}

fn enum_or_set(code: u8, bytes: u8) -> Option<(ColumnKind, Storage)> {
    let labels = Labels::UNKNOWN;
    let kind = match (code, bytes) {
        (code::ENUM, 1 | 2) => ColumnKind::Enum { bytes, labels },
        (code::SET, 1..=4 | 8) => ColumnKind::Set { bytes, labels },
        _ => return None,
    };
    Some((kind, Storage::Fixed(usize::from(bytes))))
}
