//! Promises of outboxd, each shown on real servers; a file a promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod answers_on_http;
mod carries_large_rows;
mod carries_several_outboxes;
mod decides_unknown_outcomes;
mod delivers;
mod diagnoses;
mod drains_on_sigterm;
mod fences_the_older_instance;
mod follows_a_failover;
mod holds_no_failpoint;
#[cfg(feature = "failpoints")]
mod leaks_nothing;
mod leaves_its_successor_alone;
mod moves_on_without_rows;
mod names_columns_without_metadata;
mod notices_other_histories;
mod notices_silence;
mod obeys_the_update_policy;
mod prints_json_as_mysql_stores_it;
mod proves_the_history;
mod reads_every_committed_row;
mod reads_mariadb;
mod refuses_stray_commits;
mod refuses_without_checkpoint;
mod restart_moves_nothing;
mod resumes_exactly_once;
mod shows_every_value;
mod soak_binlog;
mod soak_large;
mod speaks_tls;
mod splits_oversize_transactions;
mod starts_where_it_is_told;
mod stops_rather_than_guesses;
mod streams_large_transactions;
mod survives_broker_loss;
mod survives_cluster_faults;
mod survives_faults_together;
mod survives_lost_requests;
mod survives_source_loss;
mod survives_topic_changes;
mod takes_over;
mod waits_for_xa_decisions;
mod writes_what_debezium_writes;
