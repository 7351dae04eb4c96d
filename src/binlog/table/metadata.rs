//! The optional metadata of a TABLE_MAP event ("Table_map_event::Optional_metadata_field_type").
#![deny(clippy::indexing_slicing)]

use super::{Column, ColumnKind, Labels, text};
use crate::binlog::bytes::{DecodeError, Reader, bit_from_top};
use crate::binlog::charset::Charset;

const SIGNEDNESS: u8 = 1;
const DEFAULT_CHARSET: u8 = 2;
const COLUMN_CHARSET: u8 = 3;
const COLUMN_NAME: u8 = 4;
const SET_STR_VALUE: u8 = 5;
const ENUM_STR_VALUE: u8 = 6;
const ENUM_AND_SET_DEFAULT_CHARSET: u8 = 10;
const ENUM_AND_SET_COLUMN_CHARSET: u8 = 11;
const COLUMN_VISIBILITY: u8 = 12;

/// Reads fields (type, packed length, value) to the end of the event. GEOMETRY_TYPE (7), the two primary key forms (8
/// and 9), VECTOR_DIMENSIONALITY (13) and whatever later servers add say nothing that decoding needs: passed by length.
///
/// `has_charset`: which columns the server counts as strings.
pub(super) fn apply(
    r: &mut Reader<'_>,
    columns: &mut [Column],
    has_charset: fn(&ColumnKind) -> bool,
) -> Result<(), DecodeError> {
    while !r.is_empty() {
        let kind = r.u8("optional metadata")?;
        let field = &mut Reader::new(r.packed_bytes("optional metadata")?);
        match kind {
            SIGNEDNESS => signedness(field, columns)?,
            DEFAULT_CHARSET => default_charset(field, columns, has_charset)?,
            COLUMN_CHARSET => column_charset(field, columns, has_charset)?,
            ENUM_AND_SET_DEFAULT_CHARSET => default_charset(field, columns, is_enum_or_set)?,
            ENUM_AND_SET_COLUMN_CHARSET => column_charset(field, columns, is_enum_or_set)?,
            COLUMN_NAME => names(field, columns)?,
            SET_STR_VALUE => {
                labels(field, columns, |k| if let ColumnKind::Set { labels, .. } = k { Some(labels) } else { None })?
            }
            ENUM_STR_VALUE => {
                labels(field, columns, |k| if let ColumnKind::Enum { labels, .. } = k { Some(labels) } else { None })?
            }
            COLUMN_VISIBILITY => {
                for (index, column) in columns.iter_mut().enumerate() {
                    column.visible = bit_from_top(field.rest(), index).ok_or(field.truncated("column visibility"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A bit for each numeric column, set if it is unsigned. The server counts YEAR, FLOAT, DOUBLE and DECIMAL in.
fn signedness(field: &Reader<'_>, columns: &mut [Column]) -> Result<(), DecodeError> {
    let mut index = 0;
    for column in columns {
        let unsigned = match &mut column.kind {
            ColumnKind::TinyInt { unsigned }
            | ColumnKind::SmallInt { unsigned }
            | ColumnKind::MediumInt { unsigned }
            | ColumnKind::Int { unsigned }
            | ColumnKind::BigInt { unsigned } => Some(unsigned),
            ColumnKind::Float | ColumnKind::Double | ColumnKind::Decimal { .. } | ColumnKind::Year => None,
            ColumnKind::Unsupported(0) => None,
            _ => continue,
        };
        let bit = bit_from_top(field.rest(), index).ok_or(field.truncated("signedness"))?;
        if let Some(unsigned) = unsigned {
            *unsigned = Some(bit);
        }
        index += 1;
    }
    Ok(())
}

/// VECTOR counts as a string here: MySQL 9.7 writes a collation (`binary`) for it, GEOMETRY and JSON have none.
pub(super) fn is_character(kind: &ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Char { .. }
            | ColumnKind::VarChar { .. }
            | ColumnKind::Text { .. }
            | ColumnKind::Binary { .. }
            | ColumnKind::VarBinary { .. }
            | ColumnKind::Blob { .. }
            | ColumnKind::Vector { .. }
    )
}

/// MariaDB writes a collation for GEOMETRY, and for its compressed strings (140 and 141).
pub(super) fn is_character_in_mariadb(kind: &ColumnKind) -> bool {
    is_character(kind) || matches!(kind, ColumnKind::Geometry { .. } | ColumnKind::Unsupported(140 | 141))
}

fn is_enum_or_set(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::Enum { .. } | ColumnKind::Set { .. })
}

/// The most frequent collation, then pairs of position (among the columns that `belongs` picks) and collation.
fn default_charset(
    field: &mut Reader<'_>,
    columns: &mut [Column],
    belongs: fn(&ColumnKind) -> bool,
) -> Result<(), DecodeError> {
    const WHAT: &str = "default character set";
    let default = Charset::of_collation(field.packed(WHAT)?);
    let mut chosen: Vec<_> = columns.iter_mut().map(|c| &mut c.kind).filter(|k| belongs(k)).collect();
    chosen.iter_mut().for_each(|kind| set_charset(kind, default));
    while !field.is_empty() {
        let position = field.packed(WHAT)?;
        let charset = Charset::of_collation(field.packed(WHAT)?);
        let kind = usize::try_from(position).ok().and_then(|i| chosen.get_mut(i));
        set_charset(kind.ok_or_else(|| field.malformed(WHAT))?, charset);
    }
    Ok(())
}

/// A collation for each of the columns that `belongs` picks.
fn column_charset(
    field: &mut Reader<'_>,
    columns: &mut [Column],
    belongs: fn(&ColumnKind) -> bool,
) -> Result<(), DecodeError> {
    const WHAT: &str = "column character set";
    for column in columns.iter_mut().filter(|c| belongs(&c.kind)) {
        set_charset(&mut column.kind, Charset::of_collation(field.packed(WHAT)?));
    }
    field.end(WHAT)
}

/// Strings and binaries share type codes: the collation `binary` is what tells them apart.
fn set_charset(kind: &mut ColumnKind, to: Charset) {
    let binary = to == Charset::Binary;
    *kind = match *kind {
        ColumnKind::Char { max_bytes: len, .. } | ColumnKind::Binary { len } if binary => ColumnKind::Binary { len },
        ColumnKind::Char { max_bytes, .. } | ColumnKind::Binary { len: max_bytes } => {
            ColumnKind::Char { max_bytes, charset: to }
        }
        ColumnKind::VarChar { max_bytes: len, .. } | ColumnKind::VarBinary { len } if binary => {
            ColumnKind::VarBinary { len }
        }
        ColumnKind::VarChar { max_bytes, .. } | ColumnKind::VarBinary { len: max_bytes } => {
            ColumnKind::VarChar { max_bytes, charset: to }
        }
        ColumnKind::Text { length_bytes, .. } | ColumnKind::Blob { length_bytes } if binary => {
            ColumnKind::Blob { length_bytes }
        }
        ColumnKind::Text { length_bytes, .. } | ColumnKind::Blob { length_bytes } => {
            ColumnKind::Text { length_bytes, charset: to }
        }
        ColumnKind::Enum { ref mut labels, .. } | ColumnKind::Set { ref mut labels, .. } => {
            labels.charset = to;
            return;
        }
        _ => return,
    };
}

fn names(field: &mut Reader<'_>, columns: &mut [Column]) -> Result<(), DecodeError> {
    for column in columns {
        let name = field.packed_bytes("column name")?;
        column.name = Some(text(name, field, "column name")?);
    }
    field.end("column name")
}

/// For each ENUM (or each SET) column: how many labels, then the labels.
fn labels(
    field: &mut Reader<'_>,
    columns: &mut [Column],
    of: fn(&mut ColumnKind) -> Option<&mut Labels>,
) -> Result<(), DecodeError> {
    const WHAT: &str = "ENUM or SET labels";
    for labels in columns.iter_mut().filter_map(|c| of(&mut c.kind)) {
        let count = field.count(WHAT)?;
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            names.push(Box::from(field.packed_bytes(WHAT)?));
        }
        labels.names = Some(names.into_boxed_slice());
    }
    field.end(WHAT)
}
