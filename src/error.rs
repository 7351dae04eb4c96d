//! One error type, one catalogue.
//!
//! Every condition that an operator can meet has a stable [`Code`] (`OBX-nnnn`). The code decides what the relay does
//! about it ([`Disposition`]) and with which status the process ends; the catalogue (`error/catalogue.rs`) says why it
//! matters and how to mend it. `docs/errors.md` is generated from the same catalogue and checked by a test.

use std::error::Error as StdError;
use std::fmt;

mod catalogue;
pub use catalogue::Code;

/// The relay's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the supervisor does about an error. See `relay::supervise`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Tear the run down, back off, run again: the cause is outside and may pass.
    Restart,
    /// Stop the process: going on could lose, repeat or change a row, or a human has to decide.
    Halt,
    /// Another instance of the same relay name took over: stop and name it.
    Fenced,
    /// A defect of outboxd itself: stop loudly.
    Bug,
}

/// Exit statuses, after BSD `sysexits.h`; `docs/operations.md` lists them for service managers.
pub mod exit {
    /// Clean stop.
    pub const OK: u8 = 0;
    /// Another instance with the same name took over.
    pub const FENCED: u8 = 3;
    /// `EX_DATAERR`: the source's data or history needs a decision.
    pub const DATA: u8 = 65;
    /// `EX_UNAVAILABLE`: MySQL or Kafka cannot be reached.
    pub const UNAVAILABLE: u8 = 69;
    /// `EX_SOFTWARE`: a defect of outboxd.
    pub const BUG: u8 = 70;
    /// `EX_TEMPFAIL`: start me again.
    pub const TEMPORARY: u8 = 75;
    /// `EX_NOPERM`: a privilege is missing.
    pub const PERMISSION: u8 = 77;
    /// `EX_CONFIG`: the configuration, or a setting of a server, is not usable.
    pub const CONFIG: u8 = 78;
}

/// An error as an operator sees it: a code, what happened and where, and the cause below it.
///
/// `Display` shows this level only; [`Error::report`] shows the chain, the reason and the fix.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    message: String,
    fix: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `message` says what happened and where (a position, a setting, a topic), never a row's value.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), fix: None, source: None }))
    }

    /// Replaces the catalogue's general fix with the exact one for this case.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// Keeps the underlying error. Only pass errors whose text cannot hold row values or secrets.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened and where, without code, reason or fix.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How to mend it.
    pub fn fix(&self) -> &str {
        self.0.fix.as_deref().unwrap_or(self.0.code.fix())
    }

    /// What the supervisor does about it.
    pub fn disposition(&self) -> Disposition {
        self.0.code.disposition()
    }

    /// The process's exit status if this error ends it.
    pub fn exit_code(&self) -> u8 {
        self.0.code.exit_code()
    }

    /// The message and its causes, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// Several lines for a terminal: code and message with its causes, then why and fix.
    pub fn report(&self) -> String {
        format!("error {}: {}\n  why: {}\n  fix: {}", self.0.code, self.chain(), self.0.code.why(), self.fix())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
