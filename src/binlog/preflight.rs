//! Settings without which committed rows could be missing from the log or be unreadable. Checked on every connect; all
//! findings are reported at once, each with the statement that mends it. One small function for each setting: facts in,
//! finding out.

use crate::config::Config;
use crate::findings::Finding;

use super::server::Server;
use tables::TableFacts;

mod checks;
pub mod tables;

/// What the checks look at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The server.
    pub server: &'a Server,
    /// The outbox tables, in configuration order.
    pub tables: &'a [TableFacts],
    /// What outboxd is to do there.
    pub config: &'a Config,
    /// There is a checkpoint: rows that were logged before a table was altered may still have to be read.
    pub resuming: bool,
}

/// Every check, in the order in which a human would look.
pub fn inspect(facts: &Facts<'_>) -> Vec<Finding> {
    let server = facts.server;
    let settings = &server.settings;
    let mut found = checks::privileges(server);
    found.extend([
        checks::log_bin(settings),
        checks::row_format(settings),
        checks::row_image(settings),
        checks::row_metadata(settings, facts.config.source.column_names),
        checks::error_action(settings),
        checks::replicated_rows_are_logged(settings),
        checks::server_id(server),
        checks::own_server_id(server, &facts.config.source),
        checks::gtid_mode(server),
        checks::sync_binlog(settings),
        checks::flush_at_commit(settings),
        checks::checksum(settings),
        checks::retention(settings),
        checks::commit_order(settings),
        checks::clock(settings),
        checks::tls(settings, &facts.config.source),
    ]);
    for (outbox, table) in facts.config.outboxes.iter().zip(facts.tables) {
        found.push(checks::schema_is_logged(settings, outbox));
        found.extend(settings.channels.iter().map(|channel| checks::is_replicated(channel, outbox)));
        found.push(tables::exists(table, outbox, &server.account));
        found.extend(tables::is_transactional(table, outbox));
        found.extend(tables::has_columns(table, outbox, facts.resuming));
        found.extend(tables::has_showable_columns(table, outbox));
    }
    if server.mariadb.is_some() {
        found.iter_mut().for_each(checks::in_mariadbs_words);
    }
    found
}

#[cfg(test)]
mod tests;
