//! `topic` → [`TopicTemplate`]: literal text and the fields `{aggregate_type}`, `{event_type}`.

use super::keys::closest;

/// Kafka's longest topic name.
pub(super) const MAX_TOPIC: usize = 249;

const FIELDS: [&str; 2] = ["aggregate_type", "event_type"];

/// `topic`, parsed: literal parts and columns. `{aggregate_type}`, `{event_type}` are the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(pub Vec<TopicPart>);

impl TopicTemplate {
    /// The topic of a template without fields.
    pub fn literal(&self) -> Option<String> {
        let part = |part: &TopicPart| match part {
            TopicPart::Literal(text) => Some(text.clone()),
            TopicPart::AggregateType | TopicPart::EventType => None,
        };
        self.0.iter().map(part).collect()
    }
}

/// One part of a topic template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPart {
    /// Text as it is.
    Literal(String),
    /// The row's aggregate type.
    AggregateType,
    /// The row's event type.
    EventType,
}

/// Parses a template; the error completes the sentence "KEY = VALUE …".
pub(super) fn parse_template(text: &str) -> Result<TopicTemplate, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, field) = rest.split_at(open);
        let inner = field.strip_prefix('{').ok_or("has a `}` without a `{`")?;
        let (name, after) = inner.split_once('}').ok_or("has a `{` without a `}`")?;
        push_literal(&mut parts, literal)?;
        parts.push(match name {
            "aggregate_type" => TopicPart::AggregateType,
            "event_type" => TopicPart::EventType,
            _ => return Err(unknown_field(name)),
        });
        rest = after;
    }
    push_literal(&mut parts, rest)?;
    let template = TopicTemplate(parts);
    match template.0.as_slice() {
        [] => Err("is empty".into()),
        [TopicPart::Literal(name)] => ensure_topic_name(name).map(|()| template),
        [TopicPart::Literal(start), ..] if start.starts_with("__") => Err(INTERNAL.into()),
        _ if literal_length(&template) > MAX_TOPIC => Err(too_long(literal_length(&template))),
        _ => Ok(template),
    }
}

const INTERNAL: &str = "begins with `__`: such topics are internal to Kafka";

/// Refuses a name that Kafka would refuse, or that is Kafka's own.
pub(super) fn ensure_topic_name(name: &str) -> Result<(), String> {
    ensure_legal(name)?;
    match name {
        "" => Err("is empty".into()),
        "." | ".." => Err("is not a legal topic name".into()),
        _ if name.starts_with("__") => Err(INTERNAL.into()),
        _ if name.len() > MAX_TOPIC => Err(too_long(name.len())),
        _ => Ok(()),
    }
}

fn push_literal(parts: &mut Vec<TopicPart>, literal: &str) -> Result<(), String> {
    ensure_legal(literal)?;
    if !literal.is_empty() {
        parts.push(TopicPart::Literal(literal.to_owned()));
    }
    Ok(())
}

fn ensure_legal(text: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.chars().find(|c| !legal(*c)).map_or(Ok(()), |c| {
        Err(format!("has the character {c:?}; Kafka allows letters, digits, `.`, `_` and `-` in a topic name"))
    })
}

fn literal_length(template: &TopicTemplate) -> usize {
    template.0.iter().map(|part| if let TopicPart::Literal(text) = part { text.len() } else { 0 }).sum()
}

fn too_long(length: usize) -> String {
    format!("is {length} characters long; Kafka allows {MAX_TOPIC}")
}

fn unknown_field(name: &str) -> String {
    let end = closest(name, FIELDS).map_or_else(
        || "the fields are {aggregate_type} and {event_type}".to_owned(),
        |field| format!("did you mean {{{field}}}?"),
    );
    format!("uses the unknown field {{{name}}}; {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_literals() {
        let parsed = parse_template("a.{aggregate_type}-{event_type}").unwrap();
        let literal = |text: &str| TopicPart::Literal(text.into());
        assert_eq!(parsed.0, [literal("a."), TopicPart::AggregateType, literal("-"), TopicPart::EventType]);
        assert_eq!(parse_template("{event_type}").unwrap().0, [TopicPart::EventType]);
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("", "is empty"),
            ("..", "is not a legal topic name"),
            ("__offsets", INTERNAL),
            ("__{event_type}", INTERNAL),
            ("{typ}", "uses the unknown field {typ}; the fields are {aggregate_type} and {event_type}"),
            ("{aggregatetype}", "uses the unknown field {aggregatetype}; did you mean {aggregate_type}?"),
            ("a{event_type", "has a `{` without a `}`"),
            ("a}", "has a `}` without a `{`"),
            ("a/{event_type}", "has the character '/'; Kafka allows letters, digits, `.`, `_` and `-` in a topic name"),
        ] {
            assert_eq!(parse_template(text), Err(message.into()), "{text}");
        }
        let long = "x".repeat(250);
        assert_eq!(parse_template(&long), Err(too_long(250)));
        assert_eq!(parse_template(&format!("{{event_type}}{long}")), Err(too_long(250)));
        assert!(parse_template(&"x".repeat(249)).is_ok());
    }
}
