//! outboxd carries committed MySQL outbox rows to Kafka exactly once.
//!
//! ```text
//! socket bytes ─▶ BinlogEvent ─▶ OutboxRow ─▶ Record ─▶ Batch ─▶ Delivery ─▶ Checkpoint
//!  mysql_async      binlog/       outbox/     record/   batch    delivery/   checkpoint/
//!       └──── source task: pure after the socket ────┘ bounded  └─ delivery task ─┘
//!                                                      by bytes
//! start-up:  fence the producer ─▶ read the checkpoint ─▶ prove the source is the same ─▶ stream
//! ```
//!
//! Promised: every committed insert into a configured outbox table becomes exactly one record for `read_committed`
//! consumers, in source order per key, all records of a source transaction visible together, nothing that was rolled
//! back. Not promised: anything for `read_uncommitted` consumers, or for rows that the binary log does not carry.
//! `docs/guarantees.md` has the whole list; `relay::run_once` is the place to start reading.

// Modules in the order of the data flow, then what serves all of them.
pub mod position;

pub mod batch;
pub mod binlog;
pub mod checkpoint;
pub mod delivery;
pub mod outbox;
pub mod record;

pub mod relay;

pub mod admin;
pub mod backoff;
pub mod channel;
pub mod config;
pub mod error;
pub mod failpoint;
pub mod findings;
pub mod kafka;
pub mod shutdown;
pub mod standby;
pub mod telemetry;

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod mutants;
