//! Texts as a Debezium outbox connector writes them with default options, where MySQL itself would print another one.
//!
//! Observed with Debezium 3.6.1 on JDK 17. Where Debezium's text is wrong we print the right one: unsigned BIGINT above
//! 2^63 (Debezium: negative), negative TIME inside JSON (`839:0-60:0-59`), cp1252's undefined bytes (U+FFFD).
#![deny(clippy::indexing_slicing)]

use std::io::Write as _;

use super::bytes::DecodeError;
use super::decimal::{Decimal, push_digits};
use super::temporal::{DateTime, MICROS, Time};

pub(super) use super::java_float::{write_double, write_float};

/// `write!` into a `Vec` cannot fail.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {{ let _ = write!($out, $($format)*); }};
}
pub(super) use put;

/// DECIMAL as `BigDecimal.toString`: with an exponent if the first significant digit is beyond the sixth decimal.
pub(super) fn write_decimal(value: &Decimal, out: &mut Vec<u8>) {
    let digits = match value.significant() {
        [] => &[0],
        digits => digits,
    };
    // Lengths are at most 65.
    let below_point = (value.scale() + 1).saturating_sub(digits.len());
    if value.scale() == 0 || below_point <= 6 {
        return value.write_plain(out);
    }
    if value.is_negative() {
        out.push(b'-');
    }
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
    push_digits(first, out);
    if !rest.is_empty() {
        out.push(b'.');
        push_digits(rest, out);
    }
    put!(out, "E-{below_point}");
}

/// DATE as days since 1970; a day with a zero part as day 0 (what Debezium writes for a NOT NULL column).
pub(super) fn write_date(date: &DateTime, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let days = if date.has_zero() { 0 } else { date.epoch_days()? };
    put!(out, "{days}");
    Ok(())
}

/// DATETIME as milliseconds since 1970, from four decimals on as microseconds.
pub(super) fn write_datetime(fsp: u8, at: &DateTime, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let micros = if at.has_zero() { 0 } else { at.epoch_micros()? };
    put!(out, "{}", if fsp <= 3 { micros / 1000 } else { micros });
    Ok(())
}

/// TIME as microseconds.
pub(super) fn write_time(time: &Time, out: &mut Vec<u8>) {
    put!(out, "{}", time.micros());
}

/// TIMESTAMP as ISO 8601 in UTC with all decimals of the column.
pub(super) fn write_timestamp(fsp: u8, seconds: i64, micros: i64, out: &mut Vec<u8>) {
    let DateTime { year, month, day, hour, minute, second, .. } = DateTime::of_epoch(seconds, micros);
    put!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fsp > 0 {
        let places = usize::from(fsp);
        let shown = micros / 10_i64.pow(6_u32.saturating_sub(u32::from(fsp)));
        put!(out, ".{shown:0places$}");
    }
    out.push(b'Z');
}

/// A DATE inside JSON.
pub(super) fn write_json_date(date: &DateTime, out: &mut Vec<u8>) {
    put!(out, "{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

/// A DATETIME or TIMESTAMP inside JSON; the fraction without trailing zeros.
pub(super) fn write_json_datetime(at: &DateTime, out: &mut Vec<u8>) {
    write_json_date(at, out);
    put!(out, " {:02}:{:02}:{:02}", at.hour, at.minute, at.second);
    write_json_fraction(at.micros, out);
}

/// A TIME inside JSON.
pub(super) fn write_json_time(time: &Time, out: &mut Vec<u8>) {
    let sign = if time.negative { "-" } else { "" };
    put!(out, "{sign}{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
    write_json_fraction(time.micros, out);
}

fn write_json_fraction(micros: i64, out: &mut Vec<u8>) {
    if micros > 0 {
        put!(out, ".{micros:06}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    debug_assert!(micros < MICROS);
}

/// A double inside JSON: shortest digits from 1e-3 up to 1e7, else its exact value without exponent (Debezium prints
/// Java's text, and `BigDecimal(double).toPlainString()` where that text has an exponent). False if it is no number.
pub(super) fn write_json_double(value: f64, out: &mut Vec<u8>) -> bool {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        if !write_short_double(value, out) {
            put!(out, "{value:?}");
        }
    } else if value.is_finite() {
        // value = odd · 2^-places: in decimal that takes exactly so many places.
        let bits = value.to_bits();
        let exponent = i64::try_from(bits >> 52 & 0x7FF).unwrap_or(0).max(1) - 1075;
        let zeros = i64::from((bits & ((1 << 52) - 1) | 1 << 52).trailing_zeros());
        let places = usize::try_from(-(exponent + zeros)).unwrap_or(0);
        put!(out, "{value:.places$}");
    } else {
        return false;
    }
    true
}

/// Numbers of at most six decimals, such as amounts of money, in a fifth of the time. False if it is not one.
///
/// The quotient of two whole numbers below 2^53 is the double nearest to it, so `millionths / 10^6` reads back as
/// `value`; and no two decimals of up to 15 digits share a double, so no shorter text does.
fn write_short_double(value: f64, out: &mut Vec<u8>) -> bool {
    let rounded = (value.abs() * 1e6).round();
    if rounded / 1e6 != value.abs() || value == 0.0 {
        return false;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 10^3 to 10^13")]
    let millionths = rounded as u64;
    if value < 0.0 {
        out.push(b'-');
    }
    write_digits(millionths / 1_000_000, out);
    out.push(b'.');
    let (mut fraction, mut places) = (millionths % 1_000_000, 6);
    while fraction % 10 == 0 && places > 1 {
        (fraction, places) = (fraction / 10, places - 1);
    }
    let start = out.len();
    out.resize(start + places, b'0');
    for place in out.iter_mut().rev().take(places) {
        *place = b'0' | u8::try_from(fraction % 10).unwrap_or(0);
        fraction /= 10;
    }
    true
}

/// A number in decimal. Half the cost of `write!`, and most documents are full of small numbers.
pub(super) fn write_digits(mut number: u64, out: &mut Vec<u8>) {
    if number < 10 {
        return out.push(b'0' | u8::try_from(number).unwrap_or(0));
    }
    let mut text = [b'0'; 20];
    let mut first = text.len();
    for place in text.iter_mut().rev() {
        *place = b'0' | u8::try_from(number % 10).unwrap_or(0);
        first -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(first..).unwrap_or(&[]));
}
