//! The tables of `docs/configuration.md`, written from the table of keys; a test in `docs.rs` keeps them equal.

use super::keys::{KEYS, Key, Kind, Presence};
use super::units::{show_duration, show_size};
use std::fmt::Write as _;

/// The reference of all keys, as Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    let mut section = None;
    for key in KEYS {
        let (table, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if section != Some(table) {
            section = Some(table);
            let title =
                if table.is_empty() { "Top level".to_owned() } else { format!("`[{}]`", table.replace('*', "NAME")) };
            // Writing to a String cannot fail.
            let _ = write!(text, "\n## {title}\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
        }
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            name.replace('*', "NAME"),
            value(key.kind),
            default(key),
            key.meaning
        );
    }
    text
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Secret => "text".into(),
        Kind::Integer(min, max) => format!("number, {min} to {max}"),
        Kind::Flag => "`true`, `false`".into(),
        Kind::Duration(min, max) => format!("duration, {} to {}", show_duration(min), show_duration(max)),
        Kind::Size(min, max) => format!("size, {} to {}", show_size(min), show_size(max)),
        Kind::List => "list of texts".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Property => "text, number, `true`, `false`".into(),
    }
}

fn default(key: &Key) -> String {
    match key.presence {
        Presence::Required => "**required**".into(),
        Presence::Default(text) => format!("`{text}`"),
        Presence::Optional(text) => text.into(),
    }
}
