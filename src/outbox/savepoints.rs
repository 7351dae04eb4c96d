//! Savepoints of the present group, and what stood before each.

use super::large::Mark;
use crate::error::{Code, Error, Result};

/// The savepoints that can be rolled back to.
#[derive(Debug, Default)]
pub(super) struct Savepoints {
    marks: Vec<(Vec<u8>, Mark)>,
    /// Two names that the server may have taken for one, or for two.
    ambiguous: bool,
}

impl Savepoints {
    /// A new group has none.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
        self.ambiguous = false;
    }

    /// Sets one behind `mark`. A savepoint of the same name replaces the older one (MySQL manual, "SAVEPOINT").
    pub(super) fn set(&mut self, name: Vec<u8>, mark: Mark) {
        self.ambiguous |= self.marks.iter().any(|(other, _)| is_maybe_same(other, &name));
        self.marks.retain(|(other, _)| !is_same(other, &name));
        self.marks.push((name, mark));
    }

    /// Learns how many records the row events before each savepoint become: `records[n]` of the first `n`.
    pub(super) fn count(&mut self, records: &[u64]) {
        for (_, mark) in &mut self.marks {
            mark.records = records.get(mark.events).copied().unwrap_or(mark.records);
        }
    }

    /// What stands before a savepoint; later savepoints are gone.
    ///
    /// # Errors
    /// `EventUndecodable` for a name that is unknown, or that the server may have taken for another one.
    pub(super) fn roll_back_to(&mut self, name: &[u8]) -> Result<Mark> {
        let refuse = |what: &str| Err(Error::new(Code::EventUndecodable, format!("ROLLBACK TO {what}")));
        if self.ambiguous {
            return refuse(
                "a savepoint, of whose names two may be one to the server: they differ in letters beyond ASCII",
            );
        }
        let Some(index) = self.marks.iter().position(|(other, _)| is_same(other, name)) else {
            return refuse("an unknown savepoint");
        };
        self.marks.truncate(index + 1);
        Ok(self.marks[index].1)
    }
}

/// Names of savepoints have no case.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => a == b,
    }
}

/// The server compares letters without their accents, by tables that we do not have: letter by letter, so names of
/// different lengths differ, and so do those that differ in an ASCII letter.
fn is_maybe_same(a: &[u8], b: &[u8]) -> bool {
    if is_same(a, b) || (a.is_ascii() && b.is_ascii()) {
        return false;
    }
    let (a, b) = (String::from_utf8_lossy(a).to_lowercase(), String::from_utf8_lossy(b).to_lowercase());
    let may_match = |(a, b): (char, char)| a == b || !a.is_ascii() || !b.is_ascii();
    a.chars().count() == b.chars().count() && a.chars().zip(b.chars()).all(may_match)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(events: usize) -> Mark {
        Mark { events, ..Mark::default() }
    }

    fn savepoints(names: &[&str]) -> Savepoints {
        let mut savepoints = Savepoints::default();
        names.iter().enumerate().for_each(|(events, name)| savepoints.set(name.as_bytes().to_vec(), mark(events)));
        savepoints
    }

    #[test]
    fn names_have_no_case_and_repeat() {
        assert_eq!(savepoints(&["a", "b", "A"]).roll_back_to(b"a").unwrap(), mark(2));
        assert_eq!(savepoints(&["\u{e4}", "bb", "\u{c4}"]).roll_back_to("\u{e4}".as_bytes()).unwrap(), mark(2));
        let mut savepoints = savepoints(&["a", "b"]);
        assert_eq!(savepoints.roll_back_to(b"a").unwrap(), mark(0));
        assert_eq!(savepoints.roll_back_to(b"b").unwrap_err().code(), Code::EventUndecodable);
    }

    #[test]
    fn names_that_differ_in_accents_only_are_not_guessed_at() {
        for names in [["e", "\u{e9}"], ["x\u{e8}", "xe"], ["\u{df}", "s"]] {
            let refused = savepoints(&names).roll_back_to(names[0].as_bytes()).unwrap_err();
            assert!(refused.message().contains("beyond ASCII"), "{refused}");
        }
        for names in [["x\u{e9}", "ye"], ["\u{e9}", "ee"], ["e", "x"]] {
            assert_eq!(savepoints(&names).roll_back_to(names[0].as_bytes()).unwrap(), mark(0), "{names:?}");
        }
        let mut cleared = savepoints(&["e", "\u{e9}"]);
        cleared.clear();
        cleared.set(b"e".to_vec(), mark(5));
        assert_eq!(cleared.roll_back_to(b"e").unwrap(), mark(5));
    }
}
