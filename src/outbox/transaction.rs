//! Event groups → committed source transactions.
//!
//! Rows are held undecoded until their group's terminator: `COMMIT` or XID hands them on, `ROLLBACK` drops them,
//! `ROLLBACK TO` drops those behind its savepoint, `XA PREPARE` keeps them for the group that decides. Anything whose
//! outcome cannot be known here stops the relay.

use std::sync::Arc;

use super::savepoints::Savepoints;
use super::xa::{self, Undecided};
use crate::binlog::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxRows, Terminator};
use crate::binlog::rows::Images;
use crate::binlog::xa::{PreparedXa, XaStep, Xid};
use crate::config::{OnUpdate, OutboxConfig};
use crate::error::{Code, Error, Result};
use crate::failpoint;
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
    /// Row events of outbox tables, in log order; all committed. Those of a distributed transaction come with the group
    /// that commits it.
    pub rows: Vec<OutboxRows>,
    /// What the group prepares or decides.
    pub xa: Option<XaStep>,
}

/// What was passed over; counted per table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A committed UPDATE event, also of REPLACE and ON DUPLICATE KEY UPDATE.
    Update,
    /// A DELETE event.
    Delete,
    /// TRUNCATE or DROP.
    Truncate,
}

/// Is told of changes of an outbox table that are no events.
pub trait Observer {
    /// One was passed over.
    fn ignored(&mut self, outbox: usize, change: Ignored);
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
    savepoints: Savepoints,
    undecided: Undecided,
}

fn ensure_no_rows(rows: &[OutboxRows], start: &GroupStart) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::EventUndecodable, format!("{}: a statement ends a group with rows", start.start)))
}

impl Transactions {
    /// `limit`: bytes of rows held at most, those of undecided distributed transactions included. `prepared`: those that
    /// the checkpoint names.
    pub fn new(outboxes: Arc<[OutboxConfig]>, limit: usize, prepared: Vec<PreparedXa>) -> Self {
        let undecided = Undecided::new(prepared);
        Self { outboxes, limit, start: None, rows: Vec::new(), held: 0, savepoints: Savepoints::default(), undecided }
    }

    /// Applies one event; a decided group comes out at its terminator.
    ///
    /// # Errors
    /// `EventUnsupported`, `StatementLogged`, `RowUpdated`, `SourceTransactionTooLarge`, `EventUndecodable`.
    pub fn apply(&mut self, event: BinlogEvent, observer: &mut impl Observer) -> Result<Option<SourceTransaction>> {
        match event {
            BinlogEvent::GroupStart(start) => self.begin(start),
            BinlogEvent::Rows(rows) => return self.hold(rows).map(|()| None),
            BinlogEvent::Deleted(outbox) => observer.ignored(outbox.0, Ignored::Delete),
            BinlogEvent::Statement { table, thread_id, at } => {
                return Err(Error::new(
                    Code::StatementLogged,
                    format!("{at}: connection {thread_id} changed {table} in statement format"),
                ));
            }
            BinlogEvent::Savepoint(name) => self.savepoints.set(name, self.rows.len()),
            BinlogEvent::RollbackTo(name) => self.rollback_to(&name)?,
            BinlogEvent::Terminator(terminator) => return self.terminate(terminator, observer),
            BinlogEvent::Begin
            | BinlogEvent::XaStart
            | BinlogEvent::Rotated
            | BinlogEvent::Heartbeat
            | BinlogEvent::Passed => {}
        }
        Ok(None)
    }

    /// Distributed transactions that are prepared and not decided.
    pub fn undecided(&self) -> usize {
        self.undecided.len()
    }

    fn begin(&mut self, start: GroupStart) {
        self.start = Some(start);
        self.rows.clear();
        self.savepoints.clear();
        self.held = 0;
    }

    fn hold(&mut self, rows: OutboxRows) -> Result<()> {
        failpoint::hit(if self.rows.is_empty() { "row_first" } else { "row_mid" })?;
        self.held += rows.event.data().len();
        if self.held + self.undecided.bytes() > self.limit {
            let prepared = self.undecided.bytes();
            return Err(Error::new(
                Code::SourceTransactionTooLarge,
                format!(
                    "{}: outbox rows of one source transaction (with {prepared} bytes of undecided XA transactions) \
                     exceed {} bytes",
                    rows.at, self.limit
                ),
            ));
        }
        self.rows.push(rows);
        Ok(())
    }

    fn rollback_to(&mut self, name: &[u8]) -> Result<()> {
        let rows = self.savepoints.roll_back_to(name).map_err(|error| {
            Error::new(error.code(), format!("{}, in the group that starts at {}", error.message(), self.started_at()))
        })?;
        self.rows.truncate(rows);
        self.held = xa::size(&self.rows);
        Ok(())
    }

    /// `None` for a prepared group that was read again: the checkpoint is past it.
    fn terminate(&mut self, terminator: Terminator, observer: &mut impl Observer) -> Result<Option<SourceTransaction>> {
        let Terminator { end, fingerprint, emptied } = terminator;
        emptied.iter().for_each(|outbox| observer.ignored(outbox.0, Ignored::Truncate));
        let Some(start) = self.start.take() else {
            return Err(Error::new(
                Code::StartPosition,
                format!("the event group that ends at {}:{} began before the start", fingerprint.file, fingerprint.end),
            ));
        };
        let rows = std::mem::take(&mut self.rows);
        self.held = 0;
        let (mut committed, mut xa) = (Vec::new(), None);
        match end {
            GroupEnd::Commit => committed = rows,
            GroupEnd::Rollback => {}
            GroupEnd::Prepare(xid) => {
                failpoint::hit("xa_prepare")?;
                let prepared = PreparedXa {
                    xid,
                    gtid: start.gtid.clone(),
                    file: Arc::clone(&fingerprint.file),
                    start: start.start.offset,
                    end: fingerprint.end,
                    rows: !rows.is_empty(),
                };
                if self.undecided.prepare(prepared.clone(), rows)? {
                    return Ok(None);
                }
                xa = Some(XaStep::Prepared(prepared));
            }
            GroupEnd::XaCommit(xid) => {
                failpoint::hit("xa_commit")?;
                ensure_no_rows(&rows, &start)?;
                committed = self.decide(&xid, &start)?;
                xa = Some(XaStep::Decided(xid));
            }
            GroupEnd::XaRollback(xid) => {
                ensure_no_rows(&rows, &start)?;
                self.decide(&xid, &start)?;
                xa = Some(XaStep::Decided(xid));
            }
            GroupEnd::Standalone => ensure_no_rows(&rows, &start)?,
        }
        self.judge_updates(&mut committed, observer)?;
        let end = FilePosition { file: Arc::clone(&fingerprint.file), offset: fingerprint.end };
        let group = match &start.gtid {
            Some(gtid) => GroupPosition::Gtid(gtid.clone()),
            None => GroupPosition::File(end.clone()),
        };
        Ok(Some(SourceTransaction {
            group,
            gtid: start.gtid,
            end,
            fingerprint,
            committed_at_us: start.committed_at_us,
            rows: committed,
            xa,
        }))
    }

    /// The rows of a distributed transaction that is decided now. None are known of one that was prepared before the
    /// start position: they stand before it in the log.
    fn decide(&mut self, xid: &Xid, start: &GroupStart) -> Result<Vec<OutboxRows>> {
        let rows = self.undecided.decide(xid, &start.start)?;
        if rows.is_none() {
            tracing::warn!(%xid, at = %start.start, "decided XA transaction was prepared before the start position; \
                 rows that it may hold stand before it too and are not published");
        }
        Ok(rows.unwrap_or_default())
    }

    /// What becomes of updates among committed rows, by `on_update`.
    fn judge_updates(&self, rows: &mut Vec<OutboxRows>, observer: &mut impl Observer) -> Result<()> {
        let policy = |rows: &OutboxRows| {
            let config = self.outboxes.get(rows.outbox.0).filter(|_| rows.images != Images::Inserted);
            config.map(|config| (config.on_update, config))
        };
        if let Some((config, rows)) = rows.iter().find_map(|rows| match policy(rows) {
            Some((OnUpdate::Stop, config)) => Some((config, rows)),
            _ => None,
        }) {
            let what = format!("{}: a row of {}.{} was updated", rows.at, config.database, config.table);
            return Err(Error::new(Code::RowUpdated, what));
        }
        rows.retain(|rows| match policy(rows) {
            Some((OnUpdate::Warn, config)) => {
                let table = format!("{}.{}", config.database, config.table);
                tracing::warn!(table, at = %rows.at, "outbox row updated; nothing is published for it");
                observer.ignored(rows.outbox.0, Ignored::Update);
                false
            }
            _ => true,
        });
        Ok(())
    }

    fn started_at(&self) -> String {
        self.start.as_ref().map(|start| start.start.to_string()).unwrap_or_else(|| "an unknown position".into())
    }
}

#[cfg(test)]
mod tests;
