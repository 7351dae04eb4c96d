//! Event groups → committed source transactions.
//!
//! Rows are held undecoded until their group's terminator: `COMMIT` or XID hands them on, `ROLLBACK` drops them,
//! `ROLLBACK TO` drops those behind its savepoint. Anything whose outcome cannot be known here stops the relay.

use std::sync::Arc;

use crate::binlog::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxRows, RowChange, Terminator};
use crate::config::{OnUpdate, OutboxConfig};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GroupPosition, Gtid};

/// A decided event group. Without rows it only moves the position.
#[derive(Debug)]
pub struct SourceTransaction {
    /// Its identity.
    pub group: GroupPosition,
    /// Its GTID, if it has one.
    pub gtid: Option<Gtid>,
    /// Where it ends.
    pub end: FilePosition,
    /// Its terminator.
    pub fingerprint: Fingerprint,
    /// Commit time on the origin, microseconds since the epoch.
    pub committed_at_us: i64,
    /// Row events of outbox tables, in log order; all committed.
    pub rows: Vec<OutboxRows>,
}

/// An outbox row that was changed after its insert; counted per table.
pub trait Observer {
    /// An UPDATE or DELETE event was passed over.
    fn ignored(&mut self, outbox: usize, change: RowChange);
}

/// The state machine. Feed it every event in stream order.
#[derive(Debug)]
pub struct Transactions {
    outboxes: Arc<[OutboxConfig]>,
    /// Bytes of held row events above which a source transaction is refused.
    limit: usize,
    start: Option<GroupStart>,
    rows: Vec<OutboxRows>,
    held: usize,
    savepoints: Vec<(Vec<u8>, usize)>,
}

/// Names of savepoints have no case. The server also compares letters without their accents; two savepoints of one
/// transaction whose names differ in nothing else are not looked after.
fn is_same_savepoint(a: &[u8], b: &[u8]) -> bool {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => a == b,
    }
}

impl Transactions {
    /// `limit`: bytes of one source transaction's rows held at most.
    pub fn new(outboxes: Arc<[OutboxConfig]>, limit: usize) -> Self {
        Self { outboxes, limit, start: None, rows: Vec::new(), held: 0, savepoints: Vec::new() }
    }

    /// Applies one event; a decided group comes out at its terminator.
    ///
    /// # Errors
    /// `EventUnsupported`, `StatementLogged`, `RowUpdated`, `SourceTransactionTooLarge`, `EventUndecodable`.
    pub fn apply(&mut self, event: BinlogEvent, observer: &mut impl Observer) -> Result<Option<SourceTransaction>> {
        match event {
            BinlogEvent::GroupStart(start) => self.begin(start),
            BinlogEvent::Inserted(rows) => return self.hold(rows).map(|()| None),
            BinlogEvent::Changed { outbox, change, at } => {
                self.ensure_change_allowed(outbox.0, change, &at)?;
                observer.ignored(outbox.0, change);
            }
            BinlogEvent::Statement { table, thread_id, at } => {
                return Err(Error::new(
                    Code::StatementLogged,
                    format!("{at}: connection {thread_id} changed {table} in statement format"),
                ));
            }
            BinlogEvent::Savepoint(name) => self.savepoint(name),
            BinlogEvent::RollbackTo(name) => self.rollback_to(&name)?,
            BinlogEvent::Terminator(terminator) => return self.terminate(terminator).map(Some),
            BinlogEvent::Begin
            | BinlogEvent::XaStart
            | BinlogEvent::Rotated
            | BinlogEvent::Heartbeat
            | BinlogEvent::Passed => {}
        }
        Ok(None)
    }

    fn begin(&mut self, start: GroupStart) {
        self.start = Some(start);
        self.rows.clear();
        self.savepoints.clear();
        self.held = 0;
    }

    fn hold(&mut self, rows: OutboxRows) -> Result<()> {
        self.held += rows.event.data().len();
        if self.held > self.limit {
            return Err(Error::new(
                Code::SourceTransactionTooLarge,
                format!("{}: outbox rows of one source transaction exceed {} bytes", rows.at, self.limit),
            ));
        }
        self.rows.push(rows);
        Ok(())
    }

    /// A savepoint of the same name replaces the older one (MySQL manual, "SAVEPOINT").
    fn savepoint(&mut self, name: Vec<u8>) {
        self.savepoints.retain(|(other, _)| !is_same_savepoint(other, &name));
        self.savepoints.push((name, self.rows.len()));
    }

    fn rollback_to(&mut self, name: &[u8]) -> Result<()> {
        let Some(index) = self.savepoints.iter().position(|(other, _)| is_same_savepoint(other, name)) else {
            return Err(Error::new(
                Code::EventUndecodable,
                format!("ROLLBACK TO an unknown savepoint in the group that starts at {}", self.started_at()),
            ));
        };
        let (_, rows) = self.savepoints[index];
        self.rows.truncate(rows);
        self.savepoints.truncate(index + 1);
        self.held = self.rows.iter().map(|rows| rows.event.data().len()).sum();
        Ok(())
    }

    fn terminate(&mut self, terminator: Terminator) -> Result<SourceTransaction> {
        let started_at = self.started_at();
        let Terminator { end, fingerprint } = terminator;
        let Some(start) = self.start.take() else {
            return Err(Error::new(Code::Internal, format!("group ending at {} never began", fingerprint.end)));
        };
        let mut rows = std::mem::take(&mut self.rows);
        match end {
            GroupEnd::Commit => {}
            GroupEnd::Rollback => rows.clear(),
            GroupEnd::Standalone if rows.is_empty() => {}
            GroupEnd::Prepare if rows.is_empty() => {}
            GroupEnd::Prepare => {
                return Err(Error::new(
                    Code::EventUnsupported,
                    format!(
                        "{started_at}: an XA transaction prepared outbox rows; their outcome comes later in the log"
                    ),
                )
                .with_fix("write outbox rows in plain transactions, or in XA transactions committed in one phase"));
            }
            GroupEnd::Standalone => {
                return Err(Error::new(
                    Code::EventUndecodable,
                    format!("{started_at}: a statement ends a group with rows"),
                ));
            }
        }
        let end = FilePosition { file: Arc::clone(&fingerprint.file), offset: fingerprint.end };
        let group = match &start.gtid {
            Some(gtid) => GroupPosition::Gtid(gtid.clone()),
            None => GroupPosition::File(end.clone()),
        };
        Ok(SourceTransaction {
            group,
            gtid: start.gtid,
            end,
            fingerprint,
            committed_at_us: start.committed_at_us,
            rows,
        })
    }

    fn ensure_change_allowed(&self, outbox: usize, change: RowChange, at: &FilePosition) -> Result<()> {
        let Some(config) = self.outboxes.get(outbox) else { return Ok(()) };
        match (change, config.on_update) {
            (RowChange::Delete, _) => Ok(()),
            (RowChange::Update, OnUpdate::Warn) => {
                tracing::warn!(table = format!("{}.{}", config.database, config.table), %at, "outbox row updated; nothing is published for it");
                Ok(())
            }
            (RowChange::Update, OnUpdate::Stop) => Err(Error::new(
                Code::RowUpdated,
                format!("{at}: a row of {}.{} was updated", config.database, config.table),
            )),
        }
    }

    fn started_at(&self) -> String {
        self.start.as_ref().map(|start| start.start.to_string()).unwrap_or_else(|| "an unknown position".into())
    }
}

#[cfg(test)]
mod tests;
