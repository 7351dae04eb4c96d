//! Promises of outboxd, each shown on real servers; a file a promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod delivers;
mod proves_the_history;
mod reads_every_committed_row;
