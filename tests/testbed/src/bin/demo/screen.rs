//! What the demo says, and how.

use std::io::{IsTerminal, stdout};
use std::sync::LazyLock;

use testbed::Observed;

static COLOURS: LazyLock<bool> = LazyLock::new(|| stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());

fn styled(code: &str, text: &str) -> String {
    if *COLOURS { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

pub(crate) fn bold(text: &str) -> String {
    styled("1", text)
}

pub(crate) fn good(text: &str) -> String {
    styled("1;32", text)
}

pub(crate) fn bad(text: &str) -> String {
    styled("1;31", text)
}

/// A new part of the show.
pub(crate) fn section(title: &str) {
    println!("\n{}", bold(&format!("== {title}")));
}

/// A line of the part.
pub(crate) fn say(text: impl AsRef<str>) {
    println!("   {}", text.as_ref());
}

/// All that a consumer gets.
pub(crate) fn record(record: &Observed) {
    let headers = record.headers.iter().map(|(name, value)| format!("{name}={}", text(value.as_deref())));
    say(format!("{}, partition {}, offset {}", bold(&record.topic), record.partition, record.offset));
    say(format!("  key      {}", text(record.key.as_deref())));
    say(format!("  value    {}", text(record.value.as_deref())));
    say(format!("  headers  {}", headers.collect::<Vec<_>>().join("\n              ")));
}

/// The same on one line.
pub(crate) fn record_in_brief(record: &Observed) {
    let event = record.header("eventType").unwrap_or("?");
    say(format!("{} {event} {}", text(record.key.as_deref()), text(record.value.as_deref())));
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "(null)".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}
