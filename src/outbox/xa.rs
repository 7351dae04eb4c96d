//! Rows of distributed transactions between their PREPARE and their decision.
//!
//! They are held as they came, and leave with the group that commits them. After a start the groups that were prepared
//! before it are read again: until then their rows are awaited.

use std::collections::HashMap;

use crate::binlog::event::OutboxRows;
use crate::binlog::xa::{PreparedXa, Xid};
use crate::error::{Code, Error, Result};
use crate::position::FilePosition;

/// A prepared transaction's rows.
#[derive(Debug)]
enum Rows {
    /// Its group has not been read again yet.
    Awaited,
    /// All of them.
    Held(Vec<OutboxRows>),
}

/// What is prepared and undecided.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    transactions: HashMap<Xid, (PreparedXa, Rows)>,
    /// Bytes of held row events.
    bytes: usize,
}

impl Undecided {
    /// `prepared`: what the checkpoint says.
    pub(super) fn new(prepared: Vec<PreparedXa>) -> Self {
        let entry = |prepared: PreparedXa| {
            let rows = if prepared.rows { Rows::Awaited } else { Rows::Held(Vec::new()) };
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
    pub(super) fn prepare(&mut self, prepared: PreparedXa, rows: Vec<OutboxRows>) -> Result<bool> {
        let bytes = size(&rows);
        let again = match self.transactions.get_mut(&prepared.xid) {
            None => false,
            Some((known, held @ Rows::Awaited)) if known.group() == prepared.group() => {
                *held = Rows::Held(rows);
                self.bytes += bytes;
                return Ok(true);
            }
            Some(_) => true,
        };
        // A group that was read again must prepare what it prepared before.
        let awaited = self.transactions.values().any(|(known, rows)| {
            matches!(rows, Rows::Awaited) && known.group() == prepared.group() && known.xid != prepared.xid
        });
        if again || awaited {
            let what = if awaited { "another transaction was prepared there before" } else { "it is not decided yet" };
            return Err(Error::new(Code::EventUndecodable, format!("{prepared}, contradicts the log: {what}")));
        }
        self.bytes += bytes;
        self.transactions.insert(prepared.xid.clone(), (prepared, Rows::Held(rows)));
        Ok(false)
    }

    /// Ends a transaction and answers with its rows; `None` if it was prepared before everything that was ever read.
    pub(super) fn decide(&mut self, xid: &Xid, at: &FilePosition) -> Result<Option<Vec<OutboxRows>>> {
        match self.transactions.remove(xid) {
            None => Ok(None),
            Some((_, Rows::Held(rows))) => {
                self.bytes -= size(&rows);
                Ok(Some(rows))
            }
            Some((prepared, Rows::Awaited)) => {
                let what = format!("{prepared}: decided at {at}, but its rows were not read again before");
                Err(Error::new(Code::EventUndecodable, what))
            }
        }
    }
}

pub(super) fn size(rows: &[OutboxRows]) -> usize {
    rows.iter().map(|rows| rows.event.data().len()).sum()
}
