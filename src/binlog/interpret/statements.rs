//! Events that carry the text of a statement.

use mysql_async::binlog::events::{Event, QueryEvent};

use super::Interpreter;
use crate::binlog::event::{BinlogEvent, Fingerprint, GroupEnd, OutboxId};
use crate::binlog::statement::{self, Statement, TableStatement};
use crate::error::Result;

impl Interpreter {
    /// An event that carries a statement: a group's begin or end, a savepoint, DDL, or a change logged as text.
    pub(super) fn query(&mut self, event: &Event, fingerprint: Fingerprint) -> Result<BinlogEvent> {
        let query = event.read_event::<QueryEvent<'_>>().map_err(|e| self.cursor.undecodable("query event", &e))?;
        let text = query.query_raw();
        match statement::classify(text) {
            Statement::Begin => {
                self.in_transaction = true;
                Ok(BinlogEvent::Begin)
            }
            Statement::XaEnd | Statement::ReleaseSavepoint | Statement::Dummy => Ok(BinlogEvent::Passed),
            Statement::CreateTable if self.in_transaction => Ok(BinlogEvent::Passed),
            // MariaDB's CREATE TABLE … SELECT: its flags say so, its text does not.
            Statement::Other if self.in_transaction && self.has_ddl => Ok(BinlogEvent::Passed),
            Statement::Commit => self.terminate(GroupEnd::Commit, fingerprint),
            Statement::Rollback => self.terminate(GroupEnd::Rollback, fingerprint),
            Statement::Savepoint(name) => Ok(BinlogEvent::Savepoint(name)),
            Statement::RollbackTo(name) => Ok(BinlogEvent::RollbackTo(name)),
            Statement::XaCommit(Some(xid)) => self.terminate(GroupEnd::XaCommit(xid), fingerprint),
            Statement::XaRollback(Some(xid)) => self.terminate(GroupEnd::XaRollback(xid), fingerprint),
            Statement::XaCommit(None) | Statement::XaRollback(None) => {
                Err(self.cursor.undecodable("XA statement", &"its id has an unknown form"))
            }
            Statement::Other if self.in_transaction => Ok(self.logged_statement(&query)),
            Statement::CreateTable | Statement::Other => {
                let touched = statement::table_statement(text, query.schema_raw(), self.tables.configured());
                let mut end = self.terminate(GroupEnd::Standalone, fingerprint)?;
                if let (Some(touched), BinlogEvent::Terminator(end)) = (touched, &mut end) {
                    self.log_touched(&touched);
                    end.emptied.extend(touched.tables.iter().copied().map(OutboxId).filter(|_| touched.empties()));
                }
                Ok(end)
            }
        }
    }

    fn log_touched(&self, touched: &TableStatement) {
        for (database, table) in touched.tables.iter().filter_map(|&i| self.tables.configured().get(i)) {
            let (table, verb, at) = (format!("{database}.{table}"), touched.verb, self.position());
            tracing::warn!(table, verb, position = %at, "outbox table changed by a statement");
        }
    }

    /// A statement logged as text inside a transaction: harmless unless it may have written an outbox table.
    fn logged_statement(&self, query: &QueryEvent<'_>) -> BinlogEvent {
        match statement::written_table(query.query_raw(), query.schema_raw(), self.tables.configured()) {
            None => BinlogEvent::Passed,
            Some(table) => BinlogEvent::Statement { table, thread_id: query.thread_id(), at: self.position().clone() },
        }
    }
}
