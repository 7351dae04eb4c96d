//! Parts of the documentation that are made from the code, and the tests that keep them equal.
//!
//! After a change: `OUTBOXD_UPDATE_DOCS=1 cargo test docs`.

use crate::error::{Code, Disposition};
use crate::telemetry::metrics::catalogue::{self, Family, Kind};
use std::fmt::Write;
use std::path::PathBuf;

const BEGIN: &str = "<!-- generated from the code; OUTBOXD_UPDATE_DOCS=1 cargo test docs -->\n";
const END: &str = "<!-- end of the generated part -->\n";

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Compares the generated part of `path` with `expected`, or writes it if asked to.
pub(crate) fn assert_generated(path: &str, expected: &str) {
    let text = read(path);
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{path} has no line {BEGIN:?}"));
    let (present, after) = rest.split_once(END).unwrap_or_else(|| panic!("{path} has no line {END:?}"));
    if std::env::var_os("OUTBOXD_UPDATE_DOCS").is_some() {
        std::fs::write(file(path), [before, BEGIN, expected, END, after].concat()).unwrap();
    } else {
        assert!(present == expected, "{path} differs from the code; run: OUTBOXD_UPDATE_DOCS=1 cargo test docs");
    }
}

#[test]
fn metrics() {
    let mut table = String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for Family { name, kind, labels, help } in catalogue::ALL {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let kind = match kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram(bounds) => format!("histogram ({} buckets)", bounds.len() + 1),
        };
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    assert_generated("docs/metrics.md", &table);
}

#[test]
fn errors() {
    let mut text = String::new();
    let mut area = "";
    for &code in Code::ALL {
        let here = area_of(code);
        if here != area {
            writeln!(text, "## {here}\n").unwrap();
            area = here;
        }
        let anchor = code.to_string().to_ascii_lowercase();
        writeln!(text, "<a id=\"{anchor}\"></a>\n\n### {code}: {}\n", code.title()).unwrap();
        writeln!(text, "- **Why it matters:** {}", code.why()).unwrap();
        writeln!(text, "- **Fix:** {}", code.fix()).unwrap();
        writeln!(text, "- **What outboxd does:** {}", what_happens(code)).unwrap();
        writeln!(text, "- **Name in metrics and code:** `{code:?}`\n").unwrap();
    }
    assert_generated("docs/errors.md", &text);
}

fn what_happens(code: Code) -> String {
    let exit = code.exit_code();
    match code.disposition() {
        Disposition::Restart => format!(
            "closes the run, waits (longer each time without progress), and resumes from the last checkpoint. \
             Exit status {exit} where it ends the process."
        ),
        Disposition::Halt => format!("stops with exit status {exit}: trying again would not help."),
        Disposition::Fenced => format!("stops with exit status {exit} and sends nothing more."),
        Disposition::Bug => format!("stops with exit status {exit}; the checkpoint is as the last commit left it."),
    }
}

fn area_of(code: Code) -> &'static str {
    match code.number() / 100 {
        10 => "10xx Configuration",
        20 => "20xx Connection to MySQL",
        21 => "21xx Settings of MySQL",
        22 => "22xx Position and history",
        23 => "23xx Binlog stream",
        30 => "30xx Outbox rows",
        40 => "40xx Connection to Kafka",
        41 => "41xx Topics",
        42 => "42xx Kafka transactions",
        43 => "43xx Checkpoint",
        90 => "90xx Defects",
        other => panic!("{code} is in no area: {other}"),
    }
}

#[test]
fn codes_are_unique_and_in_order() {
    let numbers: Vec<_> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
}

const RULES: &str = "deploy/prometheus/outboxd.rules.yml";

/// Words of the rules that look like metrics: `outboxd_*` and `process_*`.
fn metrics_named_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("outboxd_") || word.starts_with("process_"))
}

#[test]
fn alerts_name_metrics_that_exist() {
    let exposed =
        crate::telemetry::Metrics::new("orders", &crate::telemetry::metrics::BuildInfo::current(), ["shop.outbox"])
            .encode();
    let rules = read(RULES);
    for name in metrics_named_in(&rules) {
        let series = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        assert!(exposed.lines().any(series), "{RULES} names {name}, which does not exist");
    }
    assert!(metrics_named_in(&rules).count() >= 9);
}

#[test]
fn alerts_say_what_happened_how_bad_it_is_and_what_it_means() {
    let rules = read(RULES);
    let alerts: Vec<_> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 9, "{} alerts", alerts.len());
    for alert in alerts {
        for key in ["expr:", "for:", "severity:", "summary:", "description:"] {
            assert!(alert.lines().any(|line| line.trim_start().starts_with(key)), "no {key} in {alert}");
        }
    }
}

#[test]
fn configuration() {
    assert_generated("docs/configuration.md", &crate::config::reference());
}

/// The pages written by hand or in part, relative to the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(file).into();
    for folder in ["docs", "docs/adr"] {
        let entries = std::fs::read_dir(file(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("md".as_ref())));
    }
    pages
}

/// Targets of `[text](target)`, outside of code.
fn links_in(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// Anchors of a page: those set by hand, and those that GitHub makes of headings.
fn anchors_of(text: &str) -> Vec<String> {
    let set = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned());
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    });
    set.chain(headings).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links_in(&text).filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let known = anchor.is_empty()
                || std::fs::read_to_string(&target).is_ok_and(|text| anchors_of(&text).iter().any(|a| a == anchor));
            if !target.exists() || !known {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let text = read("docs/guarantees.md");
    let named: Vec<_> = text.split('`').filter(|word| word.starts_with("tests/it/")).collect();
    let missing: Vec<_> = named.iter().filter(|path| !file(path).is_file()).collect();
    assert!(missing.is_empty(), "docs/guarantees.md names tests that do not exist: {missing:?}");
    assert!(named.len() >= 17, "{} tests are named", named.len());
}

/// Blocks of a language in a page.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    text.split(&start).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn the_configuration_on_the_first_page_is_accepted() {
    let text = read("README.md");
    let [block] = blocks(&text, "toml")[..] else { panic!("one block of TOML is expected in README.md") };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outboxd.toml");
    std::fs::write(&path, block).unwrap();
    let env = vec![("OUTBOX_DB_PASSWORD".to_owned(), "secret".to_owned())];
    let loaded = crate::config::load(&crate::config::Sources { file: Some(path), env, set: Vec::new() });
    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

/// `docs/operations.md` explains each alert by its name, and each exit status.
#[test]
fn operations_know_every_alert_and_status() {
    use crate::error::exit;
    let (rules, page) = (read(RULES), read("docs/operations.md"));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(page.contains(&format!("| {alert} |")), "docs/operations.md says nothing about {alert}");
    }
    let statuses = [
        exit::OK,
        exit::FENCED,
        exit::DATA,
        exit::UNAVAILABLE,
        exit::BUG,
        exit::TEMPORARY,
        exit::PERMISSION,
        exit::CONFIG,
    ];
    for status in statuses {
        assert!(page.contains(&format!("\n| {status} |")), "docs/operations.md says nothing about status {status}");
    }
}
