//! Which topic a row goes to.

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::binlog::value;
use crate::config::{TopicPart, TopicTemplate};
use crate::outbox::OutboxRow;

/// Longest topic name that Kafka takes (`Topic.MAX_NAME_LENGTH`).
pub const MAX_TOPIC_LENGTH: usize = 249;

/// A topic that this run knows, by order of first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub u32);

/// What routing needs to know of a topic.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its id in this run.
    pub id: TopicId,
    /// Number of partitions.
    pub partitions: NonZeroU32,
    /// Largest record that it takes, bytes.
    pub max_record_bytes: usize,
}

/// Known topics by name.
#[derive(Debug, Default)]
pub struct Routes {
    topics: HashMap<Box<str>, Topic>,
    /// Reused for each row's topic name.
    name: Vec<u8>,
}

/// Why a row has no topic.
#[derive(Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The topic has not been looked up yet.
    Unknown(String),
    /// The name cannot be a topic's.
    Illegal(&'static str),
    /// The column cannot be rendered.
    Value(String),
}

impl Routes {
    /// Makes a topic known.
    pub fn add(&mut self, name: &str, topic: Topic) {
        self.topics.insert(name.into(), topic);
    }

    /// The name of the topic routed to last.
    pub fn last(&self) -> &str {
        std::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// The topic that `template` names for this row.
    pub fn route(&mut self, template: &TopicTemplate, row: &OutboxRow<'_>) -> Result<Topic, RouteError> {
        self.name.clear();
        for part in &template.0 {
            let field = match part {
                TopicPart::Literal(text) => {
                    self.name.extend_from_slice(text.as_bytes());
                    continue;
                }
                TopicPart::AggregateType => Some(row.aggregate_type()),
                TopicPart::EventType => row.event_type(),
            };
            let Some((kind, raw)) = field.and_then(|f| f.raw.map(|raw| (f.kind, raw))) else {
                return Err(RouteError::Illegal("the column that it is made of is NULL"));
            };
            value::write_value(kind, raw, &mut self.name).map_err(|e| RouteError::Value(e.to_string()))?;
        }
        let name = std::str::from_utf8(&self.name).map_err(|_| RouteError::Illegal("it is not UTF-8"))?;
        if let Some(topic) = self.topics.get(name) {
            return Ok(*topic);
        }
        check_name(name)?;
        Err(RouteError::Unknown(name.to_owned()))
    }
}

/// Kafka's rules for topic names, and ours: never an internal topic.
pub fn check_name(name: &str) -> Result<(), RouteError> {
    let illegal = |why| Err(RouteError::Illegal(why));
    match name {
        "" => illegal("it is empty"),
        "." | ".." => illegal("it is \".\" or \"..\""),
        _ if name.len() > MAX_TOPIC_LENGTH => illegal("it is longer than 249 characters"),
        _ if name.starts_with("__") => illegal("it is an internal topic"),
        _ if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) => {
            illegal("it has characters other than letters, digits, '.', '_' and '-'")
        }
        _ => Ok(()),
    }
}
