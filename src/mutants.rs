//! The bugs that `make mutants` plants: a patch for each in `tests/mutants`, and the test that must notice it.
//!
//! Above its diff a patch says, a line each:
//! - `Bug:` what such a relay is known to get wrong, in the words of the list that the file names count;
//! - `Here:` how it is planted in this code;
//! - `Caught by:` `lib` or `it`, and the name of a test there that fails then;
//! - `Says:` words that the failed test prints, if its failure alone would not say enough; of several such lines, any.
//!
//! A patch that does not fit any more is made anew: the same bug by hand, `git diff -U1`, the lines above it again.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use crate::docs::{assert_generated, read};

/// Bugs of the list. One that comes in several kinds has a letter behind its number.
const BUGS: usize = 26;

struct Mutant {
    /// Of the patch.
    file: String,
    text: String,
}

impl Mutant {
    /// What it says of itself.
    fn said(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    }

    fn must_say(&self, key: &str) -> &str {
        self.said(key).unwrap_or_else(|| panic!("{} has no line `{key}: …`", self.file))
    }

    /// Kind and name of the test that must notice it.
    fn test(&self) -> (&str, &str) {
        self.must_say("Caught by").split_once(' ').unwrap_or_else(|| panic!("{}: lib or it?", self.file))
    }

    /// What each hunk expects to find: the file, and lines that stand in it.
    fn expects(&self) -> Vec<(&str, String)> {
        let mut path = "";
        let mut found: Vec<(&str, String)> = Vec::new();
        for line in self.text.lines() {
            if let Some(name) = line.strip_prefix("--- a/") {
                path = name;
            } else if line.starts_with("@@ ") {
                found.push((path, String::new()));
            } else if let (Some((_, lines)), Some(kept)) = (found.last_mut(), line.strip_prefix([' ', '-'])) {
                lines.push_str(kept);
                lines.push('\n');
            }
        }
        found
    }
}

/// In the order of their names.
fn mutants() -> Vec<Mutant> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".patch"))
        .collect();
    files.sort();
    files.into_iter().map(|file| Mutant { text: read(&format!("tests/mutants/{file}")), file }).collect()
}

#[test]
fn every_bug_of_the_list_is_planted() {
    let planted: BTreeSet<usize> = mutants().iter().map(|mutant| mutant.file[..2].parse().unwrap()).collect();
    assert_eq!(planted, (1..=BUGS).collect());
}

/// What `git apply` asks for as well; here without git, and each place must be the only one.
#[test]
fn every_patch_fits_the_code() {
    for mutant in mutants() {
        let hunks = mutant.expects();
        assert!(!hunks.is_empty(), "{} changes nothing", mutant.file);
        for (path, lines) in hunks {
            let times = read(path).matches(&lines).count();
            assert!(times == 1, "{}: {path} has {times} times\n{lines}see src/mutants.rs", mutant.file);
        }
    }
}

#[test]
fn every_bug_names_a_test_that_exists() {
    for mutant in mutants() {
        let (kind, name) = mutant.test();
        let folder = match kind {
            "lib" => "src",
            "it" => "tests/it",
            other => panic!("{}: {other} is neither lib nor it", mutant.file),
        };
        let (modules, test) = name.rsplit_once("::").unwrap();
        let modules = modules.replace("::", "/");
        // A module of tests may stand in its parent's file.
        let parent = modules.rsplit_once('/').map_or(modules.as_str(), |(parent, _)| parent);
        let exists = [modules.as_str(), parent].iter().any(|module| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{folder}/{module}.rs"));
            std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {test}(")))
        });
        assert!(exists, "{}: there is no {name} in {folder}", mutant.file);
    }
}

#[test]
fn the_documentation_lists_them() {
    let mut table = String::from("| bug | planted as | caught by |\n| --- | --- | --- |\n");
    for mutant in mutants() {
        let (kind, name) = mutant.test();
        let place = if kind == "it" { ", on real servers" } else { "" };
        writeln!(table, "| {} | {} | `{name}`{place} |", mutant.must_say("Bug"), mutant.must_say("Here")).unwrap();
    }
    assert_generated("docs/reliability.md", &table);
}
