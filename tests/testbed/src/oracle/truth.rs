//! What MySQL or MariaDB committed, from the text that `mysqlbinlog -v --base64-output=DECODE-ROWS` prints.
//!
//! Limits: the outbox tables must be transactional and logged by row. A negative number is taken as it is
//! printed first, so an unsigned id above the signed range reads negative. `mysqlbinlog` before 9.0 does not escape
//! quotes and backslashes: do not compare payloads with backslashes there.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use anyhow::{Context, Result, ensure};

use crate::Mysql;

mod value;

/// An outbox table and the places of its columns, counted from 1 as `mysqlbinlog` does.
#[derive(Debug, Clone)]
pub struct Table {
    /// The database.
    pub database: String,
    /// The table.
    pub name: String,
    /// The unique id.
    pub id: usize,
    /// The aggregate type, of which the topic is made.
    pub aggregate_type: usize,
    /// The aggregate's id, which is the record's key.
    pub key: usize,
    /// The event type.
    pub event_type: usize,
    /// The payload.
    pub payload: usize,
}

impl Table {
    /// A table with the usual columns: id, aggregatetype, aggregateid, type, payload.
    #[must_use]
    pub fn usual(database: &str, name: &str) -> Self {
        let (database, name) = (database.to_owned(), name.to_owned());
        Self { database, name, id: 1, aggregate_type: 2, key: 3, event_type: 4, payload: 5 }
    }
}

/// A committed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its table, as `database.name`.
    pub table: String,
    /// Its transaction: the GTID, or `file:end_pos` of the transaction's last event. For XA that of the commit.
    pub transaction: String,
    /// Where its transaction ends: `file:end_pos`.
    pub end: String,
    /// Its place among the outbox rows of its transaction, from 0.
    pub ordinal: usize,
    /// The number of outbox rows in its transaction.
    pub count: usize,
    /// The id; numbers as decimal text.
    pub id: Vec<u8>,
    /// The aggregate type.
    pub aggregate_type: String,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The event type.
    pub event_type: Option<Vec<u8>>,
    /// The payload; JSON columns as JSON text.
    pub payload: Option<Vec<u8>>,
}

/// Reads the committed inserts into `tables` from [`Mysql::mysqlbinlog_v`], in the log's order.
pub fn read(mut log: impl BufRead, tables: &[Table]) -> Result<Vec<Row>> {
    let mut reader = Reader::new(tables);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).context("reading the log's text")? > 0 {
        reader
            .line(line.strip_suffix(b"\n").unwrap_or(&line))
            .with_context(|| format!("in {} before {}", reader.file, reader.end))?;
        line.clear();
    }
    Ok(reader.committed)
}

/// Compares the ids of the table's rows in the log with those that it still holds; for a test that deletes nothing.
pub fn cross_check(mysql: &Mysql, table: &Table, id_column: &str, rows: &[Row]) -> Result<()> {
    let (database, name) = (&table.database, &table.name);
    let text = mysql.sql(&format!("SELECT HEX(CONCAT(`{id_column}`)) FROM `{database}`.`{name}`"))?;
    let kept: HashSet<String> = text.lines().map(str::to_owned).collect();
    let of_table = rows.iter().filter(|row| row.table == format!("{database}.{name}"));
    let logged: HashSet<String> =
        of_table.map(|row| row.id.iter().map(|byte| format!("{byte:02X}")).collect()).collect();
    let only = |a: &HashSet<String>, b: &HashSet<String>| a.difference(b).count();
    ensure!(
        kept == logged,
        "{database}.{name}: {} ids only in the table, {} only in the log",
        only(&kept, &logged),
        only(&logged, &kept)
    );
    Ok(())
}

type Columns = HashMap<usize, Option<Vec<u8>>>;

#[derive(Debug, Default)]
struct Reader<'a> {
    tables: &'a [Table],
    file: String,
    /// Where the last event ends.
    end: u64,
    gtid: Option<String>,
    /// The columns of the row that is being read, if its table is ours.
    row: Option<(&'a Table, Columns)>,
    /// The rows of the open transaction.
    open: Vec<Row>,
    savepoints: Vec<(String, usize)>,
    prepared: HashMap<String, Vec<Row>>,
    statement: String,
    committed: Vec<Row>,
}

/// Stands after each statement.
const DELIMITER: &str = "/*!*/;";

impl<'a> Reader<'a> {
    fn new(tables: &'a [Table]) -> Self {
        Self { tables, ..Self::default() }
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        if let Some(column) = line.strip_prefix(b"###   @") {
            return self.column(column);
        }
        if line == b"### SET" {
            return Ok(());
        }
        self.end_row()?;
        let text = String::from_utf8_lossy(line);
        if let Some(change) = text.strip_prefix("### ") {
            self.start_row(change);
        } else if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment);
        } else if let Some(end) = text.strip_suffix(DELIMITER) {
            self.statement.push_str(end);
            let statement = std::mem::take(&mut self.statement);
            self.execute(statement.trim_end());
        } else {
            self.statement.push_str(&text);
            self.statement.push('\n');
        }
        Ok(())
    }

    fn comment(&mut self, comment: &str) {
        // No statement goes on beyond the next event; what is left is mysqlbinlog's own.
        self.statement.clear();
        if let Some(name) = comment.strip_prefix("file ") {
            self.file = name.to_owned();
        } else if let Some((_, rest)) = comment.split_once(" end_log_pos ") {
            let digits = rest.split(' ').next().unwrap_or_default();
            self.end = digits.parse().unwrap_or(self.end);
            // MariaDB names the group's GTID here.
            if let Some((_, gtid)) = rest.split_once("\tGTID ") {
                self.gtid = gtid.split(' ').next().map(str::to_owned);
            }
        }
    }

    fn start_row(&mut self, change: &str) {
        let Some(name) = change.strip_prefix("INSERT INTO ") else {
            return;
        };
        let is_it = |table: &&Table| name == format!("`{}`.`{}`", table.database, table.name);
        let table = self.tables.iter().find(is_it);
        self.row = table.map(|table| (table, Columns::new()));
    }

    fn column(&mut self, text: &[u8]) -> Result<()> {
        let Some((_, columns)) = &mut self.row else {
            return Ok(());
        };
        let equals = text.iter().position(|byte| *byte == b'=');
        let (number, value) = text.split_at(equals.context("a column without a value")?);
        let number = std::str::from_utf8(number)?.parse()?;
        columns.insert(number, value::parse(&value[1..])?);
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let Some((table, mut columns)) = self.row.take() else {
            return Ok(());
        };
        let mut take = |column: usize| {
            let value = columns.remove(&column);
            value.with_context(|| format!("{} has no column {column}", table.name))
        };
        let id = take(table.id)?.context("an id is NULL")?;
        let aggregate_type = take(table.aggregate_type)?.unwrap_or_default();
        self.open.push(Row {
            table: format!("{}.{}", table.database, table.name),
            transaction: String::new(),
            end: String::new(),
            ordinal: self.open.len(),
            count: 0,
            id,
            aggregate_type: String::from_utf8(aggregate_type)?,
            key: take(table.key)?,
            event_type: take(table.event_type)?,
            payload: take(table.payload)?,
        });
        Ok(())
    }

    fn execute(&mut self, statement: &str) {
        if let Some(gtid) = statement.strip_prefix("SET @@SESSION.GTID_NEXT= ") {
            self.gtid = gtid.split('\'').nth(1).filter(|gtid| gtid.contains(':')).map(str::to_owned);
        } else if let Some(xid) = statement.strip_prefix("XA PREPARE ") {
            let rows = std::mem::take(&mut self.open);
            self.prepared.insert(xid.to_owned(), rows);
        } else if let Some(xid) = statement.strip_prefix("XA COMMIT ") {
            if !xid.ends_with(" ONE PHASE") {
                self.open = self.prepared.remove(xid).unwrap_or_default();
            }
            self.commit();
        } else if let Some(xid) = statement.strip_prefix("XA ROLLBACK ") {
            self.prepared.remove(xid);
        } else if let Some(name) = statement.strip_prefix("SAVEPOINT ") {
            self.savepoints.push((name.to_owned(), self.open.len()));
        } else if let Some(name) = statement.strip_prefix("ROLLBACK TO ") {
            self.roll_back_to(name);
        } else if statement == "COMMIT" {
            self.commit();
        } else if statement == "BEGIN"
            || statement == "START TRANSACTION"
            || statement.starts_with("XA START ")
            || statement.starts_with("ROLLBACK")
        {
            self.open.clear();
            self.savepoints.clear();
        }
    }

    fn roll_back_to(&mut self, name: &str) {
        let found = self.savepoints.iter().rposition(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some(index) = found {
            self.savepoints.truncate(index + 1);
            self.open.truncate(self.savepoints[index].1);
        }
    }

    fn commit(&mut self) {
        let end = format!("{}:{}", self.file, self.end);
        let transaction = self.gtid.clone().unwrap_or_else(|| end.clone());
        self.savepoints.clear();
        let count = self.open.len();
        for mut row in self.open.drain(..) {
            row.transaction.clone_from(&transaction);
            row.end.clone_from(&end);
            row.count = count;
            self.committed.push(row);
        }
    }
}
