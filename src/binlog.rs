//! Reading the source: raw binlog events → [`event::BinlogEvent`], a closed enum of what the relay acts on.
//!
//! ```text
//! connect ─▶ server facts ─▶ preflight ─▶ history ─▶ stream ─▶ interpret ─▶ BinlogEvent
//!            (a few queries) findings      rewind one  socket,   pure
//!                                         and verify  watchdog
//! ```
//!
//! `columns` asks the server what the outbox tables look like now. `table`, `rows`, `value` and `jsonb` decode row images; they are pure, never panic on input, and are only ever used
//! on rows of outbox tables.

mod bytes;
mod charset;
mod debezium;
mod decimal;
mod java_float;
mod mariadb_types;
mod temporal;

pub mod begun;
pub mod columns;
pub mod connect;
pub mod event;
pub mod history;
pub mod interpret;
pub mod jsonb;
pub mod preflight;
pub mod rows;
pub mod server;
pub mod statement;
pub mod stream;
pub mod table;
pub mod value;
pub mod xa;

#[cfg(test)]
pub(crate) mod testing;

pub use bytes::DecodeError;
pub use charset::{Charset, MultiByte, SingleByte};

#[cfg(test)]
mod tests;
