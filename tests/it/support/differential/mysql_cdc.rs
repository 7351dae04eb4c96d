//! What the crate `mysql_cdc` reads of the values.

use std::collections::HashMap;
use std::io::Cursor;

use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::row_events::write_rows_event::WriteRowsEvent;
use mysql_cdc::events::table_map_event::TableMapEvent;

use super::form::{Form, number, text};
use super::{ById, Case, Shown, case_of, known, show};
use testbed::Mysql;

const HEADER: usize = 19;
const CHECKSUM: usize = 4;
const TABLE_MAP: u8 = 19;
const WRITE_ROWS_V1: u8 = 23;
const WRITE_ROWS: u8 = 30;

/// Compares each row that it can read; returns how many values were equal.
pub(super) fn compare(
    name: &str,
    mysql: &Mysql,
    corpus: &[Case],
    shown: &ById<Shown>,
    differences: &mut Vec<String>,
) -> usize {
    let mut unread = known::Unread::of(known::of_mysql_cdc(mysql.product()));
    let mut equal = 0;
    let mut tables: HashMap<u64, TableMapEvent> = HashMap::new();
    // Tables of which it cannot read the table map, and their cases.
    for path in mysql.binlogs().unwrap() {
        let log = std::fs::read(path).unwrap();
        for (kind, body) in events(&log) {
            match kind {
                TABLE_MAP => match TableMapEvent::parse(&mut Cursor::new(body)) {
                    Ok(table) => drop(tables.insert(table.table_id, table)),
                    Err(error) => {
                        if let Some(case) = case_in(body, name, corpus)
                            && !unread.expects(case, &None)
                        {
                            differences.push(format!("{}: mysql_cdc: {error:?}", case.declaration));
                        }
                    }
                },
                WRITE_ROWS | WRITE_ROWS_V1 => {
                    let Some(table) = tables.get(&table_id(body)).filter(|table| table.database_name == name) else {
                        continue;
                    };
                    let Some(case) = case_named(&table.table_name, corpus) else { continue };
                    let version = if kind == WRITE_ROWS { 2 } else { 1 };
                    match WriteRowsEvent::parse(&mut Cursor::new(body), &tables, version) {
                        Ok(event) => {
                            for row in event.rows {
                                let Some(MySqlValue::String(id)) = &row.cells[0] else { panic!("no id") };
                                let shown = &shown[id].plain;
                                let agree = match (&row.cells[4], shown) {
                                    (Some(value), Some(shown)) => agree(case_of(id, corpus).form, value, shown),
                                    (value, shown) => value.is_none() == shown.is_none(),
                                };
                                if agree {
                                    equal += 1;
                                } else if !unread.expects(case, shown) {
                                    let (value, shown) = (&row.cells[4], show(shown));
                                    let what = format!("mysql_cdc {value:?}, the server {shown}");
                                    differences.push(format!("{id} {}: {what}", case.declaration));
                                }
                            }
                        }
                        Err(error) if !unread.expects(case, &None) => {
                            differences.push(format!("{}: mysql_cdc: {error:?}", case.declaration));
                        }
                        Err(_) => {}
                    }
                }
                _ => {}
            }
        }
    }
    unread.ensure_met();
    equal
}

/// Type and body of every event of a log file.
fn events(log: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = &log[4..];
    std::iter::from_fn(move || {
        let header = rest.get(..HEADER)?;
        let size = u32::from_le_bytes(header[9..13].try_into().unwrap()) as usize;
        let (event, behind) = rest.split_at(size);
        rest = behind;
        Some((event[4], &event[HEADER..size - CHECKSUM]))
    })
}

fn table_id(body: &[u8]) -> u64 {
    body[..6].iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte))
}

fn case_named<'a>(table: &str, corpus: &'a [Case]) -> Option<&'a Case> {
    table.strip_prefix('c').and_then(|nth| nth.parse::<usize>().ok()).and_then(|nth| corpus.get(nth))
}

/// The case whose table a table map is of; the names stand behind the id and two bytes of flags.
fn case_in<'a>(body: &[u8], name: &str, corpus: &'a [Case]) -> Option<&'a Case> {
    let database = body[8] as usize;
    let table = body[10 + database] as usize;
    let word = |from: usize, len: usize| std::str::from_utf8(&body[from..from + len]).unwrap();
    if word(9, database) == name { case_named(word(11 + database, table), corpus) } else { None }
}

fn agree(form: Form, value: &MySqlValue, shown: &[u8]) -> bool {
    let signed = |number: u64, bits: u32, unsigned: bool| {
        let number = i128::from(number);
        if !unsigned && number >> (bits - 1) & 1 == 1 { number - (1 << bits) } else { number }
    };
    match (form, value) {
        (Form::Integer { bits, unsigned }, value) => {
            let number = match *value {
                MySqlValue::TinyInt(number) => number.into(),
                MySqlValue::SmallInt(number) => number.into(),
                MySqlValue::MediumInt(number) | MySqlValue::Int(number) => number.into(),
                MySqlValue::BigInt(number) => number,
                _ => return false,
            };
            signed(number, bits, unsigned).to_string() == text(shown)
        }
        #[expect(clippy::cast_possible_truncation, reason = "back to the float that is stored")]
        (Form::Float, MySqlValue::Float(value)) => *value == number(shown) as f32,
        (Form::Double, MySqlValue::Double(value)) => *value == number(shown),
        (Form::Decimal, MySqlValue::Decimal(value)) => trimmed(value) == trimmed(text(shown)),
        (Form::Year, MySqlValue::Year(value)) => value.to_string() == text(shown),
        (Form::Date, MySqlValue::Date(date)) => {
            format!("{:04}:{:02}:{:02}", date.year, date.month, date.day) == text(shown)
        }
        (Form::DateTime(_), MySqlValue::DateTime(at)) => {
            let day = format!("{:04}-{:02}-{:02}", at.year, at.month, at.day);
            let time = format!("{:02}:{:02}:{:02}.{:03}", at.hour, at.minute, at.second, at.millis);
            format!("{day} {time}") == thousandths(text(shown))
        }
        (Form::Time, MySqlValue::Time(at)) => {
            format!("{:02}:{:02}:{:02}.{:03}", at.hour, at.minute, at.second, at.millis) == thousandths(text(shown))
        }
        (Form::Timestamp(_), MySqlValue::Timestamp(millis)) => {
            format!("{}.{:03}", millis / 1000, millis % 1000) == thousandths(text(shown))
        }
        (Form::Enum, MySqlValue::Enum(value)) => value.to_string() == text(shown),
        (Form::Set(labels), MySqlValue::Set(value)) => {
            let bits = if labels > 32 { 64 } else { labels.div_ceil(8) * 8 };
            format!("{value:0bits$b}") == text(shown)
        }
        (Form::Bit(_), MySqlValue::Bit(bits)) => {
            bits.iter().map(|bit| if *bit { '1' } else { '0' }).eq(text(shown).chars())
        }
        (Form::Text | Form::Binary, MySqlValue::String(value)) => value.as_bytes() == shown,
        (Form::Text | Form::Binary, MySqlValue::Blob(value)) => value == shown,
        _ => false,
    }
}

/// A decimal number without zeros before it.
fn trimmed(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    format!("{sign}{}", digits.trim_start_matches('0'))
}

/// It keeps milliseconds.
fn thousandths(text: &str) -> String {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{:0<3}", &fraction[..fraction.len().min(3)])
}
