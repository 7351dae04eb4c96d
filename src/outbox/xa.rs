//! Rows of distributed transactions between their PREPARE and their decision.
//!
//! What is kept of them waits for the group that commits them. After a start the groups that were prepared before it are
//! read again: until then their rows are awaited.

use std::collections::HashMap;

use super::kept::Ended;
use crate::binlog::xa::{PreparedXa, Xid};
use crate::error::{Code, Error, Result};
use crate::position::{FilePosition, GroupPosition};

/// What is prepared and undecided.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    /// With their rows; without, as long as their groups have not been read again.
    transactions: HashMap<Xid, (PreparedXa, Option<Ended>)>,
    /// Bytes of held row events.
    bytes: usize,
}

impl Undecided {
    /// `prepared`: what the checkpoint says.
    pub(super) fn new(prepared: Vec<PreparedXa>) -> Self {
        let entry = |prepared: PreparedXa| {
            let rows = (!prepared.rows).then_some(Ended::NOTHING);
            (prepared.xid.clone(), (prepared, rows))
        };
        Self { transactions: prepared.into_iter().map(entry).collect(), bytes: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Bytes of held row events.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the rows of a prepared transaction; true if its group was read again, so that the checkpoint knows it.
    pub(super) fn prepare(&mut self, prepared: PreparedXa, rows: Ended) -> Result<bool> {
        let bytes = rows.size();
        let again = match self.transactions.get_mut(&prepared.xid) {
            None => false,
            Some((known, awaited @ None)) if known.group() == prepared.group() => {
                *awaited = Some(rows);
                self.bytes += bytes;
                return Ok(true);
            }
            Some(_) => true,
        };
        // A group that was read again must prepare what it prepared before.
        let awaited = self
            .transactions
            .values()
            .any(|(known, rows)| rows.is_none() && known.group() == prepared.group() && known.xid != prepared.xid);
        if again || awaited {
            let what = if awaited { "another transaction was prepared there before" } else { "it is not decided yet" };
            return Err(Error::new(Code::EventUndecodable, format!("{prepared}, contradicts the log: {what}")));
        }
        self.bytes += bytes;
        self.transactions.insert(prepared.xid.clone(), (prepared, Some(rows)));
        Ok(false)
    }

    /// Ends a transaction and answers with its rows; `None` if it was prepared before everything that was ever read.
    pub(super) fn decide(&mut self, xid: &Xid, at: &FilePosition) -> Result<Option<Ended>> {
        match self.transactions.remove(xid) {
            None => Ok(None),
            Some((_, Some(rows))) => {
                self.bytes -= rows.size();
                Ok(Some(rows))
            }
            Some((prepared, None)) => {
                let what = format!("{prepared}: decided at {at}, but its rows were not read again before");
                Err(Error::new(Code::EventUndecodable, what))
            }
        }
    }

    /// No group may come between rows that have left and the one that commits them.
    ///
    /// # Errors
    /// `HistoryChanged`; nothing of it is visible yet.
    pub(super) fn ensure_none_sent(&self, ended: &GroupPosition) -> Result<()> {
        let is_sent = |(_, rows): &&(PreparedXa, Option<Ended>)| matches!(rows, Some(Ended::Sent(_)));
        let Some((prepared, _)) = self.transactions.values().find(is_sent) else { return Ok(()) };
        let what = format!("source history changed: expected the commit of {prepared}, found {ended}");
        Err(Error::new(Code::HistoryChanged, what))
    }
}
