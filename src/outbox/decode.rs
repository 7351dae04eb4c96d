//! Committed row events → [`OutboxRow`]: the configured columns, found by name, lent out of the raw event.

use std::collections::HashMap;
use std::sync::Arc;

use crate::binlog::DecodeError;
use crate::binlog::columns::{self, Present};
use crate::binlog::event::{OutboxId, OutboxRows};
use crate::binlog::rows::{Cell, Projection, WriteRows};
use crate::binlog::table::{self, ColumnKind, TableMap};
use crate::binlog::value;
use crate::config::OutboxConfig;
use crate::error::{Code, Error, Result};
use crate::position::FilePosition;

/// A committed insert into a configured outbox table.
#[derive(Clone, Copy, Debug)]
pub struct OutboxRow<'a> {
    /// Which outbox.
    pub outbox: OutboxId,
    /// End of the row's event in the log, for messages.
    pub at: &'a FilePosition,
    /// The configured columns' raw cells, in [`Columns`] order.
    cells: &'a [Cell<'a>],
    columns: &'a Columns,
}

/// A configured column of a row: its raw cell and how to read it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Column name.
    pub name: &'a str,
    /// Column type.
    pub kind: &'a ColumnKind,
    /// Raw storage bytes; `None` is SQL NULL.
    pub raw: Option<&'a [u8]>,
}

impl<'a> OutboxRow<'a> {
    /// Column of the header `id`.
    pub fn id(&self) -> Field<'a> {
        self.field(ID)
    }

    /// Column for `{aggregate_type}`.
    pub fn aggregate_type(&self) -> Field<'a> {
        self.field(AGGREGATE_TYPE)
    }

    /// Column of the key.
    pub fn aggregate_id(&self) -> Field<'a> {
        self.field(AGGREGATE_ID)
    }

    /// Column of the value.
    pub fn payload(&self) -> Field<'a> {
        self.field(PAYLOAD)
    }

    /// Column for `{event_type}`, if configured.
    pub fn event_type(&self) -> Option<Field<'a>> {
        self.columns.event_type.map(|slot| self.field(slot))
    }

    /// Column of the record timestamp, if configured.
    pub fn timestamp(&self) -> Option<Field<'a>> {
        self.columns.timestamp.map(|slot| self.field(slot))
    }

    /// Columns of `[outbox.NAME.headers]`, in configuration order.
    pub fn headers(&self) -> impl Iterator<Item = Field<'a>> {
        (self.columns.headers..self.cells.len()).map(|slot| self.field(slot))
    }

    fn field(&self, slot: usize) -> Field<'a> {
        let column = &self.columns.columns[slot];
        let raw = match self.cells[slot] {
            Cell::Value(raw) => Some(raw),
            Cell::Null | Cell::Absent => None,
        };
        Field { name: &column.name, kind: &column.kind, raw }
    }
}

const ID: usize = 0;
const AGGREGATE_TYPE: usize = 1;
const AGGREGATE_ID: usize = 2;
const PAYLOAD: usize = 3;

/// The configured columns of one table map, in a fixed order: id, aggregate type, aggregate id, payload, then event
/// type and timestamp if configured, then the headers'.
#[derive(Debug)]
struct Columns {
    columns: Vec<Column>,
    projection: Projection,
    /// Cells whose zero dates are NULL.
    dates: Vec<usize>,
    event_type: Option<usize>,
    timestamp: Option<usize>,
    headers: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: ColumnKind,
}

impl Columns {
    fn find(config: &OutboxConfig, table: &TableMap, rows: &OutboxRows, present: &Present) -> Result<Self> {
        let mut names = vec![&config.id, &config.aggregate_type, &config.aggregate_id, &config.payload];
        let event_type = config.event_type.as_ref().map(|name| slot(&mut names, name));
        let timestamp = config.timestamp.as_ref().map(|name| slot(&mut names, name));
        let headers = names.len();
        names.extend(config.headers.iter().map(|(_, column)| column));
        let mut indexes = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        let mut dates = Vec::new();
        for (slot, name) in names.into_iter().enumerate() {
            let (index, column) = find_column(config, table, name, &rows.at)?;
            let kind = present.kind_of(rows.outbox.0, column).ok_or_else(|| unknown_type(config, name, &rows.at))?;
            if column.nullable && value::may_be_zero_date(&column.kind) {
                dates.push(slot);
            }
            indexes.push(index);
            columns.push(Column { name: name.clone(), kind });
        }
        Ok(Self { columns, projection: Projection::new(&indexes), dates, event_type, timestamp, headers })
    }
}

impl Columns {
    /// A zero date of a nullable column is NULL, as Debezium has it: no calendar has such a day.
    fn forget_zero_dates(&self, cells: &mut [Cell<'_>]) -> Result<(), DecodeError> {
        for &slot in &self.dates {
            if let Cell::Value(raw) = cells[slot]
                && value::is_zero_date(&self.columns[slot].kind, raw)?
            {
                cells[slot] = Cell::Null;
            }
        }
        Ok(())
    }
}

fn slot<'a>(names: &mut Vec<&'a String>, name: &'a String) -> usize {
    names.push(name);
    names.len() - 1
}

fn find_column<'t>(
    config: &OutboxConfig,
    table: &'t TableMap,
    name: &str,
    at: &FilePosition,
) -> Result<(usize, &'t table::Column)> {
    let place = format!("{at}: table {}.{}", table.database, table.table);
    let Some((index, column)) = table.column_index(name).and_then(|i| table.columns.get(i).map(|c| (i, c))) else {
        let has = table.columns.iter().filter_map(|c| c.name.as_deref()).collect::<Vec<_>>().join(", ");
        return Err(Error::new(
            Code::ColumnMissing,
            format!("{place} has no column \"{name}\" named by [outbox.{}] (it has: {has})", config.name),
        ));
    };
    if !value::is_showable(&column.kind) {
        return Err(Error::new(Code::ColumnType, format!("{place}, column \"{name}\": {:?}", column.kind)));
    }
    if config.timestamp.as_deref() == Some(name) && !value::is_moment(&column.kind) {
        return Err(Error::new(Code::ColumnType, format!("{place}, timestamp column \"{name}\": {:?}", column.kind)));
    }
    Ok((index, column))
}

fn unknown_type(config: &OutboxConfig, name: &str, at: &FilePosition) -> Error {
    let (database, table) = (&config.database, &config.table);
    let what = format!(
        "{at}: table {database}.{table}, column \"{name}\": BINARY in the log, where a MariaDB has UUID, INET4 and INET6 as \
         BINARY, too; the account sees no such column to tell them apart"
    );
    let fix = format!("GRANT SELECT ON `{database}`.`{table}` to the account of `source.user`, then start again.");
    Error::new(Code::ColumnType, what).with_fix(fix)
}

/// Finds columns by name in each table map, once for each shape of a table.
#[derive(Debug)]
pub struct Tables {
    outboxes: Arc<[OutboxConfig]>,
    /// What the tables look like now, for what the log leaves out.
    present: Present,
    /// The last table map of each outbox and its columns: the shape rarely changes.
    columns: HashMap<OutboxId, (Arc<TableMap>, Arc<Columns>)>,
}

impl Tables {
    /// For the configured outboxes.
    pub fn new(outboxes: Arc<[OutboxConfig]>, present: Present) -> Self {
        Self { outboxes, present, columns: HashMap::new() }
    }

    /// Calls `each` with every row of a committed row event, in log order.
    ///
    /// # Errors
    /// `ColumnMissing`, `ColumnNames`, `ColumnsDiffer`, `ColumnsChanged`, `ColumnType`, `ColumnAbsent`, `EventUndecodable`, and what `each` returns.
    pub fn for_each_row<E: From<Error>>(
        &mut self,
        rows: &OutboxRows,
        mut each: impl FnMut(OutboxRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = self.columns(rows)?;
        let undecodable = |e| Error::new(Code::EventUndecodable, format!("{}: row event: {e}", rows.at));
        let mut event =
            WriteRows::decode_images(rows.event.data(), rows.version, rows.images, &rows.table).map_err(undecodable)?;
        let mut cells = Vec::with_capacity(columns.columns.len());
        while event.next_row(&columns.projection, &mut cells).map_err(undecodable)? {
            ensure_present(&cells, &columns, rows)?;
            columns.forget_zero_dates(&mut cells).map_err(undecodable)?;
            each(OutboxRow { outbox: rows.outbox, at: &rows.at, cells: &cells, columns: &columns })?;
        }
        Ok(())
    }

    fn columns(&mut self, rows: &OutboxRows) -> Result<Arc<Columns>> {
        if let Some((table, columns)) = self.columns.get(&rows.outbox)
            && (Arc::ptr_eq(table, &rows.table) || table.columns == rows.table.columns)
        {
            return Ok(Arc::clone(columns));
        }
        let Some(config) = self.outboxes.get(rows.outbox.0) else {
            return Err(Error::new(Code::Internal, "rows of an outbox that is not configured"));
        };
        let named = self.named(rows)?;
        let table = named.as_ref().unwrap_or(&rows.table);
        let columns = Arc::new(Columns::find(config, table, rows, &self.present)?);
        self.columns.insert(rows.outbox, (Arc::clone(&rows.table), Arc::clone(&columns)));
        Ok(columns)
    }
}

impl Tables {
    /// The table map with names from elsewhere, if the log has none.
    fn named(&self, rows: &OutboxRows) -> Result<Option<TableMap>> {
        let table = &rows.table;
        if table.has_names() {
            return Ok(None);
        }
        let place = || format!("{}: table {}.{} was logged without column names", rows.at, table.database, table.table);
        let described = self.present.naming(rows.outbox.0);
        let described = described.ok_or_else(|| Error::new(Code::ColumnNames, place()))?;
        let named = columns::name_columns(table, described);
        // The description is as old as the run. A table that agreed with it until now has been changed since.
        let code = if self.columns.contains_key(&rows.outbox) { Code::ColumnsChanged } else { Code::ColumnsDiffer };
        named.map(Some).map_err(|why| Error::new(code, format!("{}, and {why}", place())))
    }
}

/// An absent column is not NULL: the row was logged with a partial image.
fn ensure_present(cells: &[Cell<'_>], columns: &Columns, rows: &OutboxRows) -> Result<()> {
    match cells.iter().position(|cell| matches!(cell, Cell::Absent)) {
        None => Ok(()),
        Some(slot) => Err(Error::new(
            Code::ColumnAbsent,
            format!(
                "{}: a row of {}.{} was logged without column \"{}\" (binlog_row_image, binlog_row_value_options)",
                rows.at, rows.table.database, rows.table.table, columns.columns[slot].name
            ),
        )),
    }
}
