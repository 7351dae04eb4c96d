//! Binlog events → committed outbox rows.
//!
//! `transaction` is the state machine over event groups: savepoints, rollbacks and distributed transactions are resolved
//! there, and only rows of committed source transactions leave it (I9). `decode` finds the configured columns by name and lends each row's
//! cells out of the raw event, without copying.

pub mod decode;
mod savepoints;
pub mod transaction;
mod xa;

pub use decode::{OutboxRow, Tables};
pub use transaction::{SourceTransaction, Transactions};
