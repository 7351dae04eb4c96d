//! TABLE_MAP: what the columns of the following row events are.
//!
//! Format: "Table_map_event" in MySQL's source documentation; optional metadata since WL#4618 (`binlog_row_metadata`).
#![deny(clippy::indexing_slicing)]

use super::bytes::{DecodeError, Reader, bit};
use super::charset::Charset;

mod metadata;
mod types;

/// `MAX_FIELDS` of the server: no table has more columns.
const MAX_COLUMNS: usize = 4096;

/// One decoded TABLE_MAP event. Row events must be decoded with the table map of their own group: the next group may
/// have another one for the same table (ALTER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap {
    /// The number by which row events name this table; only valid until the end of the group.
    pub table_id: u64,
    /// The database.
    pub database: Box<str>,
    /// The table.
    pub table: Box<str>,
    /// All columns, invisible and generated ones too, in the table's order.
    pub columns: Vec<Column>,
}

/// One column of a [`TableMap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// None unless `binlog_row_metadata=FULL`.
    pub name: Option<Box<str>>,
    /// The storage form.
    pub kind: ColumnKind,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// False for `INVISIBLE` columns, if the log says so.
    pub visible: bool,
    pub(super) storage: Storage,
}

/// How many bytes a value takes in a row image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Always so many.
    Fixed(usize),
    /// As many as a little-endian prefix of so many bytes says.
    Prefixed(usize),
    /// We do not know: rows of this table cannot be decoded.
    Unknown(u8),
}

/// The storage form of a column, with what decoding a value needs.
///
/// `unsigned` is None if the log does not say (MariaDB with `NO_LOG`); values below the sign bit are still exact then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants and fields are those of MySQL's column types")]
pub enum ColumnKind {
    TinyInt {
        unsigned: Option<bool>,
    },
    SmallInt {
        unsigned: Option<bool>,
    },
    MediumInt {
        unsigned: Option<bool>,
    },
    Int {
        unsigned: Option<bool>,
    },
    BigInt {
        unsigned: Option<bool>,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Bit {
        bits: u8,
    },
    Year,
    Date,
    Time {
        fsp: u8,
    },
    DateTime {
        fsp: u8,
    },
    Timestamp {
        fsp: u8,
    },
    Char {
        max_bytes: u16,
        charset: Charset,
    },
    VarChar {
        max_bytes: u16,
        charset: Charset,
    },
    Binary {
        len: u16,
    },
    VarBinary {
        len: u16,
    },
    Text {
        length_bytes: u8,
        charset: Charset,
    },
    Blob {
        length_bytes: u8,
    },
    Enum {
        bytes: u8,
        labels: Labels,
    },
    Set {
        bytes: u8,
        labels: Labels,
    },
    Json {
        length_bytes: u8,
    },
    Geometry {
        length_bytes: u8,
    },
    Vector {
        length_bytes: u8,
    },
    /// MariaDB's; the log has it as BINARY(16), as it has INET6, and INET4 as BINARY(4).
    Uuid,
    Inet4,
    Inet6,
    /// A form that we cannot show; the type code of MySQL's `enum_field_types`.
    Unsupported(u8),
}

/// The labels of an ENUM or SET column, in its own character set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The character set of [`Labels::names`].
    pub charset: Charset,
    /// None unless `binlog_row_metadata=FULL`.
    pub names: Option<Box<[Box<[u8]>]>>,
}

impl Labels {
    const UNKNOWN: Self = Self { charset: Charset::Unknown, names: None };
}

/// Table id, database and table of a TABLE_MAP event, without decoding more: enough to drop foreign tables.
pub fn table_id_and_name(data: &[u8]) -> Result<(u64, &[u8], &[u8]), DecodeError> {
    head(&mut Reader::new(data))
}

fn head<'a>(r: &mut Reader<'a>) -> Result<(u64, &'a [u8], &'a [u8]), DecodeError> {
    let table_id = r.uint(6, "table id")?;
    r.take(2, "table map flags")?;
    let database = name(r, "database name")?;
    Ok((table_id, database, name(r, "table name")?))
}

/// A name with its length before it and a NUL after it.
fn name<'a>(r: &mut Reader<'a>, what: &'static str) -> Result<&'a [u8], DecodeError> {
    let name = r.packed_bytes(what)?;
    if r.u8(what)? == 0 { Ok(name) } else { Err(r.malformed(what)) }
}

fn text(bytes: &[u8], r: &Reader<'_>, what: &'static str) -> Result<Box<str>, DecodeError> {
    std::str::from_utf8(bytes).map(Box::from).map_err(|_| r.malformed(what))
}

impl TableMap {
    /// Decodes the body of a TABLE_MAP event of a MySQL: everything after the common header, without the checksum.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_of(data, metadata::is_character)
    }

    /// The same of a MariaDB.
    pub fn decode_of_mariadb(data: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_of(data, metadata::is_character_in_mariadb)
    }

    fn decode_of(data: &[u8], has_charset: fn(&ColumnKind) -> bool) -> Result<Self, DecodeError> {
        let mut r = Reader::new(data);
        let (table_id, database, table) = head(&mut r)?;
        let database = text(database, &r, "database name")?;
        let table = text(table, &r, "table name")?;

        let count = r.count("column count")?;
        if count > MAX_COLUMNS {
            return Err(r.malformed("column count"));
        }
        let types = r.take(count, "column types")?;
        let mut details = Reader::new(r.packed_bytes("column metadata")?);
        let nullable = r.take(count.div_ceil(8), "NULL bitmap")?;

        let mut columns = Vec::with_capacity(count);
        for (index, &code) in types.iter().enumerate() {
            let (kind, storage) = types::column_kind(code, &mut details)?;
            columns.push(Column { name: None, kind, nullable: bit(nullable, index), visible: true, storage });
        }
        details.end("column metadata")?;
        metadata::apply(&mut r, &mut columns, has_charset)?;
        Ok(Self { table_id, database, table, columns })
    }

    /// The position of the column of exactly this name. MySQL ignores case here, but Debezium does not, and a name in the
    /// wrong case is more likely a mistake than meant.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.as_deref() == Some(name))
    }

    /// Whether the log carries the names of the columns (`binlog_row_metadata=FULL`).
    pub fn has_names(&self) -> bool {
        self.columns.iter().all(|c| c.name.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 7 `d`.`t` with one column of the given type and metadata, then `optional`.
    fn map(code: u8, details: &[u8], optional: &[u8]) -> Vec<u8> {
        let head = [7, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 1, code];
        [&head, &[u8::try_from(details.len()).unwrap()][..], details, &[1], optional].concat()
    }

    fn kind(code: u8, details: &[u8]) -> Result<ColumnKind, DecodeError> {
        TableMap::decode(&map(code, details, &[])).map(|mut table| table.columns.remove(0).kind)
    }

    #[test]
    fn metadata_of_types() {
        assert_eq!(kind(246, &[10, 2]), Ok(ColumnKind::Decimal { precision: 10, scale: 2 }));
        assert_eq!(kind(254, &[247, 2]), Ok(ColumnKind::Enum { bytes: 2, labels: Labels::UNKNOWN }));
        // CHAR of 1020 bytes: the inverted length bits stand in the type.
        assert_eq!(kind(254, &[0xCE, 0xFC]), Ok(ColumnKind::Char { max_bytes: 1020, charset: Charset::Unknown }));
        assert_eq!(kind(12, &[]), Ok(ColumnKind::Unsupported(12)));
        assert_eq!(kind(200, &[]), Err(DecodeError::UnsupportedType(200)));
        for (code, details) in
            [(246, [66, 2]), (246, [2, 3]), (16, [0, 0]), (16, [1, 8]), (254, [1, 9]), (254, [248, 5])]
        {
            assert!(matches!(kind(code, &details), Err(DecodeError::Malformed { .. })), "{code} {details:?}");
        }
        assert!(kind(18, &[7]).is_err());
        assert!(kind(252, &[5]).is_err());
        assert!(kind(3, &[1]).is_err(), "metadata left over");
    }

    #[test]
    fn optional_metadata() {
        let decode = |optional: &[u8]| TableMap::decode(&map(3, &[], optional));
        // Unsigned, a field of the future, a name, invisible.
        let table = decode(&[1, 1, 0x80, 99, 2, 0, 0, 4, 2, 1, b'x', 12, 1, 0]).unwrap();
        assert_eq!(table.column_index("x"), Some(0));
        assert_eq!(table.column_index("X"), None);
        assert_eq!(table.columns[0].kind, ColumnKind::Int { unsigned: Some(true) });
        assert!(table.columns[0].nullable && !table.columns[0].visible && table.has_names());
        assert_eq!(table_id_and_name(&map(3, &[], &[])), Ok((7, &b"d"[..], &b"t"[..])));
        // A character set of a GEOMETRY: only a MariaDB counts it among the strings.
        let geometry = map(255, &[4], &[2, 3, 8, 0, 63]);
        assert!(TableMap::decode(&geometry).is_err());
        let decoded = TableMap::decode_of_mariadb(&geometry).unwrap();
        assert_eq!(decoded.columns[0].kind, ColumnKind::Geometry { length_bytes: 4 });
        for broken in [&[1, 0][..], &[4, 0], &[4, 4, 1, b'x', 1, b'y'], &[4, 2, 1, 0xFF], &[99, 5, 0], &[1]] {
            assert!(decode(broken).is_err(), "{broken:?}");
        }
    }
}
