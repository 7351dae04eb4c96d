//! Promises of outboxd, each shown on real servers; a file a promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod answers_on_http;
mod carries_large_rows;
mod carries_several_outboxes;
mod delivers;
mod prints_json_as_mysql_stores_it;
mod proves_the_history;
mod reads_every_committed_row;
mod speaks_tls;
mod stops_rather_than_guesses;
mod writes_what_debezium_writes;
