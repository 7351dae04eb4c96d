//! Promises of outboxd, each shown on real servers; a file a promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod delivers;
mod doubts_a_slow_commit;
mod drains_on_sigterm;
mod fences_the_older_instance;
mod holds_no_failpoint;
mod moves_on_without_rows;
mod refuses_without_checkpoint;
mod restart_moves_nothing;
mod resumes_exactly_once;
mod survives_broker_loss;
mod survives_source_loss;
