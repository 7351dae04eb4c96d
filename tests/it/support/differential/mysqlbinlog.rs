//! What `mysqlbinlog -v` prints of the values.

use std::collections::BTreeSet;

use super::form::{Form, number, text};
use super::{ById, Bytes, Case, Shown, case_of, json, known, show};
use testbed::Mysql;
use testbed::oracle::truth;

/// Compares each row that it prints; returns how many values were equal.
pub(super) fn compare(
    name: &str,
    mysql: &Mysql,
    corpus: &[Case],
    shown: &ById<Shown>,
    differences: &mut Vec<String>,
) -> usize {
    let table = |nth| truth::Table {
        database: name.to_owned(),
        name: format!("c{nth}"),
        id: 1,
        aggregate_type: 2,
        key: 3,
        event_type: 4,
        payload: 5,
    };
    let tables: Vec<_> = (0..corpus.len()).map(table).collect();
    let rows = truth::read(mysql.mysqlbinlog_v().unwrap(), &tables).unwrap();
    let mut missing: BTreeSet<_> = shown.keys().cloned().collect();
    let mut unread = known::Unread::of(known::MYSQLBINLOG);
    let mut equal = 0;
    for row in rows {
        let id = String::from_utf8(row.id).unwrap();
        missing.remove(&id);
        let (case, shown) = (case_of(&id, corpus), &shown[&id].plain);
        if agree(case.form, &row.payload, shown) {
            equal += 1;
        } else if !unread.expects(case, shown) {
            let printed = show(&row.payload);
            differences.push(format!("{id} {}: mysqlbinlog {printed}, the server {}", case.declaration, show(shown)));
        }
    }
    missing.retain(|id| !unread.expects(case_of(id, corpus), &None));
    differences.extend(missing.iter().map(|id| format!("{id}: mysqlbinlog has no such row")));
    unread.ensure_met();
    equal
}

fn agree(form: Form, printed: &Bytes, shown: &Bytes) -> bool {
    let (Some(printed), Some(shown)) = (printed, shown) else { return printed == shown };
    match form {
        // The number is printed as a signed one first.
        Form::Integer { bits, unsigned: true } => {
            let signed: i128 = text(printed).parse().unwrap();
            let number = if signed < 0 { signed + (1 << bits) } else { signed };
            number.to_string() == text(shown)
        }
        // It prints six digits.
        Form::Float | Form::Double => (number(printed) - number(shown)).abs() <= number(shown).abs() * 1e-5,
        Form::Bit(_) | Form::Set(_) => text(printed).trim_start_matches("b'").trim_end_matches('\'') == text(shown),
        Form::Json => json::agree(text(printed), text(shown)),
        _ => printed == shown,
    }
}
