//! The outbox tables, as far as the account may see them: SELECT on them is not needed for reading the log.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::binlog::columns::{self, Described, Descriptions};
use crate::binlog::{connect, value};
use crate::config::OutboxConfig;
use crate::error::{Code, Result};
use crate::findings::Finding;

/// Error numbers: unknown table, unknown database.
const NO_SUCH_TABLE: [u16; 2] = [1146, 1049];

/// Engines whose changes reach the log only when they are committed, though they claim no transactions.
const LOGGED_ON_COMMIT: [&str; 1] = ["BLACKHOLE"];

/// An outbox table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableFacts {
    /// There is none of that name.
    Missing,
    /// The account may not look.
    Hidden,
    /// It is there.
    Table {
        /// Its engine; empty for a view.
        engine: String,
        /// Whether the server says that the engine has transactions.
        transactional: bool,
        /// Its columns.
        columns: Vec<Described>,
    },
}

/// Looks at every outbox table, in configuration order.
///
/// # Errors
/// What the connection makes of a lost server.
pub async fn read(conn: &mut Conn, outboxes: &[OutboxConfig]) -> Result<Vec<TableFacts>> {
    let mut tables = Vec::with_capacity(outboxes.len());
    for outbox in outboxes {
        tables.push(match probe(conn, outbox).await {
            Ok(()) => describe(conn, outbox).await?,
            Err(mysql_async::Error::Server(e)) if NO_SUCH_TABLE.contains(&e.code) => TableFacts::Missing,
            Err(mysql_async::Error::Server(_)) => TableFacts::Hidden,
            Err(error) => return Err(connect::classify(&error, "looking for the outbox tables")),
        });
    }
    Ok(tables)
}

async fn probe(conn: &mut Conn, outbox: &OutboxConfig) -> mysql_async::Result<()> {
    let (database, table) = (outbox.database.replace('`', "``"), outbox.table.replace('`', "``"));
    conn.query_drop(format!("SELECT 1 FROM `{database}`.`{table}` LIMIT 0")).await
}

async fn describe(conn: &mut Conn, outbox: &OutboxConfig) -> Result<TableFacts> {
    const ENGINE: &str = "SELECT t.engine, e.transactions FROM information_schema.tables t \
        LEFT JOIN information_schema.engines e ON e.engine = t.engine WHERE t.table_schema = ? AND t.table_name = ?";
    let name = (&outbox.database, &outbox.table);
    let asking = |e| connect::classify(&e, "describing the outbox tables");
    let Some(row): Option<Row> = conn.exec_first(ENGINE, name).await.map_err(asking)? else {
        return Ok(TableFacts::Hidden);
    };
    let text = |index: usize| row.get::<Option<String>, _>(index).flatten().unwrap_or_default();
    Ok(TableFacts::Table {
        engine: text(0),
        transactional: text(1) == "YES",
        columns: columns::describe(conn, outbox).await?,
    })
}

fn name(outbox: &OutboxConfig) -> String {
    format!("{}.{}", outbox.database, outbox.table)
}

/// A table that is not there may still be created.
pub(super) fn exists(table: &TableFacts, outbox: &OutboxConfig, account: &str) -> Finding {
    const CHECK: &str = "outbox table";
    let name = name(outbox);
    match table {
        TableFacts::Table { .. } => Finding::good(CHECK, format!("{name} exists")),
        TableFacts::Missing => Finding::warning(
            CHECK,
            format!("the outbox table {name} does not exist; if its name is right, rows are read as soon as it does"),
            format!("correct outbox.{}.table, or create the table", outbox.name),
        ),
        TableFacts::Hidden => {
            let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
            let (database, table) = (&outbox.database, &outbox.table);
            Finding::warning(
                CHECK,
                format!("{account} has no SELECT on {name}: its name, engine and columns are not checked"),
                format!("GRANT SELECT ON `{database}`.`{table}` TO '{user}'@'{host}'"),
            )
        }
    }
}

/// Without transactions, a statement that fails half-way leaves rows behind, and a rollback takes nothing back.
pub(super) fn is_transactional(table: &TableFacts, outbox: &OutboxConfig) -> Option<Finding> {
    const CHECK: &str = "outbox engine";
    let TableFacts::Table { engine, transactional, .. } = table else { return None };
    let name = name(outbox);
    if *transactional || LOGGED_ON_COMMIT.iter().any(|known| engine.eq_ignore_ascii_case(known)) {
        return Some(Finding::good(CHECK, format!("{name}: {engine}")));
    }
    if engine.is_empty() {
        let (what, fix) = (format!("{name} is a view: the log names the table below it"), "name that table");
        return Some(Finding::wrong(Code::SourceSettings, CHECK, what, fix));
    }
    Some(Finding::wrong(
        Code::SourceSettings,
        CHECK,
        format!("{name} has ENGINE={engine}: rows that were rolled back would be published"),
        format!("ALTER TABLE `{}`.`{}` ENGINE=InnoDB", outbox.database, outbox.table),
    ))
}

/// With a checkpoint the log may hold rows from before a column was renamed, so the table alone cannot decide.
pub(super) fn has_columns(table: &TableFacts, outbox: &OutboxConfig, resuming: bool) -> Option<Finding> {
    const CHECK: &str = "outbox columns";
    let TableFacts::Table { columns, .. } = table else { return None };
    let has = |wanted: &str| columns.iter().any(|column| *column.name == *wanted);
    let missing: Vec<&str> = outbox.columns().filter(|column| !has(column)).collect();
    let name = name(outbox);
    if missing.is_empty() {
        return Some(Finding::good(CHECK, format!("{name} has every configured column")));
    }
    let present: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
    let what = format!("{name} has no column {} (it has: {})", missing.join(", "), present.join(", "));
    let fix = format!("correct the column names in [outbox.{}], or add the column", outbox.name);
    Some(match resuming {
        true => Finding::warning(CHECK, format!("{what}; rows written from now on stop the relay"), fix),
        false => Finding::wrong(Code::ColumnMissing, CHECK, what, fix),
    })
}

/// A type that cannot be shown, or that cannot be a timestamp, is found here and not at the first row.
pub(super) fn has_showable_columns(table: &TableFacts, outbox: &OutboxConfig) -> Option<Finding> {
    const CHECK: &str = "outbox column types";
    let TableFacts::Table { columns, .. } = table else { return None };
    let name = name(outbox);
    let mut unfit = Vec::new();
    for column in outbox.columns().filter_map(|wanted| columns.iter().find(|column| *column.name == *wanted)) {
        if !column.kind.as_ref().is_some_and(value::is_showable) {
            unfit.push(format!("column {} of {name} is {}, which cannot be shown", column.name, column.declaration));
        }
    }
    if let Some(timestamp) = columns.iter().find(|column| Some(&*column.name) == outbox.timestamp.as_deref())
        && !timestamp.kind.as_ref().is_some_and(value::is_moment)
    {
        unfit.push(format!("timestamp column {} of {name} is {}", timestamp.name, timestamp.declaration));
    }
    Some(match unfit.is_empty() {
        true => Finding::good(CHECK, format!("{name} has types that can be shown")),
        false => Finding::wrong(Code::ColumnType, CHECK, unfit.join("; "), Code::ColumnType.fix()),
    })
}

/// The columns of each table, in configuration order; empty where the account may not look.
pub fn columns(tables: Vec<TableFacts>) -> Descriptions {
    let columns = |table| if let TableFacts::Table { columns, .. } = table { columns } else { Vec::new() };
    tables.into_iter().map(columns).collect()
}
