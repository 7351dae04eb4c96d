//! `[outbox.NAME]`: tables, columns, topics, headers.

use super::checks::not_empty;
use super::settings::Settings;
use super::template::{TopicPart, TopicTemplate, parse_template};

/// Headers that outboxd writes itself.
const RESERVED: [&str; 2] = ["id", "outboxd-source"];

/// `[outbox.NAME]`: one outbox table and how its rows become records.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// NAME.
    pub name: String,
    /// Schema of the table.
    pub database: String,
    /// Table.
    pub table: String,
    /// Column for the header `id`.
    pub id: String,
    /// Column for `{aggregate_type}` in the topic.
    pub aggregate_type: String,
    /// Column for the key.
    pub aggregate_id: String,
    /// Column for `{event_type}` in the topic, if the template uses it.
    pub event_type: Option<String>,
    /// Column for the value.
    pub payload: String,
    /// Topic template.
    pub topic: TopicTemplate,
    /// Column for the record timestamp; else the commit's time.
    pub timestamp: Option<String>,
    /// Add the header `outboxd-source`.
    pub source_header: bool,
    /// What an update of an outbox row does.
    pub on_update: OnUpdate,
    /// `[outbox.NAME.headers]`: (header, column), in file order.
    pub headers: Vec<(String, String)>,
}

impl OutboxConfig {
    /// Every column that a row is read for; one may come twice.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let fixed = [&self.id, &self.aggregate_type, &self.aggregate_id, &self.payload];
        let optional = self.event_type.iter().chain(&self.timestamp);
        let headers = self.headers.iter().map(|(_, column)| column);
        fixed.into_iter().chain(optional).chain(headers).map(String::as_str)
    }
}

/// `on_update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUpdate {
    /// Stop the relay (OBX-3005).
    Stop,
    /// Count and log it.
    Warn,
    /// Publish the row as it is after the update.
    Emit,
}

/// Checks every outbox, then what must hold between them.
pub(super) fn outboxes(settings: &mut Settings<'_>, checkpoint_topic: Option<&str>) -> Vec<OutboxConfig> {
    let names = settings.outboxes();
    if names.is_empty() {
        settings.fail_key("outbox", "there is no [outbox.NAME] table: nothing to relay");
    }
    let outboxes: Vec<OutboxConfig> =
        names.iter().filter_map(|name| outbox(settings, name, checkpoint_topic)).collect();
    for (i, later) in outboxes.iter().enumerate() {
        let same = |earlier: &&OutboxConfig| earlier.database == later.database && earlier.table == later.table;
        if let Some(earlier) = outboxes.iter().take(i).find(same) {
            let message =
                format!("{}.{} is already the table of [outbox.{}]", later.database, later.table, earlier.name);
            settings.fail(&format!("outbox.{}.table", later.name), message);
        }
    }
    outboxes
}

fn outbox(settings: &mut Settings<'_>, name: &str, checkpoint_topic: Option<&str>) -> Option<OutboxConfig> {
    let key = |last: &str| format!("outbox.{name}.{last}");
    ensure_name(settings, name);
    let table = settings.checked(&key("table"), parse_table);
    let topic = settings.checked(&key("topic"), parse_template);
    let mut column = |last: &str| settings.checked(&key(last), not_empty);
    let (id, aggregate_type, aggregate_id) = (column("id"), column("aggregate_type"), column("aggregate_id"));
    let (event_type, payload, timestamp) = (column("event_type"), column("payload"), column("timestamp"));
    if let Some(topic) = &topic {
        if topic.0.contains(&TopicPart::EventType) && !settings.is_given(&key("event_type")) {
            settings.fail(
                &key("topic"),
                format!("{} uses {{event_type}}, but {} is not set", key("topic"), key("event_type")),
            );
        }
        if let ([TopicPart::Literal(literal)], Some(checkpoint)) = (topic.0.as_slice(), checkpoint_topic)
            && literal == checkpoint
        {
            settings.fail(
                &key("topic"),
                format!("{} = {literal:?} is the checkpoint topic: records would overwrite checkpoints", key("topic")),
            );
        }
    }
    let headers = headers(settings, &key("headers"));
    let on_update = match settings.text(&key("on_update"))?.as_str() {
        "warn" => OnUpdate::Warn,
        "emit" => OnUpdate::Emit,
        _ => OnUpdate::Stop,
    };
    let (database, table) = table?;
    Some(OutboxConfig {
        name: name.to_owned(),
        database,
        table,
        id: id?,
        aggregate_type: aggregate_type?,
        aggregate_id: aggregate_id?,
        event_type,
        payload: payload?,
        topic: topic?,
        timestamp,
        source_header: settings.flag(&key("source_header"))?,
        on_update,
        headers,
    })
}

/// The name is part of keys, of variables and of metric labels.
fn ensure_name(settings: &mut Settings<'_>, name: &str) {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        let message = format!("the outbox name {name:?} must be 1 to 64 letters, digits, `_` or `-`");
        settings.fail_table(&["outbox", name], message);
    }
}

/// Parses `schema.table`; the error completes the sentence "KEY = VALUE …".
fn parse_table(text: &str) -> Result<(String, String), String> {
    if let Some(c) = text.chars().find(|c| "%*?[]".contains(*c)) {
        return Err(format!(
            "has the wildcard {c:?}; patterns also match the copies of a schema change: name the table exactly"
        ));
    }
    if text.contains(['`', '"', '\'']) {
        return Err("must be schema.table without quotes".into());
    }
    match text.split_once('.') {
        Some((database, table)) if !database.is_empty() && !table.is_empty() && !table.contains('.') => {
            Ok((database.to_owned(), table.to_owned()))
        }
        _ => Err("must be schema.table".into()),
    }
}

fn headers(settings: &mut Settings<'_>, table: &str) -> Vec<(String, String)> {
    let headers = settings.entries(table);
    for (header, column) in &headers {
        let key = format!("{table}.{header}");
        if RESERVED.contains(&header.as_str()) {
            settings.fail_key(&key, format!("the header {header:?} is written by outboxd itself"));
        } else if column.is_empty() {
            settings.fail(&key, format!("{key} = \"\" is empty; it names the column of the header"));
        }
    }
    headers
}
