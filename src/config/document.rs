//! The file's text with the place of every key and value, for diagnostics only; values come from the layers.

use super::diagnose::{Excerpt, Mistake, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The configuration file, or an empty text if there is none.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Path as it was given.
    pub(super) shown: Option<String>,
    /// The whole text.
    pub(super) text: String,
    nodes: BTreeMap<Vec<String>, Node>,
}

#[derive(Debug)]
struct Node {
    key: Range<usize>,
    value: Range<usize>,
    is_table: bool,
}

/// Which part of an entry a mistake is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Key,
    Value,
}

impl Document {
    /// Reads and parses the file. The mistakes are those that leave nothing to check further.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, Vec<Mistake>> {
        let Some(path) = path else { return Ok(Self::default()) };
        let shown = path.display().to_string();
        match std::fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => Self::parse(shown, text),
            Ok(Err(_)) => Err(vec![Mistake::error(Place::File(shown), "the file is not UTF-8 text")]),
            Err(error) => {
                let message = format!("the file cannot be read: {}", super::secret::explain(&error));
                Err(vec![Mistake::error(Place::File(shown), message)])
            }
        }
    }

    /// Parses the text of a file.
    pub(super) fn parse(shown: String, text: String) -> Result<Self, Vec<Mistake>> {
        let mut document = Self { shown: Some(shown), text, nodes: BTreeMap::new() };
        let text = document.text.clone();
        let (root, errors) = DeTable::parse_recoverable(&text);
        let syntax = errors.iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            Mistake::error(document.place(&span, false), error.message().replace('\n', "; "))
        });
        let mut mistakes: Vec<Mistake> = syntax.collect();
        if mistakes.is_empty() {
            document.index(&mut Vec::new(), root.get_ref(), &mut mistakes);
        }
        if mistakes.is_empty() { Ok(document) } else { Err(mistakes) }
    }

    /// Where the entry at `path` stands; if it is not in the file, where its nearest table begins.
    pub(super) fn locate(&self, path: &[String], part: Part, hide: bool) -> Option<Place> {
        if let Some(node) = self.nodes.get(path) {
            let span = if matches!(part, Part::Key) { &node.key } else { &node.value };
            return Some(self.place(span, hide));
        }
        let (_, table) = path.split_last()?;
        self.locate(table, Part::Key, true).or_else(|| self.shown.clone().map(Place::File))
    }

    /// Whether the file itself has this table.
    pub(super) fn has_table(&self, path: &[String]) -> bool {
        self.nodes.get(path).is_some_and(|node| node.is_table)
    }

    /// Byte offset of an entry, to keep the file's order.
    pub(super) fn order(&self, path: &[String]) -> usize {
        self.nodes.get(path).map_or(usize::MAX, |node| node.key.start)
    }

    /// Byte offset of an entry of the table at `path`.
    pub(super) fn order_below(&self, path: &[String], name: &str) -> usize {
        let mut path = path.to_vec();
        path.push(name.to_owned());
        self.order(&path)
    }

    fn place(&self, span: &Range<usize>, hide: bool) -> Place {
        Place::Line(Excerpt::new(self.shown.clone().unwrap_or_default(), &self.text, span, hide))
    }

    fn index(&mut self, path: &mut Vec<String>, table: &DeTable<'_>, mistakes: &mut Vec<Mistake>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            // The layers read a top-level key as a path expression; only plain names mean themselves there.
            if path.len() == 1 && !key.get_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
                let message = format!("unknown key {}", key.get_ref());
                mistakes.push(Mistake::error(self.place(&key.span(), true), message));
            }
            self.index_value(path, key.span(), value, mistakes);
            path.pop();
        }
    }

    fn index_value(
        &mut self,
        path: &mut Vec<String>,
        key: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        mistakes: &mut Vec<Mistake>,
    ) {
        self.nodes.insert(path.clone(), Node { key, value: value.span(), is_table: value.get_ref().is_table() });
        match value.get_ref() {
            DeValue::Table(inner) => self.index(path, inner, mistakes),
            DeValue::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    self.index_value(path, item.span(), item, mistakes);
                    path.pop();
                }
            }
            DeValue::Integer(number) if i64::from_str_radix(number.as_str(), number.radix()).is_err() => {
                mistakes.push(Mistake::error(self.place(&value.span(), true), "the number is too large"));
            }
            DeValue::Float(number) if number.as_str().parse::<f64>().is_ok_and(f64::is_infinite) => {
                mistakes.push(Mistake::error(self.place(&value.span(), true), "the number is too large"));
            }
            _ => {}
        }
    }
}
