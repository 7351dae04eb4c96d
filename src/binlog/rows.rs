//! WRITE_ROWS and UPDATE_ROWS: the rows as they are afterwards, as slices of the event.
//!
//! Format: "Rows_event" in MySQL's source documentation. Version 2 differs from 1 by extra data (NDB, partition ids)
//! between header and columns, which is skipped by its length. An update holds two images of each row. PARTIAL_UPDATE_ROWS may
//! hold changes of a JSON value instead of the value; no changes mean the value before (WL#2955).
#![deny(clippy::indexing_slicing)]

use std::fmt;

use super::bytes::{DecodeError, Reader, bit, uint_le};
use super::table::{ColumnKind, Storage, TableMap};

/// Which row event: WRITE_ROWS_EVENT_V1 (type 23) or WRITE_ROWS_EVENT (type 30).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsVersion {
    /// MySQL before 5.6 and MariaDB.
    V1,
    /// MySQL since 5.6.
    V2,
}

/// What a row event holds of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// The inserted row.
    Inserted,
    /// The row before and after an update.
    Updated,
    /// The same, with JSON values that may be partial.
    PartiallyUpdated,
}

/// One column of one row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Not in the row image, or only in part (`binlog_row_image`, `binlog_row_value_options`): the value is unknown, which
    /// is not NULL.
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

/// The rows of one row event. Nothing is copied: cells borrow from the event.
#[derive(Clone)]
pub struct WriteRows<'a> {
    table: &'a TableMap,
    images: Images,
    /// Columns of the image before an update.
    before: Present<'a>,
    present: Present<'a>,
    rows: Reader<'a>,
    /// An image without any column has no bytes, but it is a row.
    bare_row: bool,
}

/// Which columns an image has.
#[derive(Clone, Copy)]
struct Present<'a> {
    bitmap: &'a [u8],
    null_bytes: usize,
}

impl<'a> Present<'a> {
    fn read(r: &mut Reader<'a>, columns: usize) -> Result<Self, DecodeError> {
        let bitmap = r.take(columns.div_ceil(8), "columns present")?;
        Ok(Self { bitmap, null_bytes: (0..columns).filter(|&i| bit(bitmap, i)).count().div_ceil(8) })
    }

    fn is_empty(self) -> bool {
        self.null_bytes == 0
    }
}

impl<'a> WriteRows<'a> {
    /// The table id of any row event, of either version.
    pub fn table_id(data: &[u8]) -> Result<u64, DecodeError> {
        Reader::new(data).uint(6, "table id")
    }

    /// [`WriteRows::decode_images`] of inserted rows.
    pub fn decode(data: &'a [u8], version: RowsVersion, table: &'a TableMap) -> Result<Self, DecodeError> {
        Self::decode_images(data, version, Images::Inserted, table)
    }

    /// Reads the head of the event: everything after the common header, without the checksum.
    ///
    /// `table` must be the table map of the same group; another number of columns is an error (a column was added or
    /// dropped in between).
    pub fn decode_images(
        data: &'a [u8],
        version: RowsVersion,
        images: Images,
        table: &'a TableMap,
    ) -> Result<Self, DecodeError> {
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
        let before = Present::read(&mut r, columns)?;
        let present = if images == Images::Inserted { before } else { Present::read(&mut r, columns)? };
        // An update without columns cannot be told from no update: the server does not write one.
        let bare_row = images == Images::Inserted && present.is_empty();
        if present.is_empty() {
            r.end("row without columns")?;
        }
        Ok(Self { table, images, before, present, rows: r, bare_row })
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
        let mut partial = Partial::default();
        if self.images != Images::Inserted {
            self.image(&mut r, self.before, partial, wanted, cells)?;
        }
        if self.images == Images::PartiallyUpdated {
            partial = Partial::read(&mut r, self.table)?;
        }
        self.image(&mut r, self.present, partial, wanted, cells)?;
        self.rows = r;
        self.bare_row = false;
        Ok(true)
    }

    /// Reads one image of a row.
    #[inline]
    fn image(
        &self,
        r: &mut Reader<'a>,
        present: Present<'a>,
        mut partial: Partial<'a>,
        wanted: &Projection,
        cells: &mut [Cell<'a>],
    ) -> Result<(), DecodeError> {
        let nulls = r.take(present.null_bytes, "NULL bitmap of a row")?;
        let mut slots = wanted.slots.iter();
        let mut next = slots.next();
        let mut nth = 0;
        for (index, column) in self.table.columns.iter().enumerate() {
            let is_partial = partial.next(&column.kind);
            let cell = if !bit(present.bitmap, index) {
                Cell::Absent
            } else {
                nth += 1;
                match bit(nulls, nth - 1) {
                    true => Cell::Null,
                    false => Cell::Value(stored(r, column.storage)?),
                }
            };
            while let Some(slot) = next.filter(|slot| slot.column == index) {
                match (cells.get_mut(slot.cell), cell) {
                    (Some(_same), Cell::Value([])) if is_partial => {}
                    (Some(place), Cell::Value(_)) if is_partial => *place = Cell::Absent,
                    (Some(place), cell) => *place = cell,
                    (None, _) => {}
                }
                next = slots.next();
            }
        }
        Ok(())
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

/// Which JSON columns of an image after an update hold changes only: a bit for each JSON column of the table.
#[derive(Clone, Copy, Default)]
struct Partial<'a> {
    bits: &'a [u8],
    nth: usize,
}

/// Bit of the value options that says that the bits follow.
const PARTIAL_JSON_UPDATES: u64 = 1;

impl<'a> Partial<'a> {
    fn read(r: &mut Reader<'a>, table: &TableMap) -> Result<Self, DecodeError> {
        const WHAT: &str = "value options of a row";
        let options = r.packed(WHAT)?;
        if options & !PARTIAL_JSON_UPDATES != 0 {
            return Err(r.malformed(WHAT));
        }
        if options == 0 {
            return Ok(Self::default());
        }
        let columns = table.columns.iter().filter(|column| matches!(column.kind, ColumnKind::Json { .. })).count();
        Ok(Self { bits: r.take(columns.div_ceil(8), WHAT)?, nth: 0 })
    }

    /// Whether the next column, if it is of type JSON, holds changes only.
    #[inline]
    fn next(&mut self, kind: &ColumnKind) -> bool {
        if self.bits.is_empty() || !matches!(kind, ColumnKind::Json { .. }) {
            return false;
        }
        self.nth += 1;
        bit(self.bits, self.nth - 1)
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
