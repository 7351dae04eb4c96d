//! Dates and times as MySQL stores them in rows (`my_time.cc`, "binary" forms since 5.6.4) and in JSON ("packed").
#![deny(clippy::indexing_slicing)]

use super::bytes::{DecodeError, uint_be, uint_le};

const DAY: i64 = 86_400;
pub(super) const MICROS: i64 = 1_000_000;

/// A date and time of day as stored; not necessarily one that the calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) micros: i64,
}

/// A signed TIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) negative: bool,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) micros: i64,
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what, offset: 0 }
}

fn exact(raw: &[u8], len: usize, what: &'static str) -> Result<(), DecodeError> {
    if raw.len() == len { Ok(()) } else { Err(malformed(what)) }
}

/// The bits of `number` from `from`, `width` many.
fn bits(number: u64, from: u32, width: u32) -> i64 {
    // At most 17 bits are asked for, so nothing is lost.
    (number >> from & ((1 << width) - 1)).cast_signed()
}

/// Big-endian fraction of a second of 0 to 3 bytes: tenths and hundredths share a byte, and so on.
fn fraction(raw: &[u8]) -> Result<i64, DecodeError> {
    let unit = match raw.len() {
        0 => 0,
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    let micros = uint_be(raw).cast_signed() * unit;
    if micros < MICROS { Ok(micros) } else { Err(malformed("fractional seconds")) }
}

fn fraction_len(fsp: u8) -> usize {
    usize::from(fsp.div_ceil(2))
}

impl DateTime {
    /// DATE: year, month (4 bits), day (5 bits) in three little-endian bytes.
    pub(super) fn of_date(raw: &[u8]) -> Result<Self, DecodeError> {
        exact(raw, 3, "DATE value")?;
        let n = uint_le(raw);
        let (year, month, day) = (bits(n, 9, 15), bits(n, 5, 4), bits(n, 0, 5));
        Ok(Self { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 })
    }

    /// DATETIME: 40 big-endian bits with the top bit set, then the fraction.
    pub(super) fn of_datetime(fsp: u8, raw: &[u8]) -> Result<Self, DecodeError> {
        exact(raw, 5 + fraction_len(fsp), "DATETIME value")?;
        let (head, tail) = raw.split_at_checked(5).ok_or(malformed("DATETIME value"))?;
        let n = uint_be(head).checked_sub(1 << 39).ok_or(malformed("DATETIME value"))?;
        Ok(Self::of_packed(n, fraction(tail)?))
    }

    /// The 64-bit form inside JSON: the same 40 bits above 24 bits of microseconds.
    pub(super) fn of_json(packed: i64) -> Result<Self, DecodeError> {
        let n = u64::try_from(packed).map_err(|_| malformed("DATETIME in JSON"))?;
        let micros = bits(n, 0, 24);
        if micros < MICROS { Ok(Self::of_packed(n >> 24, micros)) } else { Err(malformed("DATETIME in JSON")) }
    }

    fn of_packed(n: u64, micros: i64) -> Self {
        let month = bits(n, 22, 18);
        Self {
            year: month / 13,
            month: month % 13,
            day: bits(n, 17, 5),
            hour: bits(n, 12, 5),
            minute: bits(n, 6, 6),
            second: bits(n, 0, 6),
            micros,
        }
    }

    /// A TIMESTAMP's moment in UTC.
    pub(super) fn of_epoch(seconds: i64, micros: i64) -> Self {
        let (year, month, day) = civil_of_days(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        Self { year, month, day, hour: second / 3600, minute: second / 60 % 60, second: second % 60, micros }
    }

    /// Whether year, month or day is zero: `0000-00-00` and, without `NO_ZERO_IN_DATE`, its relatives. No calendar has
    /// such a day; Debezium reads it as NULL.
    pub(super) fn has_zero(&self) -> bool {
        self.year == 0 || self.month == 0 || self.day == 0
    }

    fn is_valid(&self) -> bool {
        let days = match self.month {
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=12).contains(&self.month)
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Days since 1970-01-01.
    pub(super) fn epoch_days(&self) -> Result<i64, DecodeError> {
        if !self.is_valid() {
            return Err(DecodeError::Range("a day that the calendar does not have"));
        }
        Ok(days_of_civil(self.year, self.month, self.day))
    }

    /// Microseconds since 1970-01-01, taken as UTC.
    pub(super) fn epoch_micros(&self) -> Result<i64, DecodeError> {
        let seconds = self.epoch_days()? * DAY + self.hour * 3600 + self.minute * 60 + self.second;
        Ok(seconds * MICROS + self.micros)
    }
}

/// TIMESTAMP: seconds since 1970 in four big-endian bytes, then the fraction.
pub(super) fn timestamp(fsp: u8, raw: &[u8]) -> Result<(i64, i64), DecodeError> {
    exact(raw, 4 + fraction_len(fsp), "TIMESTAMP value")?;
    let (head, tail) = raw.split_at_checked(4).ok_or(malformed("TIMESTAMP value"))?;
    Ok((uint_be(head).cast_signed(), fraction(tail)?))
}

impl Time {
    /// TIME: 24 big-endian bits and the fraction, together one number with half its range added.
    pub(super) fn of_time(fsp: u8, raw: &[u8]) -> Result<Self, DecodeError> {
        let tail = fraction_len(fsp);
        exact(raw, 3 + tail, "TIME value")?;
        let width = if tail == 0 {
            0
        } else if tail == 1 {
            8
        } else if tail == 2 {
            16
        } else {
            24
        };
        let number = uint_be(raw).cast_signed() - (0x80_0000 << width);
        let size = number.unsigned_abs();
        let unit = [0, 10_000, 100, 1].get(tail).copied().unwrap_or(1);
        Self::of_packed(number < 0, size >> width, bits(size, 0, width) * unit)
    }

    /// The 64-bit form inside JSON.
    pub(super) fn of_json(packed: i64) -> Result<Self, DecodeError> {
        let size = packed.unsigned_abs();
        Self::of_packed(packed < 0, size >> 24, bits(size, 0, 24))
    }

    fn of_packed(negative: bool, n: u64, micros: i64) -> Result<Self, DecodeError> {
        let time = Self { negative, hour: bits(n, 12, 10), minute: bits(n, 6, 6), second: bits(n, 0, 6), micros };
        let valid = time.minute < 60 && time.second < 60 && micros < MICROS;
        if valid { Ok(time) } else { Err(malformed("TIME value")) }
    }

    /// The signed length in microseconds.
    pub(super) fn micros(&self) -> i64 {
        let size = (self.hour * 3600 + self.minute * 60 + self.second) * MICROS + self.micros;
        if self.negative { -size } else { size }
    }
}

// Civil calendar with March as first month: leap days fall on a year's end and 400 years are one cycle of 146,097 days.

fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let cycle = days.div_euclid(146_097);
    let day_of_cycle = days.rem_euclid(146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    (cycle * 400 + year_of_cycle + i64::from(month <= 2), month, day)
}
