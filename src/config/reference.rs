//! `docs/configuration.md`, written from the table of keys; a test keeps the file equal to it.

use super::keys::{KEYS, Key, Kind, Presence};
use super::units::{show_duration, show_size};
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

<!-- Written from the table in src/config/keys.rs: `cargo test --lib -- --ignored write_reference`. -->

One TOML file, `/etc/outboxd/outboxd.toml` unless `-c FILE` or `OUTBOXD_CONFIG` says otherwise. `config/example.toml`
has every key. A later layer wins:

1. the defaults below
2. the file
3. the environment: `OUTBOXD__SOURCE__HOST` for `source.host`, two underscores between levels. Names in variables are
   read in lower case; lists are separated by commas
4. `--set source.host=db1` on the command line

Durations and sizes need a unit (`\"10s\"`, `\"500ms\"`, `\"16MiB\"`). An unknown key is a mistake, not a comment.
`outboxd validate FILE` reports every mistake at once, with its line. Warnings do not keep outboxd from starting;
`outboxd validate --deny-warnings` counts them as mistakes.

The password comes from exactly one of three keys. A password that others can read is worth a warning: in a file that
group or others may read, or in the arguments of the process.
";

/// The reference of all keys, as Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
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
    text.push_str(TAIL);
    text
}

const TAIL: &str = "
Properties of librdkafka that carry the guarantee are refused with the reason, e.g. `acks`, `transactional.id` or
`partitioner`. `\"compression.type\" = \"lz4\"` and `compression.type = \"lz4\"` are the same property.
";

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Secret => "text".into(),
        Kind::Integer(min, max) => format!("number, {min} to {max}"),
        Kind::Flag => "`true`, `false`".into(),
        Kind::Duration(min, max) => format!("duration, {} to {}", show_duration(min), show_duration(max)),
        Kind::Size(min, max) => format!("size, {} to {}", show_size(min), show_size(max)),
        Kind::List => "list of texts".into(),
        Kind::Choice(now, _) => now.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Property => "text, number, `true`, `false`".into(),
        Kind::Refused(_) => "refused".into(),
    }
}

fn default(key: &Key) -> String {
    match key.presence {
        Presence::Required => "**required**".into(),
        Presence::Default(text) => format!("`{text}`"),
        Presence::Optional(text) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

    #[test]
    fn reference_is_current() {
        let written = std::fs::read_to_string(FILE).unwrap();
        assert!(written == reference(), "run: cargo test --lib -- --ignored write_reference");
    }

    #[test]
    #[ignore = "writes docs/configuration.md"]
    fn write_reference() {
        std::fs::write(FILE, reference()).unwrap();
    }
}
