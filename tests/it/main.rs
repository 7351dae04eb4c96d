//! Promises of outboxd, each shown on real servers; a file a promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod delivers;
mod holds_no_failpoint;
mod resumes_exactly_once;
