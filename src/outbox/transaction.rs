//! Event groups → committed source transactions.
//!
//! Rows are held undecoded until their group's terminator: `COMMIT` or XID hands them on, `ROLLBACK` drops them,
//! `ROLLBACK TO` drops those behind its savepoint, `XA PREPARE` keeps them for the group that decides. Those of a large group
//! are not held but read twice ([`super::large`]). Anything whose outcome cannot be known here stops the relay.

use std::sync::Arc;

use super::before::Before;
use super::kept::{Ended, Kept};
use super::large::{Group, Large, Mark, Part};
use super::savepoints::Savepoints;
use super::updates::Updates;
use super::xa::Undecided;
use crate::binlog::event::{BinlogEvent, Fingerprint, GroupEnd, GroupStart, OutboxRows, Terminator};
use crate::binlog::xa::{PreparedXa, XaStep, Xid};
use crate::config::{self, OutboxConfig};
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

/// What an event has brought about.
#[derive(Debug)]
pub enum Step {
    /// A group is decided.
    Group(SourceTransaction),
    /// Rows of a large group that was read before; its end follows as a group without rows.
    Part(Part),
    /// Nothing is open, and a log file begins with this head.
    File(Fingerprint),
    /// A large group is committed. Its rows have to be read again with this, behind all groups before it.
    Again(Large),
}

/// How much of a group may be held, and carried at all.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of row events above which a group counts as large: it is not held, but read twice.
    pub held: usize,
    /// Bytes of row events that may be held of all undecided distributed transactions together.
    pub prepared: usize,
    /// Bytes of row events that one Kafka transaction may carry.
    pub large: u64,
    /// What is larger travels in several.
    pub split: bool,
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
    updates: Updates,
    limits: Limits,
    start: Option<GroupStart>,
    kept: Kept,
    savepoints: Savepoints,
    undecided: Undecided,
    /// What decides which rows become records.
    selection: Arc<str>,
    before: Before,
}

fn ensure_no_rows(rows: &Ended, start: &GroupStart) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::EventUndecodable, format!("{}: a statement ends a group with rows", start.start)))
}

impl Transactions {
    /// Begins behind a checkpoint.
    pub fn new(outboxes: Arc<[OutboxConfig]>, limits: Limits, mut before: Before) -> Self {
        Self {
            selection: config::selection(&outboxes).into(),
            updates: Updates(outboxes),
            limits,
            start: None,
            kept: Kept::NOTHING,
            savepoints: Savepoints::default(),
            undecided: Undecided::new(std::mem::take(&mut before.prepared)),
            before,
        }
    }

    /// Applies one event. A decided group comes out at its terminator, a part of a large one with each of its row events.
    ///
    /// # Errors
    /// `EventUnsupported`, `StatementLogged`, `RowUpdated`, `SourceTransactionTooLarge`, `EventUndecodable`, `HistoryChanged`,
    /// `SplitSelection`.
    pub fn apply(&mut self, event: BinlogEvent, observer: &mut impl Observer) -> Result<Option<Step>> {
        match event {
            BinlogEvent::GroupStart(start) => self.begin(start)?,
            BinlogEvent::Rows(rows) => return self.take(rows, observer),
            // The first reading of a large group has counted them.
            BinlogEvent::Deleted(_) if matches!(self.kept, Kept::Passed(_)) => {}
            BinlogEvent::Deleted(outbox) => observer.ignored(outbox.0, Ignored::Delete),
            BinlogEvent::Statement { table, thread_id, at } => {
                return Err(Error::new(
                    Code::StatementLogged,
                    format!("{at}: connection {thread_id} changed {table} in statement format"),
                ));
            }
            BinlogEvent::Savepoint(name) => {
                if let Some(mark) = self.kept.mark() {
                    self.savepoints.set(name, mark);
                }
            }
            BinlogEvent::RollbackTo(name) => self.roll_back_to(&name)?,
            BinlogEvent::Terminator(terminator) => return self.terminate(terminator, observer),
            BinlogEvent::FileHead(head) => return self.begin_file(head).map(Some),
            BinlogEvent::Begin | BinlogEvent::Rotated | BinlogEvent::Heartbeat | BinlogEvent::Passed => {}
        }
        Ok(None)
    }

    /// Distributed transactions that are prepared and not decided.
    pub fn undecided(&self) -> usize {
        self.undecided.len()
    }

    fn begin(&mut self, start: GroupStart) -> Result<()> {
        self.kept = self.before.keep(&start)?;
        self.start = Some(start);
        self.savepoints.clear();
        Ok(())
    }

    /// A file begins: a group that has no end by now was lost with the server, which never committed it.
    fn begin_file(&mut self, head: Fingerprint) -> Result<Step> {
        let Some(start) = self.start.take() else { return Ok(Step::File(head)) };
        // The second reading of a large group, whose end has been seen.
        if matches!(self.kept, Kept::Passed(_)) {
            let what = format!("{}: the group ended before, and now {} begins within it", start.start, head.file);
            return Err(Error::new(Code::HistoryChanged, what));
        }
        tracing::warn!(at = %start.start, "the server was lost within a transaction, which was not committed");
        self.kept = Kept::NOTHING;
        Ok(Step::File(head))
    }

    fn take(&mut self, rows: OutboxRows, observer: &mut impl Observer) -> Result<Option<Step>> {
        failpoint::hit(if self.kept.mark() == Some(Mark::default()) { "row_first" } else { "row_mid" })?;
        if let Some((again, rows)) = self.kept.take(rows, &self.updates, self.limits.held)? {
            let records = self.updates.records(&rows)?;
            if again.step_over(records) {
                return Ok(None);
            }
            let mut rows = vec![rows];
            self.updates.judge(&mut rows, observer)?;
            return Ok(Some(Step::Part(again.part(rows, records))));
        }
        self.hold_up_to(self.limits.held).map(|()| None)
    }

    /// Stops holding the group if it has more bytes of row events.
    fn hold_up_to(&mut self, limit: usize) -> Result<()> {
        let Kept::Held(_, Mark { bytes, .. }) = self.kept else { return Ok(()) };
        if bytes <= limit as u64 {
            return Ok(());
        }
        self.kept.count(&self.updates, &mut self.savepoints)?;
        tracing::info!(at = self.started_at(), bytes, "a source transaction is too large to be held");
        Ok(())
    }

    fn roll_back_to(&mut self, name: &[u8]) -> Result<()> {
        failpoint::hit("savepoint_rollback")?;
        if matches!(self.kept, Kept::Passed(_)) {
            return Ok(());
        }
        let mark = self.savepoints.roll_back_to(name).map_err(|error| {
            Error::new(error.code(), format!("{}, in the group that starts at {}", error.message(), self.started_at()))
        })?;
        self.kept.roll_back_to(mark);
        Ok(())
    }

    /// `None` for a prepared group that was read again: the checkpoint is past it.
    fn terminate(&mut self, terminator: Terminator, observer: &mut impl Observer) -> Result<Option<Step>> {
        terminator.emptied.iter().for_each(|outbox| observer.ignored(outbox.0, Ignored::Truncate));
        let fingerprint = &terminator.fingerprint;
        let Some(start) = self.start.take() else {
            return Err(Error::new(
                Code::StartPosition,
                format!("the event group that ends at {}:{} began before the start", fingerprint.file, fingerprint.end),
            ));
        };
        let end = FilePosition { file: Arc::clone(&fingerprint.file), offset: fingerprint.end };
        let group = match &start.gtid {
            Some(gtid) => GroupPosition::Gtid(gtid.clone()),
            None => GroupPosition::File(end.clone()),
        };
        if matches!(terminator.end, GroupEnd::Prepare(_)) {
            self.hold_up_to(self.limits.prepared.saturating_sub(self.undecided.bytes()))?;
        }
        let rows = std::mem::replace(&mut self.kept, Kept::NOTHING).end(&start, &terminator)?;
        let Some((rows, xa)) = self.outcome(rows, &start, &terminator)? else { return Ok(None) };
        self.undecided.ensure_none_sent(&group)?;
        let mut committed = match rows {
            Ended::Held(rows) => rows,
            Ended::Counted(counted) => {
                let committed_by = Group { start, fingerprint: terminator.fingerprint };
                let large = counted.0.committed(counted.1, committed_by, group, &self.selection)?;
                return self.read_again(large).map(Some);
            }
            Ended::Sent(large) => {
                large.ensure_committed_by(&terminator)?;
                self.before.complete(&start);
                Vec::new()
            }
        };
        self.before.ensure_none_begun(&group)?;
        self.updates.judge(&mut committed, observer)?;
        Ok(Some(Step::Group(SourceTransaction {
            group,
            gtid: start.gtid,
            end,
            fingerprint: terminator.fingerprint,
            committed_at_us: start.committed_at_us,
            rows: committed,
            xa,
        })))
    }

    /// A large group is committed.
    fn read_again(&self, mut large: Large) -> Result<Step> {
        self.before.ensure_is_begun(&large)?;
        let (begins, bytes, limit) = (large.begins(), large.bytes, self.limits.large);
        let refuse = |what| {
            let what = format!("{begins}: {bytes} bytes of outbox rows in one {what} transaction, at most {limit}");
            Err(Error::new(Code::SourceTransactionTooLarge, what))
        };
        match bytes > limit {
            // The proof of history ends behind its rows, so no part of it can be committed alone.
            true if large.is_prepared() => return refuse("distributed"),
            true if !self.limits.split => return refuse("source"),
            above => large.split = above,
        }
        Ok(Step::Again(large))
    }

    /// Rows that are committed now, and what is prepared or decided; `None` for a group that was only read for its rows.
    fn outcome(
        &mut self,
        rows: Ended,
        start: &GroupStart,
        terminator: &Terminator,
    ) -> Result<Option<(Ended, Option<XaStep>)>> {
        let Terminator { end, fingerprint, .. } = terminator;
        Ok(Some(match end {
            GroupEnd::Commit => (rows, None),
            GroupEnd::Rollback => (rows.rolled_back(), None),
            GroupEnd::Prepare(xid) => {
                failpoint::hit("xa_prepare")?;
                let prepared = PreparedXa {
                    xid: xid.clone(),
                    gtid: start.gtid.clone(),
                    file: Arc::clone(&fingerprint.file),
                    start: start.start.offset,
                    end: fingerprint.end,
                    rows: !rows.is_empty(),
                };
                if self.undecided.prepare(prepared.clone(), rows)? {
                    return Ok(None);
                }
                (Ended::NOTHING, Some(XaStep::Prepared(prepared)))
            }
            GroupEnd::XaCommit(xid) => {
                failpoint::hit("xa_commit")?;
                ensure_no_rows(&rows, start)?;
                (self.decide(xid, start)?, Some(XaStep::Decided(xid.clone())))
            }
            GroupEnd::XaRollback(xid) => {
                ensure_no_rows(&rows, start)?;
                (self.decide(xid, start)?.rolled_back(), Some(XaStep::Decided(xid.clone())))
            }
            GroupEnd::Standalone => {
                ensure_no_rows(&rows, start)?;
                (Ended::NOTHING, None)
            }
        }))
    }

    /// The rows of a distributed transaction that is decided now. None are known of one that was prepared before the
    /// start position: they stand before it in the log.
    fn decide(&mut self, xid: &Xid, start: &GroupStart) -> Result<Ended> {
        let rows = self.undecided.decide(xid, &start.start)?;
        if rows.is_none() {
            tracing::warn!(%xid, at = %start.start, "decided XA transaction was prepared before the start position; \
                 rows that it may hold stand before it too and are not published");
        }
        Ok(rows.unwrap_or(Ended::NOTHING))
    }

    fn started_at(&self) -> String {
        self.start.as_ref().map(|start| start.start.to_string()).unwrap_or_else(|| "an unknown position".into())
    }
}

#[cfg(test)]
mod tests;
