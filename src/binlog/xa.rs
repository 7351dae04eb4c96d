//! Distributed transactions in the log: their ids, and what is known of one between its PREPARE and its decision.
//!
//! A prepared transaction stands in the log as a group of its own, ended by XA_PREPARE_LOG_EVENT; `XA COMMIT` or `XA
//! ROLLBACK` follows as another group, at any time and in any session (MySQL manual, "XA Transactions"; WL#6860).
#![deny(clippy::indexing_slicing)]

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bytes::{DecodeError, Reader};
use super::event::gtid_text;
use crate::position::{FilePosition, GroupPosition, Gtid};

/// Longest global and branch part together (`XIDDATASIZE`).
const MAX_DATA: u64 = 128;

/// The id of a distributed transaction, in the form in which the server writes it: `X'6162',X'',1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Xid(Arc<str>);

impl Xid {
    /// The text behind `XA COMMIT` or `XA ROLLBACK`: three parts as the server writes them. `None` for any other form.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(',').map(str::trim);
        let (global, branch, format) = (parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str| {
            let digits = part.strip_prefix(['X', 'x']).and_then(|p| p.strip_prefix('\'')?.strip_suffix('\''));
            digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !is_hex(global) || !is_hex(branch) || !is_number(format) {
            return None;
        }
        let digits = |part: &str| part.get(1..).unwrap_or_default().to_ascii_lowercase();
        Some(Self(format!("X{},X{},{format}", digits(global), digits(branch)).into()))
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The body of XA_PREPARE_LOG_EVENT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XaPrepare {
    /// Which transaction.
    pub xid: Xid,
    /// `XA COMMIT … ONE PHASE`: committed here and now.
    pub one_phase: bool,
}

impl XaPrepare {
    /// Decodes the body: a flag, the format id, both lengths, then both parts.
    ///
    /// # Errors
    /// A body that ends early or claims a longer id than there are.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "XA prepare event";
        let mut r = Reader::new(body);
        let one_phase = r.u8(WHAT)? != 0;
        let format = r.uint(4, WHAT)?;
        let (global, branch) = (r.uint(4, WHAT)?, r.uint(4, WHAT)?);
        if global + branch > MAX_DATA {
            return Err(r.malformed(WHAT));
        }
        let mut hex = |len: u64| {
            let bytes = r.take(usize::try_from(len).unwrap_or(usize::MAX), WHAT)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        let (global, branch) = (hex(global)?, hex(branch)?);
        Ok(Self { xid: Xid(format!("X'{global}',X'{branch}',{format}").into()), one_phase })
    }
}

/// A distributed transaction that was prepared and is not decided yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedXa {
    /// Which.
    pub xid: Xid,
    /// GTID of the group that prepared it; absent for an anonymous group.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "gtid_text")]
    pub gtid: Option<Gtid>,
    /// Binlog file of that group.
    pub file: Arc<str>,
    /// Where the group begins in it.
    pub start: u64,
    /// Where the group ends.
    pub end: u64,
    /// Whether it wrote outbox rows: then the group is read again at each start.
    pub rows: bool,
}

impl PreparedXa {
    /// The identity of the group that prepared it.
    pub fn group(&self) -> GroupPosition {
        match &self.gtid {
            Some(gtid) => GroupPosition::Gtid(gtid.clone()),
            None => GroupPosition::File(FilePosition { file: Arc::clone(&self.file), offset: self.end }),
        }
    }

    /// Where that group begins.
    pub fn starts_at(&self) -> FilePosition {
        FilePosition { file: Arc::clone(&self.file), offset: self.start }
    }
}

impl fmt::Display for PreparedXa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XA transaction {}, prepared at {}", self.xid, self.starts_at())?;
        self.gtid.as_ref().map_or(Ok(()), |gtid| write!(f, " ({gtid})"))
    }
}

/// How a group changes what is prepared and undecided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XaStep {
    /// A transaction was prepared.
    Prepared(PreparedXa),
    /// A transaction was committed or rolled back.
    Decided(Xid),
}

impl XaStep {
    /// Adds a step to those before it; what is prepared and decided within leaves no trace.
    pub fn append(self, steps: &mut Vec<Self>) {
        if let Self::Decided(xid) = &self
            && let Some(at) = steps.iter().rposition(|step| matches!(step, Self::Prepared(p) if p.xid == *xid))
        {
            steps.remove(at);
            return;
        }
        steps.push(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_and_a_statement_of_one_transaction_have_the_same_id() {
        let body = |one_phase: u8| [&[one_phase, 7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], b"aZb".as_slice()].concat();
        let prepare = XaPrepare::decode(&body(0)).unwrap();
        assert_eq!(prepare.xid.to_string(), "X'615a',X'62',7");
        assert_eq!(Some(&prepare.xid), Xid::parse(b"X'615a',X'62',7").as_ref());
        assert_eq!(Some(&prepare.xid), Xid::parse(b"X'615A', X'62' ,7").as_ref());
        assert!(!prepare.one_phase && XaPrepare::decode(&body(1)).unwrap().one_phase);
        assert_eq!(Xid::parse(b"X'61',X'',1").unwrap().to_string(), "X'61',X'',1");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in
            ["", "'a'", "X'61'", "X'61',X''", "X'6g',X'',1", "X'61',X'',1 ONE PHASE", "X'61',X'',1,2", "X'61',X'',"]
        {
            assert_eq!(Xid::parse(text.as_bytes()), None, "{text}");
        }
        for body in [&[][..], &[0; 12], &[0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1], &[255; 13]] {
            assert!(XaPrepare::decode(body).is_err(), "{body:?}");
        }
    }
}
