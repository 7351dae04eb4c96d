//! File < environment `OUTBOXD__A__B` < `--set key=value`, merged; each value remembers where it came from.
//! The defaults are the lowest layer; they stand in the table of keys and are filled in by `settings`.

use super::diagnose::{Mistake, Place};
use super::document::{Document, Part};
use super::keys::{self, KEYS};
use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat, Value, ValueKind};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the configuration comes from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `OUTBOXD_` only matter for `source.password_env`.
    pub env: Vec<(String, String)>,
    /// `key=value`, from `--set`.
    pub set: Vec<String>,
}

impl Sources {
    /// The file and the flags given, and the environment of this process. Variables that are not text are left out.
    pub fn of_process(file: Option<PathBuf>, set: Vec<String>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { file, env: std::env::vars_os().filter_map(text).collect(), set }
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment and the flags may hold secrets.
        f.debug_struct("Sources").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Which layer a value came from; a later one wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    File,
    Variable(String),
    Flag(String),
}

/// A merged value.
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) value: ValueKind,
    pub(super) origin: Origin,
}

/// The merged values by dotted path, and the names in `[outbox.*]`.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) leaves: BTreeMap<String, Leaf>,
    pub(super) outboxes: Vec<String>,
}

const ENVIRONMENT: &str = "OUTBOXD__";
const FLAG: &str = "--set";

/// Merges the layers. Unknown keys and misplaced tables are reported and left out.
pub(super) fn merge(document: &Document, sources: &Sources, mistakes: &mut Vec<Mistake>) -> Merged {
    let environment: config::Map<String, String> =
        sources.env.iter().filter(|(name, _)| is_ours(name)).cloned().collect();
    let file = File::from_str(&document.text, FileFormat::Toml);
    let variables = Environment::with_prefix("OUTBOXD").separator("__").source(Some(environment));
    let builder = config::Config::builder().add_source(file).add_source(variables);
    match add_flags(builder, sources, mistakes).build() {
        Ok(merged) => {
            let mut walk = Walk { document, sources, mistakes, merged: Merged::default() };
            walk.table(&mut Vec::new(), &merged.cache);
            walk.merged
        }
        // The document was parsed before; if the layers refuse it all the same, their text may quote a value.
        Err(_) => {
            mistakes.push(Mistake::error(Place::Nowhere, "the layers of the configuration cannot be merged"));
            Merged::default()
        }
    }
}

/// `[` is an index in the path language of the layers: no key needs it, and a large one would claim memory.
fn is_ours(name: &str) -> bool {
    name.get(..ENVIRONMENT.len()).is_some_and(|start| start.eq_ignore_ascii_case(ENVIRONMENT)) && !name.contains('[')
}

fn add_flags(
    mut builder: ConfigBuilder<DefaultState>,
    sources: &Sources,
    mistakes: &mut Vec<Mistake>,
) -> ConfigBuilder<DefaultState> {
    for flag in &sources.set {
        let Some((key, text)) = flag.split_once('=') else {
            mistakes.push(Mistake::error(Place::Flag(String::new()), "expected KEY=VALUE"));
            continue;
        };
        let key = key.trim();
        let value = Value::new(Some(&FLAG.to_owned()), text);
        match builder.clone().set_override(key, value) {
            Ok(next) if !key.contains('[') => builder = next,
            Ok(_) | Err(_) => mistakes.push(Mistake::error(
                Place::Flag(key.to_owned()),
                "is not a key; expected names with dots between them, e.g. source.host",
            )),
        }
    }
    builder
}

struct Walk<'a> {
    document: &'a Document,
    sources: &'a Sources,
    mistakes: &'a mut Vec<Mistake>,
    merged: Merged,
}

impl Walk<'_> {
    fn table(&mut self, path: &mut Vec<String>, value: &Value) {
        let ValueKind::Table(entries) = &value.kind else { return };
        if path.first().is_some_and(|top| top == "outbox") && path.len() == 2 {
            self.merged.outboxes.extend(path.get(1).cloned());
        }
        let known = keys::children(&segments(path));
        let properties = is_properties(path);
        let mut ordered: Vec<(&String, &Value)> = entries.iter().collect();
        ordered.sort_by_key(|(name, _)| (self.document.order_below(path, name), *name));
        for (name, entry) in ordered {
            path.push(name.clone());
            if properties || known.contains(&"*") || known.contains(&name.as_str()) {
                self.entry(path, entry);
            } else {
                self.unknown(path, entry, &known);
            }
            path.pop();
        }
    }

    fn entry(&mut self, path: &mut Vec<String>, value: &Value) {
        let is_table = matches!(value.kind, ValueKind::Table(_));
        let below = is_properties(path) && path.len() > 2;
        let is_key = below || keys::find(&segments(path)).is_some();
        match (is_table, is_key && !(below && is_table)) {
            (true, false) => self.table(path, value),
            (false, true) => self.leaf(path, value),
            (true, true) => {
                self.misplaced(path, value, "takes a value; it is not a table");
                // Given, if badly: no second mistake that it is missing.
                let leaf = Leaf { path: path.clone(), value: ValueKind::Nil, origin: self.origin(path, value) };
                self.merged.leaves.insert(path.join("."), leaf);
            }
            (false, false) => self.misplaced(path, value, "is a table; its keys go below it"),
        }
    }

    fn leaf(&mut self, path: &[String], value: &Value) {
        let leaf = Leaf { path: path.to_vec(), value: value.kind.clone(), origin: self.origin(path, value) };
        let dotted = path.join(".");
        match self.merged.leaves.get(&dotted) {
            // `"compression.type"` and `compression.type` are one property; the later layer wins.
            Some(other) if other.origin > leaf.origin => {}
            Some(other) if other.origin == leaf.origin => {
                let place = self.place(path, value);
                self.mistakes.push(Mistake::error(place, format!("{dotted} is set twice")));
            }
            _ => drop(self.merged.leaves.insert(dotted, leaf)),
        }
    }

    fn misplaced(&mut self, path: &[String], value: &Value, message: &str) {
        let place = self.place(path, value);
        self.mistakes.push(Mistake::error(place, format!("{} {message}", path.join("."))));
    }

    fn unknown(&mut self, path: &[String], value: &Value, known: &[&'static str]) {
        let place = self.place(path, value);
        let what = if matches!(value.kind, ValueKind::Table(_)) { "table" } else { "key" };
        let hint = suggestion(path, known).map(|key| format!("; did you mean {key}?")).unwrap_or_default();
        self.mistakes.push(Mistake::error(place, format!("unknown {what} {}{hint}", path.join("."))));
    }

    fn place(&self, path: &[String], value: &Value) -> Place {
        match self.origin(path, value) {
            Origin::Variable(name) => Place::Variable(name),
            Origin::Flag(key) => Place::Flag(key),
            Origin::File => self.document.locate(path, Part::Key, true).unwrap_or(Place::Nowhere),
        }
    }

    /// The origin of a value; that of a table is the one of its first value.
    fn origin(&self, path: &[String], value: &Value) -> Origin {
        if let (ValueKind::Table(entries), false) = (&value.kind, self.document.has_table(path))
            && let Some((name, entry)) = entries.iter().min_by_key(|(name, _)| *name)
        {
            let mut path = path.to_vec();
            path.push(name.clone());
            return self.origin(&path, entry);
        }
        match value.origin() {
            Some(FLAG) => Origin::Flag(path.join(".")),
            Some(_) => Origin::Variable(self.variable(path)),
            None => Origin::File,
        }
    }

    fn variable(&self, path: &[String]) -> String {
        let name = keys::variable(&path.join("."));
        let given = self.sources.env.iter().find(|(given, _)| given.eq_ignore_ascii_case(&name));
        given.map_or(name, |(given, _)| given.clone())
    }
}

fn segments(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn is_properties(path: &[String]) -> bool {
    matches!(path, [first, second, ..] if first == "kafka" && second == "librdkafka")
}

/// A sibling that is spelt alike, else a key of that name elsewhere.
fn suggestion(path: &[String], known: &[&'static str]) -> Option<String> {
    let (last, table) = path.split_last()?;
    if let Some(name) = keys::closest(last, known.iter().copied().filter(|name| *name != "*")) {
        let mut meant = table.to_vec();
        meant.push(name.to_owned());
        return Some(meant.join("."));
    }
    let elsewhere = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(last));
    elsewhere.map(|key| key.path.replace('*', "NAME"))
}

/// Variables that belong to outboxd's binary, build and tests.
const OTHERS: &[&str] = &[
    "OUTBOXD_CACHE",
    "OUTBOXD_CONFIG",
    "OUTBOXD_KEEP",
    "OUTBOXD_MYSQLD",
    "OUTBOXD_REVISION",
    "OUTBOXD_TESTBED_DIR",
    "OUTBOXD_UPDATE_DOCS",
];

/// Warns of variables that look like ours and are not: `OUTBOXD_SOURCE_HOST` would be ignored in silence.
pub(super) fn warn_near_misses(sources: &Sources, merged: &Merged, mistakes: &mut Vec<Mistake>) {
    let password = merged.leaves.get("source.password_env").map(|leaf| leaf.value.to_string());
    for (name, _) in &sources.env {
        let upper = name.to_uppercase();
        let ignored = OTHERS.contains(&upper.as_str()) || is_ours(name) || is_service_link(&upper);
        if ignored || password.as_ref() == Some(name) || !upper.starts_with("OUTBOXD_") {
            continue;
        }
        let flat = |text: &str| text.replace("__", "_");
        let variables: Vec<String> = KEYS.iter().map(|key| keys::variable(key.path)).collect();
        let meant = variables.iter().find(|known| flat(known) == flat(&upper)).cloned();
        let hint = meant.unwrap_or_else(|| "OUTBOXD__ and two underscores between levels".to_owned());
        let message = format!("this variable is not used; did you mean {hint}?");
        mistakes.push(Mistake::warning(Place::Variable(name.clone()), message));
    }
}

/// Kubernetes sets these in every container if a Service is called `outboxd`.
fn is_service_link(name: &str) -> bool {
    name == "OUTBOXD_PORT" || name.starts_with("OUTBOXD_PORT_") || name.starts_with("OUTBOXD_SERVICE_")
}
