//! Binlog events → committed outbox rows.
//!
//! `transaction` is the state machine over event groups: savepoints, rollbacks and distributed transactions are resolved
//! there, and only rows of committed source transactions leave it (I9); `large` is for those that are too large to be held. `decode` finds the configured columns by name and lends each row's
//! cells out of the raw event, without copying.

mod before;
pub mod decode;
mod kept;
pub mod large;
mod savepoints;
pub mod transaction;
mod updates;
mod xa;

pub use before::Before;
pub use decode::{OutboxRow, Tables};
pub use large::{Large, Part};
pub use transaction::{Limits, SourceTransaction, Step, Transactions};
