//! Merged values → typed values, by the table of keys. Every mistake found is kept; the accessors answer `None` for a
//! value that is missing or mistaken, so that the sections can go on checking the rest.

use super::diagnose::{Mistake, Place};
use super::document::{Document, Part};
use super::keys::{self, KEYS, Kind, Presence};
use super::layers::{Leaf, Merged, Origin};
use super::units;
use config::ValueKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// A value of the right type, within its range.
#[derive(Clone)]
pub(super) enum Typed {
    Text(String),
    Integer(i64),
    Flag(bool),
    Duration(Duration),
    Size(u64),
    List(Vec<String>),
}

/// The typed settings, and the mistakes so far.
pub(super) struct Settings<'a> {
    document: &'a Document,
    merged: Merged,
    values: BTreeMap<String, Typed>,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Settings<'a> {
    /// Types every key: what was given, else the default.
    pub(super) fn new(document: &'a Document, merged: Merged, mistakes: Vec<Mistake>) -> Self {
        let mut settings = Self { document, merged, values: BTreeMap::new(), mistakes };
        settings.read_given();
        settings.fill_in();
        settings
    }

    fn read_given(&mut self) {
        let mut found = Vec::new();
        for (key, leaf) in self.merged.leaves.iter().filter(|(_, leaf)| !matches!(leaf.value, ValueKind::Nil)) {
            let known = if is_property(key) { Some(Kind::Property) } else { find(key).map(|known| known.kind) };
            let Some(kind) = known else { continue };
            found.push((key.clone(), read(key, kind, &leaf.value, leaf.origin == Origin::File)));
        }
        for (key, result) in found {
            match result {
                Ok(value) => drop(self.values.insert(key, value)),
                Err(message) => self.fail(&key, message),
            }
        }
    }

    fn fill_in(&mut self) {
        for known in KEYS.iter().filter(|known| !known.path.ends_with(".*")) {
            let paths: Vec<String> = match known.path.strip_prefix("outbox.*.") {
                Some(key) => self.merged.outboxes.iter().map(|name| format!("outbox.{name}.{key}")).collect(),
                None => vec![known.path.to_owned()],
            };
            for path in paths {
                if self.is_given(&path) {
                    continue;
                }
                match known.presence {
                    Presence::Optional(_) => {}
                    Presence::Required => self.fail(&path, format!("{path} is required")),
                    Presence::Default(text) => match read(&path, known.kind, &ValueKind::String(text.into()), false) {
                        Ok(value) => drop(self.values.insert(path, value)),
                        Err(message) => self.fail(&path, message),
                    },
                }
            }
        }
    }

    /// Reports a mistake in the value of `key`, or at the table where it is missing.
    pub(super) fn fail(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key, Part::Value, None);
        self.mistakes.push(Mistake::error(place, message));
    }

    /// Reports a mistake in one item of a list.
    pub(super) fn fail_item(&mut self, key: &str, index: usize, message: String) {
        let place = self.place(key, Part::Value, Some(index));
        self.mistakes.push(Mistake::error(place, message));
    }

    /// Reports that the key itself is a mistake, or how it relates to others.
    pub(super) fn fail_key(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key, Part::Key, None);
        self.mistakes.push(Mistake::error(place, message));
    }

    /// Reports a mistake in the name of a table.
    pub(super) fn fail_table(&mut self, path: &[&str], message: String) {
        let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
        let place = self.document.locate(&path, Part::Key, false).unwrap_or(Place::Nowhere);
        self.mistakes.push(Mistake::error(place, message));
    }

    /// Reports what is allowed, but should be known.
    pub(super) fn warn(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key, Part::Value, None);
        self.mistakes.push(Mistake::warning(place, message));
    }

    fn place(&self, key: &str, part: Part, item: Option<usize>) -> Place {
        let leaf = self.merged.leaves.get(key);
        match leaf.map(|leaf| &leaf.origin) {
            Some(Origin::Variable(name)) => return Place::Variable(name.clone()),
            Some(Origin::Flag(flag)) => return Place::Flag(flag.clone()),
            Some(Origin::File) | None => {}
        }
        let mut path = leaf.map_or_else(|| key.split('.').map(str::to_owned).collect(), |leaf| leaf.path.clone());
        path.extend(item.map(|index| index.to_string()));
        let hide = find(key).is_some_and(|known| matches!(known.kind, Kind::Secret));
        self.document.locate(&path, part, hide).unwrap_or(Place::Nowhere)
    }

    /// Whether a layer gives this key, mistaken or not.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.merged.leaves.contains_key(key)
    }

    /// The layer that a key comes from.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.merged.leaves.get(key).map(|leaf| &leaf.origin)
    }

    /// The names in `[outbox.*]`, in the order of the file.
    pub(super) fn outboxes(&self) -> Vec<String> {
        let mut names = self.merged.outboxes.clone();
        names.sort_by_key(|name| (self.document.order_below(&["outbox".to_owned()], name), name.clone()));
        names
    }

    /// The entries of a table whose names the file chooses, in the order of the file.
    pub(super) fn entries(&self, table: &str) -> Vec<(String, String)> {
        let start = format!("{table}.");
        let below = |(key, leaf): (&String, &Leaf)| {
            let name = key.strip_prefix(&start)?.to_owned();
            let Some(Typed::Text(value)) = self.values.get(key) else { return None };
            Some((self.document.order(&leaf.path), name, value.clone()))
        };
        let mut found: Vec<_> = self.merged.leaves.iter().filter_map(below).collect();
        found.sort();
        found.into_iter().map(|(_, name, value)| (name, value)).collect()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.values.get(key)? {
            Typed::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.values.get(key)? {
            Typed::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key)? {
            Typed::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        match self.values.get(key)? {
            Typed::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    pub(super) fn size(&self, key: &str) -> Option<usize> {
        match self.values.get(key)? {
            Typed::Size(bytes) => usize::try_from(*bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn list(&self, key: &str) -> Option<Vec<String>> {
        match self.values.get(key)? {
            Typed::List(items) => Some(items.clone()),
            _ => None,
        }
    }

    /// Checks a text; `check`'s error completes the sentence "KEY = VALUE …".
    pub(super) fn checked<T>(&mut self, key: &str, check: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        match check(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fail(key, format!("{key} = {} {problem}", quoted(&text)));
                None
            }
        }
    }
}

fn find(key: &str) -> Option<&'static keys::Key> {
    keys::find(&key.split('.').collect::<Vec<_>>())
}

fn is_property(key: &str) -> bool {
    key.starts_with("kafka.librdkafka.")
}

/// A value as TOML shows it, cut if it is long; an address may hold `user:password@`.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('@') {
        return "\"…@…\"".to_owned();
    }
    const LONGEST: usize = 80;
    let cut: String = text.chars().take(LONGEST).collect();
    if cut.len() == text.len() { format!("{cut:?}") } else { format!("{cut:?}…") }
}

/// Types one value. Text from outside the file is read as the kind wants it; in the file the TOML type must match.
fn read(key: &str, kind: Kind, value: &ValueKind, in_file: bool) -> Result<Typed, String> {
    let wrong = |expected: &str| Err(format!("{key} must be {expected}, not {}", type_name(value)));
    match (kind, value) {
        (Kind::Text | Kind::Secret | Kind::Property, ValueKind::String(text)) => Ok(Typed::Text(text.clone())),
        (Kind::Property, ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::Float(_)) => {
            Ok(Typed::Text(value.to_string()))
        }
        (Kind::Text | Kind::Secret, _) => wrong("text in quotes"),
        (Kind::Property, _) => wrong("text, a number, true or false"),
        (Kind::Choice(words), ValueKind::String(text)) => choose(key, text, words),
        (Kind::Choice(words), _) => wrong(&format!("one of {}", words.join(", "))),
        (Kind::Integer(min, max), ValueKind::I64(number)) => in_range(key, *number, min, max),
        (Kind::Integer(min, max), ValueKind::String(text)) if !in_file => match text.trim().parse() {
            Ok(number) => in_range(key, number, min, max),
            Err(_) => Err(format!("{key} = {} is not a whole number", quoted(text))),
        },
        (Kind::Integer(..), _) => wrong("a whole number without quotes"),
        (Kind::Flag, ValueKind::Boolean(flag)) => Ok(Typed::Flag(*flag)),
        (Kind::Flag, ValueKind::String(text)) if !in_file => match text.trim() {
            "true" => Ok(Typed::Flag(true)),
            "false" => Ok(Typed::Flag(false)),
            _ => Err(format!("{key} = {} is neither true nor false", quoted(text))),
        },
        (Kind::Flag, _) => wrong("true or false without quotes"),
        (Kind::Duration(min, max), ValueKind::String(text)) => duration(key, text, min, max),
        (Kind::Duration(..), ValueKind::I64(number)) => {
            Err(format!("{key} = {number} needs a unit, in quotes, e.g. \"{number}s\""))
        }
        (Kind::Duration(..), _) => wrong("a duration in quotes, e.g. \"10s\""),
        (Kind::Size(min, max), ValueKind::String(text)) => size(key, text, min, max),
        (Kind::Size(..), ValueKind::I64(number)) => {
            Err(format!("{key} = {number} needs a unit, in quotes, e.g. \"{number}MiB\""))
        }
        (Kind::Size(..), _) => wrong("a size in quotes, e.g. \"16MiB\""),
        (Kind::List, ValueKind::Array(items)) => {
            let texts = items.iter().map(|item| match &item.kind {
                ValueKind::String(text) => Ok(text.trim().to_owned()),
                other => Err(format!("{key} must be a list of texts, not of {}", type_name(other))),
            });
            texts.collect::<Result<_, _>>().map(Typed::List)
        }
        (Kind::List, ValueKind::String(text)) if !in_file => {
            Ok(Typed::List(text.split(',').map(|item| item.trim().to_owned()).collect()))
        }
        (Kind::List, _) => wrong("a list of texts, e.g. [\"a\", \"b\"]"),
    }
}

fn choose(key: &str, text: &str, words: &[&'static str]) -> Result<Typed, String> {
    if words.contains(&text) {
        return Ok(Typed::Text(text.to_owned()));
    }
    let hint = keys::closest(text, words.iter().copied()).map(|word| format!("; did you mean {word:?}?"));
    let hint = hint.unwrap_or_default();
    Err(format!("{key} = {} must be one of {}{hint}", quoted(text), words.join(", ")))
}

fn in_range(key: &str, number: i64, min: i64, max: i64) -> Result<Typed, String> {
    if (min..=max).contains(&number) {
        return Ok(Typed::Integer(number));
    }
    Err(format!("{key} = {number} must be between {min} and {max}"))
}

fn duration(key: &str, text: &str, min: u64, max: u64) -> Result<Typed, String> {
    let duration = units::parse_duration(text).map_err(|problem| format!("{key} = {} {problem}", quoted(text)))?;
    if (u128::from(min)..=u128::from(max)).contains(&duration.as_millis()) {
        return Ok(Typed::Duration(duration));
    }
    let (min, max) = (units::show_duration(min), units::show_duration(max));
    Err(format!("{key} = {} must be between {min} and {max}", quoted(text)))
}

fn size(key: &str, text: &str, min: u64, max: u64) -> Result<Typed, String> {
    let bytes = units::parse_size(text).map_err(|problem| format!("{key} = {} {problem}", quoted(text)))?;
    if (min..=max).contains(&bytes) {
        return Ok(Typed::Size(bytes));
    }
    let (min, max) = (units::show_size(min), units::show_size(max));
    Err(format!("{key} = {} must be between {min} and {max}", quoted(text)))
}

fn type_name(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a number",
        ValueKind::Float(_) => "a number with a fraction",
        ValueKind::String(_) => "text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    }
}
