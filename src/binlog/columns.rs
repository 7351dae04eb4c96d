//! The outbox tables' columns as `information_schema` describes them at this moment.
//!
//! Three uses: a configured column whose type cannot be shown is found at the start, not at its first row; with
//! `source.column_names = "information_schema"` the names come from here, if everything that the log says agrees; and from
//! here it is known which of a MariaDB's BINARY columns are UUID, INET4 and INET6, which its log does not say.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::table::{Column, ColumnKind, Labels, TableMap};
use super::{Charset, connect};
use crate::config::OutboxConfig;
use crate::error::Result;

mod declaration;

/// A column of a table as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Name.
    pub name: Box<str>,
    /// The declaration, as `information_schema.COLUMNS.COLUMN_TYPE` has it; for messages.
    pub declaration: Box<str>,
    /// What it is stored as; None for a type that this version does not know.
    pub kind: Option<ColumnKind>,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// The columns of each outbox table, in the order of the outboxes; empty for a table that does not exist or that the
/// account may not SELECT from.
pub type Descriptions = Vec<Vec<Described>>;

/// What the log leaves out and is taken from the present tables.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// The tables; the log's word counts where the two below do not say otherwise.
    pub tables: Descriptions,
    /// Names, for rows that were logged without.
    pub names: bool,
    /// UUID, INET4 and INET6 (MariaDB).
    pub types: bool,
}

impl Present {
    /// The columns of an outbox table, if names may come from there.
    pub fn naming(&self, outbox: usize) -> Option<&[Described]> {
        let table = self.tables.get(outbox).filter(|columns| self.names && !columns.is_empty());
        table.map(Vec::as_slice)
    }

    /// What a column of an outbox table is; None if it takes the present table to know, and that has no such column or
    /// cannot be seen. A table changed from BINARY(16) to UUID holds the same bytes, so at worst the form is the other one.
    pub fn kind_of(&self, outbox: usize, logged: &Column) -> Option<ColumnKind> {
        if !(self.types && matches!(logged.kind, ColumnKind::Binary { len: 4 | 16 })) {
            return Some(logged.kind.clone());
        }
        let named = |column: &&Described| Some(&column.name) == logged.name.as_ref();
        let described = self.tables.get(outbox)?.iter().find(named)?;
        let kind = described.kind.as_ref().filter(|kind| logged_as(kind) == Some(logged.kind.clone()));
        Some(kind.unwrap_or(&logged.kind).clone())
    }
}

/// How a MariaDB logs a type for which the log has no word of its own.
fn logged_as(kind: &ColumnKind) -> Option<ColumnKind> {
    match kind {
        ColumnKind::Uuid | ColumnKind::Inet6 => Some(ColumnKind::Binary { len: 16 }),
        ColumnKind::Inet4 => Some(ColumnKind::Binary { len: 4 }),
        _ => None,
    }
}

/// Name, declaration, nullability, character set, length in bytes.
type Row = (String, String, String, Option<String>, Option<u64>);

const COLUMNS: &str = "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, \
     CAST(CHARACTER_OCTET_LENGTH AS UNSIGNED) FROM information_schema.COLUMNS \
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";

/// Reads the columns of an outbox table.
///
/// # Errors
/// What the connection makes of a lost server.
pub async fn describe(conn: &mut Conn, outbox: &OutboxConfig) -> Result<Vec<Described>> {
    let table = (&outbox.database, &outbox.table);
    let rows: Vec<Row> =
        conn.exec(COLUMNS, table).await.map_err(|e| connect::classify(&e, "reading information_schema.COLUMNS"))?;
    Ok(rows.into_iter().map(described).collect())
}

fn described((name, declaration, nullable, charset, octets): Row) -> Described {
    let charset = charset.map_or(Charset::Unknown, |name| Charset::named(&name));
    Described {
        name: name.into(),
        kind: declaration::kind(&declaration, charset, octets),
        declaration: declaration.into(),
        nullable: nullable == "YES",
    }
}

/// The table map with the names, the labels and whatever else the log leaves out, taken from a description that agrees
/// with everything that the log does say: number, types and nullability of the columns.
///
/// # Errors
/// What differs.
pub fn name_columns(table: &TableMap, columns: &[Described]) -> std::result::Result<TableMap, String> {
    if table.columns.len() != columns.len() {
        return Err(format!("{} columns in the log, {} in the table", table.columns.len(), columns.len()));
    }
    let mut named = table.clone();
    for (nth, (column, described)) in named.columns.iter_mut().zip(columns).enumerate() {
        let place = || format!("column {} \"{}\" is {} in the table", nth + 1, described.name, described.declaration);
        let Some(kind) = described.kind.as_ref().filter(|kind| agree(&column.kind, kind)) else {
            return Err(format!("{}, {:?} in the log", place(), column.kind));
        };
        if column.nullable != described.nullable {
            let word = |nullable| if nullable { "NULL" } else { "NOT NULL" };
            return Err(format!("{} {}, {} in the log", place(), word(described.nullable), word(column.nullable)));
        }
        column.name = Some(described.name.clone());
        column.kind = kind.clone();
    }
    Ok(named)
}

/// Whether a column of the log can be one of the table; the log may leave out signs, character sets and labels.
fn agree(logged: &ColumnKind, described: &ColumnKind) -> bool {
    let described = &logged_as(described).unwrap_or_else(|| described.clone());
    use ColumnKind::{
        BigInt, Binary, Blob, Char, Enum, Int, MediumInt, Set, SmallInt, Text, TinyInt, VarBinary, VarChar,
    };
    match (logged, described) {
        (TinyInt { unsigned: None }, TinyInt { .. })
        | (SmallInt { unsigned: None }, SmallInt { .. })
        | (MediumInt { unsigned: None }, MediumInt { .. })
        | (Int { unsigned: None }, Int { .. })
        | (BigInt { unsigned: None }, BigInt { .. }) => true,
        (Char { max_bytes: a, charset: Charset::Unknown }, Char { max_bytes: b, .. } | Binary { len: b })
        | (VarChar { max_bytes: a, charset: Charset::Unknown }, VarChar { max_bytes: b, .. } | VarBinary { len: b }) => {
            a == b
        }
        (
            Text { length_bytes: a, charset: Charset::Unknown },
            Text { length_bytes: b, .. } | Blob { length_bytes: b },
        ) => a == b,
        (Enum { bytes: a, labels: logged }, Enum { bytes: b, labels: described })
        | (Set { bytes: a, labels: logged }, Set { bytes: b, labels: described }) => {
            a == b && labels_agree(logged, described)
        }
        _ => logged == described,
    }
}

/// The description's labels are in UTF-8, the log's in the column's character set.
fn labels_agree(logged: &Labels, described: &Labels) -> bool {
    let (Some(logged_names), Some(names)) = (&logged.names, &described.names) else { return logged.names.is_none() };
    let same = |logged_name: &[u8], name: &[u8]| {
        let mut text = Vec::new();
        logged.charset.write(logged_name, &mut text).is_ok() && text == name
    };
    logged_names.len() == names.len() && logged_names.iter().zip(names).all(|(logged, name)| same(logged, name))
}
