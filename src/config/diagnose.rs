//! A mistake, where it stands, and how it is shown:
//!
//! ```text
//! outboxd.toml:5:13: error: source.heartbeat = "10" needs a unit, e.g. "10s"
//!     5 | heartbeat = "10"
//!       |             ^^^^
//! OUTBOXD__SOURCE__PORT: error: …
//! --set source.port: error: …
//! ```
//!
//! The first line has the form that editors and CI systems parse. A line that may hold a secret is cut after its `=`.

use crate::error::{Code, Error};
use std::fmt;
use std::ops::Range;

/// Longest piece of a line that is shown.
const WIDTH: usize = 160;

/// One mistake or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    place: Place,
    message: String,
    warning: bool,
}

/// Where a mistake stands. The order is the order of the report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line of the file.
    Line(Excerpt),
    /// The file as a whole.
    File(String),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// None of them: nothing was given.
    Nowhere,
}

/// A line of the file with the marked part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Excerpt {
    file: String,
    line: usize,
    column: usize,
    text: String,
    caret: usize,
    width: usize,
}

impl Excerpt {
    /// `hide`: the line is cut after its `=`, because what follows may be a secret.
    pub(super) fn new(file: String, text: &str, span: &Range<usize>, hide: bool) -> Self {
        let start = floor(text, span.start);
        let begin = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let line = text[begin..end].trim_end_matches('\r');
        let column = text[begin..start].chars().count();
        let marked = text[start..floor(text, span.end).clamp(start, end)].trim_end().chars().count().max(1);
        let shown = show(line, hide || holds_secret(text, begin, line));
        let caret = column.min(shown.chars().count());
        let width = marked.min(shown.chars().count().saturating_sub(caret)).max(1);
        let number = text[..begin].matches('\n').count() + 1;
        Self { file, line: number, column: column + 1, text: shown, caret, width }
    }
}

/// Conservative: any word of a secret before the last value of the line, or in the text before the line where a
/// multi-line string may be open.
fn holds_secret(text: &str, begin: usize, line: &str) -> bool {
    const WORDS: [&str; 6] = ["pas", "pwd", "secret", "pem", "ssl.key", "token"];
    const HARMLESS: [&str; 2] = ["password_file", "password_env"];
    let several = line.matches('=').count() > 1 && line.contains(['{', ',']);
    // Perhaps `user:password@host`, or another key of an inline table, possibly a misspelt `password`.
    if line.contains('@') || several {
        return true;
    }
    let mentions = |part: &str| WORDS.iter().any(|word| part.to_lowercase().contains(word));
    let before = text.get(..begin).unwrap_or_default();
    let keys = line.rsplit_once('=').filter(|_| !line.contains('#')).map_or(line, |(keys, _)| keys);
    let here = mentions(keys) && !HARMLESS.iter().any(|key| keys.trim().ends_with(key));
    here || ((before.contains("\"\"\"") || before.contains("'''")) && mentions(before))
}

fn show(line: &str, hide: bool) -> String {
    let visible = match line.find('=') {
        Some(end) if hide => format!("{}= …", &line[..end]),
        None if hide && !line.trim_start().starts_with('[') => "…".to_owned(),
        _ => line.to_owned(),
    };
    without_control(visible.trim_end()).chars().take(WIDTH).collect()
}

/// Text from the file must not move the cursor of a terminal or end a line of a log.
fn without_control(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

impl Mistake {
    pub(super) fn error(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: without_control(&message.into()), warning: false }
    }

    pub(super) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::error(place, message) }
    }

    /// Whether the configuration can be used in spite of it.
    pub fn is_warning(&self) -> bool {
        self.warning
    }

    /// Where it stands: `FILE:LINE:COLUMN`, a variable or a flag.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(at) => write!(f, "{}:{}:{}", at.file, at.line, at.column),
            Self::File(name) | Self::Variable(name) => f.write_str(&without_control(name)),
            Self::Flag(key) if key.is_empty() => f.write_str("--set"),
            Self::Flag(key) => write!(f, "--set {}", without_control(key)),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.warning { "warning" } else { "error" };
        write!(f, "{}: {severity}: {}", self.place, self.message)?;
        let Place::Line(at) = &self.place else { return Ok(()) };
        let (empty, caret) = ("", "^".repeat(at.width));
        write!(f, "\n{:>5} | {}\n{empty:>5} | {empty:>2$}{caret}", at.line, at.text, at.caret)
    }
}

/// Every mistake and warning of one configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn new(mut all: Vec<Mistake>) -> Self {
        all.sort_by(|a, b| a.place.cmp(&b.place));
        all.dedup();
        Self(all)
    }

    /// All of them; warnings included.
    pub fn all(&self) -> &[Mistake] {
        &self.0
    }

    /// All of them, to keep.
    pub(super) fn into_inner(self) -> Vec<Mistake> {
        self.0
    }

    /// How many make the configuration unusable.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|mistake| !mistake.warning).count()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        let errors = self.errors();
        write!(f, "{}: {errors} mistake{}", Code::ConfigInvalid, if errors == 1 { "" } else { "s" })?;
        match self.0.len() - errors {
            0 => Ok(()),
            1 => f.write_str(", 1 warning"),
            n => write!(f, ", {n} warnings"),
        }
    }
}

impl std::error::Error for Mistakes {}

impl From<Mistakes> for Error {
    fn from(mistakes: Mistakes) -> Self {
        Self::new(Code::ConfigInvalid, mistakes.to_string())
    }
}
