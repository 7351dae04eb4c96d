//! WRITE_ROWS: the inserted rows, as slices of the event.
//!
//! Format: "Rows_event" in MySQL's source documentation. Version 2 differs from 1 by extra data (NDB, partition ids)
//! between header and columns, which is skipped by its length.
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::bytes::{DecodeError, Reader, bit, uint_le};
use super::table::{Storage, TableMap};

/// Which row event: WRITE_ROWS_EVENT_V1 (type 23) or WRITE_ROWS_EVENT (type 30).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsVersion {
    /// MySQL before 5.6 and MariaDB.
    V1,
    /// MySQL since 5.6.
    V2,
}

/// One column of one row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Not in the row image (`binlog_row_image` is not FULL): the value is unknown, which is not NULL.
    Absent,
    /// SQL NULL.
    Null,
    /// The stored bytes without their length prefix; for `value::write_value`.
    Value(&'a [u8]),
}

/// Shows the length only: a row's value must not get into a log.
impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Null => f.write_str("Null"),
            Self::Value(raw) => write!(f, "Value({} bytes)", raw.len()),
        }
    }
}

/// Which columns of a row are wanted, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// By column, so that one pass over a row finds them all.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    column: usize,
    cell: usize,
}

impl Projection {
    /// `columns[i]` is the position in the table of what becomes cell `i`; any order, repeats allowed.
    pub fn new(columns: &[usize]) -> Self {
        let mut slots: Vec<_> = columns.iter().enumerate().map(|(cell, &column)| Slot { column, cell }).collect();
        slots.sort_unstable();
        Self { slots }
    }
}

/// The rows of one WRITE_ROWS event. Nothing is copied: cells borrow from the event.
#[derive(Clone)]
pub struct WriteRows<'a> {
    table: &'a TableMap,
    present: &'a [u8],
    null_bytes: usize,
    rows: Reader<'a>,
    /// An image without any column has no bytes, but it is a row.
    bare_row: bool,
}

impl<'a> WriteRows<'a> {
    /// The table id of any row event, of either version.
    pub fn table_id(data: &[u8]) -> Result<u64, DecodeError> {
        Reader::new(data).uint(6, "table id")
    }

    /// Reads the head of the event: everything after the common header, without the checksum.
    ///
    /// `table` must be the table map of the same group; another number of columns is an error (a column was added or
    /// dropped in between).
    pub fn decode(data: &'a [u8], version: RowsVersion, table: &'a TableMap) -> Result<Self, DecodeError> {
        let mut r = Reader::new(data);
        if r.uint(6, "table id")? != table.table_id {
            return Err(r.malformed("table id"));
        }
        r.take(2, "rows flags")?;
        if version == RowsVersion::V2 {
            // The length counts its own two bytes.
            let len = usize::try_from(r.uint(2, "extra row data")?).ok().and_then(|n| n.checked_sub(2));
            let len = len.ok_or_else(|| r.malformed("extra row data"))?;
            r.take(len, "extra row data")?;
        }
        let columns = table.columns.len();
        if usize::try_from(r.packed("column count")?) != Ok(columns) {
            return Err(r.malformed("column count"));
        }
        let present = r.take(columns.div_ceil(8), "columns present")?;
        let count = (0..columns).filter(|&i| bit(present, i)).count();
        if count == 0 {
            r.end("row without columns")?;
        }
        Ok(Self { table, present, null_bytes: count.div_ceil(8), rows: r, bare_row: count == 0 })
    }

    /// Puts the next row's wanted columns into `cells`; false at the clean end. After an error the same error comes
    /// again: an event is never cut short quietly.
    pub fn next_row(&mut self, wanted: &Projection, cells: &mut Vec<Cell<'a>>) -> Result<bool, DecodeError> {
        cells.clear();
        if self.rows.is_empty() && !self.bare_row {
            return Ok(false);
        }
        cells.resize(wanted.slots.len(), Cell::Absent);
        let mut r = self.rows;
        let nulls = r.take(self.null_bytes, "NULL bitmap of a row")?;
        let mut slots = wanted.slots.iter();
        let mut next = slots.next();
        let mut nth = 0;
        for (index, column) in self.table.columns.iter().enumerate() {
            let cell = if !bit(self.present, index) {
                Cell::Absent
            } else {
                nth += 1;
                if bit(nulls, nth - 1) { Cell::Null } else { Cell::Value(stored(&mut r, column.storage)?) }
            };
            while let Some(slot) = next.filter(|slot| slot.column == index) {
                if let Some(place) = cells.get_mut(slot.cell) {
                    *place = cell;
                }
                next = slots.next();
            }
        }
        self.rows = r;
        self.bare_row = false;
        Ok(true)
    }

    /// How many rows are left. Steps over their bytes, so it also tells whether the whole event can be decoded.
    pub fn count_rows(&self) -> Result<usize, DecodeError> {
        let (mut rest, nothing, mut cells, mut count) = (self.clone(), Projection::new(&[]), Vec::new(), 0);
        while rest.next_row(&nothing, &mut cells)? {
            count += 1;
        }
        Ok(count)
    }
}

#[inline]
fn stored<'a>(r: &mut Reader<'a>, storage: Storage) -> Result<&'a [u8], DecodeError> {
    const WHAT: &str = "column value";
    match storage {
        Storage::Fixed(len) => r.take(len, WHAT),
        Storage::Prefixed(n) => {
            let len = r.take(n, WHAT).map(uint_le)?;
            r.take(usize::try_from(len).unwrap_or(usize::MAX), WHAT)
        }
        Storage::Unknown(code) => Err(DecodeError::UnsupportedType(code)),
    }
}
