//! What the other decoders do not read, or read wrongly, with the reason. An entry that is never met is stale.

use super::form::Form;
use super::{Bytes, Case};
use testbed::Product;

/// A difference that is not ours.
pub(super) struct Known {
    /// Whether it is about such a case, and such a value (as the server shows it; None for NULL or the whole table).
    about: fn(&Case, Option<&str>) -> bool,
    reason: &'static str,
}

const fn known(reason: &'static str, about: fn(&Case, Option<&str>) -> bool) -> Known {
    Known { about, reason }
}

/// Those of `mysql_cdc` on that server's log.
pub(super) fn of_mysql_cdc(product: Product) -> &'static [Known] {
    if product == Product::Mysql { MYSQL_CDC } else { MYSQL_CDC_ON_MARIADB }
}

const MYSQL_CDC_ON_MARIADB: &[Known] = &[
    known("does not read negative times", |case, shown| {
        case.form == Form::Time && shown.is_none_or(|shown| shown.starts_with('-'))
    }),
    known("reads all but BLOB and TEXT as UTF-8", |case, _| reads_as_utf8(case)),
    known("gives UUID, INET4 and INET6 as the bytes that are logged", |case, _| is_address(case)),
];

fn is_address(case: &Case) -> bool {
    ["UUID", "INET"].iter().any(|kind| case.declaration.starts_with(kind))
}

fn reads_as_utf8(case: &Case) -> bool {
    let is_blob = case.declaration.contains("BLOB") || case.declaration.contains("TEXT");
    case.form == Form::Binary && !is_blob || case.declaration.contains("utf16") || case.declaration.contains("latin1")
}

pub(super) const MYSQLBINLOG: &[Known] = &[
    known("prints BINARY without the zero bytes at its end, as it is logged", |case, _| is_padded(case)),
    known("prints no GEOMETRY, and no row behind one in the same event", |case, _| is_geometry(case)),
    known("prints the bytes of a SET lowest first", |case, _| matches!(case.form, Form::Set(labels) if labels > 8)),
    known("prints VECTOR as numbers", |case, _| case.declaration.starts_with("VECTOR")),
    known("prints a JSON string that is the whole document without its quotes", |case, shown| {
        case.form == Form::Json && shown.is_some_and(|shown| shown.starts_with('"'))
    }),
];

const MYSQL_CDC: &[Known] = &[
    known("does not know VECTOR", |case, _| case.declaration.starts_with("VECTOR")),
    known("does not read negative times", |case, shown| {
        case.form == Form::Time && shown.is_none_or(|shown| shown.starts_with('-'))
    }),
    known("reads all but BLOB and TEXT as UTF-8", |case, _| reads_as_utf8(case)),
    known("gives JSON as it is stored", |case, _| case.form == Form::Json),
];

fn is_padded(case: &Case) -> bool {
    case.declaration.starts_with("BINARY") || case.declaration.ends_with("CHARACTER SET binary")
}

fn is_geometry(case: &Case) -> bool {
    ["GEOMETRY", "POLYGON"].contains(&case.declaration.as_str())
}

/// The known differences of one decoder, and which of them were met.
pub(super) struct Unread {
    known: &'static [Known],
    met: Vec<bool>,
}

impl Unread {
    pub(super) fn of(known: &'static [Known]) -> Self {
        Self { known, met: vec![false; known.len()] }
    }

    /// Whether a difference in this value is known.
    pub(super) fn expects(&mut self, case: &Case, shown: &Bytes) -> bool {
        let shown = shown.as_deref().and_then(|shown| std::str::from_utf8(shown).ok());
        let found = self.known.iter().position(|known| (known.about)(case, shown));
        found.inspect(|&nth| self.met[nth] = true).is_some()
    }

    pub(super) fn ensure_met(&self) {
        for (known, met) in self.known.iter().zip(&self.met) {
            assert!(met, "a known difference is not one any more: {}", known.reason);
        }
    }
}
