//! What a check found, in one form for the start and for `outboxd doctor`.

use crate::error::{Code, Error, Result};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// The relay works, but something that its operator relies on may not hold.
    Warning,
    /// The relay does not start.
    Wrong,
}

impl Level {
    /// As it is shown everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// The answer of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: a setting's name, or words.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The code with which the relay would stop.
    pub code: Option<Code>,
    /// What was found, and what would come of it.
    pub what: String,
    /// A statement or step that mends it; empty if there is nothing to mend.
    pub fix: String,
}

impl Finding {
    /// As it should be.
    pub fn good(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Good, code: None, what: what.into(), fix: String::new() }
    }

    /// To be known.
    pub fn warning(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, code: None, what: what.into(), fix: fix.into() }
    }

    /// In the way; the relay would stop with `code`.
    pub fn wrong(code: Code, check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Wrong, code: Some(code), what: what.into(), fix: fix.into() }
    }

    /// In the way, as a step that failed tells it.
    pub fn failed(check: &'static str, error: &Error) -> Self {
        Self::wrong(error.code(), check, error.chain(), error.fix())
    }
}

/// Refuses if anything is wrong: one error that names all of it. Its code is that of the first.
///
/// # Errors
/// The code of the first wrong finding.
pub fn ensure_none_wrong(findings: &[Finding]) -> Result<()> {
    let wrong = || findings.iter().filter(|finding| finding.level == Level::Wrong);
    let Some(code) = wrong().find_map(|finding| finding.code) else { return Ok(()) };
    let whats: Vec<&str> = wrong().map(|finding| finding.what.as_str()).collect();
    let mut fixes: Vec<&str> = Vec::new();
    for fix in wrong().map(|finding| finding.fix.as_str()) {
        if !fix.is_empty() && !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    Err(Error::new(code, whats.join("; ")).with_fix(fixes.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_names_all_that_is_wrong_and_each_fix_once() {
        let found = [
            Finding::good("a", "fine"),
            Finding::warning("b", "odd", "look"),
            Finding::wrong(Code::SourcePrivilege, "c", "no right", "GRANT"),
            Finding::wrong(Code::SourcePrivilege, "d", "no other right", "GRANT"),
            Finding::wrong(Code::SourceSettings, "e", "format", "SET"),
        ];
        let error = ensure_none_wrong(&found).unwrap_err();
        assert_eq!(error.code(), Code::SourcePrivilege);
        assert_eq!(error.message(), "no right; no other right; format");
        assert_eq!(error.fix(), "GRANT; SET");
        assert!(ensure_none_wrong(&found[..2]).is_ok());
    }
}
