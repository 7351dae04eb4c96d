//! `Double.toString` and `Float.toString` of the Java platform before version 19, which Debezium's keys and headers show.
//!
//! That method prints the shortest digits that lie strictly closer to the number than to its neighbours (Steele & White
//! 1990, "free-format"), but with four habits of its own: a tie with a neighbour does not count as close enough; above
//! a power of two the gap is taken as half of what it is; at least two digits outside 1e-3 ≤ |x| < 1e8; and whole
//! numbers below 2^63 keep all their digits. Version 19 repaired it (JDK-4511638). Of three million numbers of all sizes
//! 0.1 % differ from JDK 17 in the last digit, where its own arithmetic or its guess of the exponent is off: some FLOATs
//! above 1e24 and the smallest denormals (`1.0E-323`, we print `9.9E-324`). Slow and exact: such keys are rare.
#![deny(clippy::indexing_slicing)]

use super::decimal::push_digits;

/// 2^1100 and more, little-endian: enough for every finite double times four, and for 10^324 times four.
#[derive(Clone)]
struct Big([u32; 36]);

impl Big {
    fn new(number: u64, shift: u32) -> Self {
        let mut limbs = [0; 36];
        let wide = u128::from(number) << (shift % 32);
        let whole = usize::try_from(shift / 32).unwrap_or(0);
        for (place, limb) in limbs.iter_mut().skip(whole).zip([0, 32, 64]) {
            *place = low(wide >> limb);
        }
        Self(limbs)
    }

    fn times(&mut self, factor: u32) {
        let mut carry = 0u64;
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = low(u128::from(carry));
            carry >>= 32;
        }
    }

    fn times_ten_to(&mut self, exponent: u32) {
        (0..exponent).for_each(|_| self.times(10));
    }

    fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        let mut carry = 0u64;
        for (limb, &more) in sum.0.iter_mut().zip(&other.0) {
            carry += u64::from(*limb) + u64::from(more);
            *limb = low(u128::from(carry));
            carry >>= 32;
        }
        sum
    }

    /// The quotient, which must be below ten; leaves the remainder.
    fn divide(&mut self, by: &Self) -> u8 {
        let mut quotient = 0;
        while quotient < 9 && !self.less(by) {
            let mut borrow = false;
            for (limb, &less) in self.0.iter_mut().zip(&by.0) {
                let (difference, first) = limb.overflowing_sub(less);
                let (difference, second) = difference.overflowing_sub(u32::from(borrow));
                *limb = difference;
                borrow = first || second;
            }
            quotient += 1;
        }
        quotient
    }

    fn less(&self, other: &Self) -> bool {
        self.0.iter().rev().lt(other.0.iter().rev())
    }
}

fn low(wide: u128) -> u32 {
    u32::try_from(wide & 0xFFFF_FFFF).unwrap_or(0)
}

/// Digits and the power of ten of the first one.
struct Digits {
    digits: Vec<u8>,
    exponent: i32,
}

/// The digits of `fraction` · 2^`exponent`, a float of `precision` bits.
fn digits(fraction: u64, exponent: i32, precision: u32) -> Digits {
    let width = i32::try_from(64 - fraction.leading_zeros()).unwrap_or(64);
    let top = width - 1 + exponent;
    let whole = exponent >= 0 || fraction.trailing_zeros() >= exponent.unsigned_abs();
    if whole && top <= 62 {
        let number = if exponent >= 0 { fraction << exponent } else { fraction >> exponent.unsigned_abs() };
        return whole_digits(number, top - i32::try_from(precision).unwrap_or(0) - 1);
    }
    free_format(fraction, exponent)
}

/// All digits but those, rounded half up, that are below the number's precision of 2^`spare_bits`.
fn whole_digits(number: u64, spare_bits: i32) -> Digits {
    let spare_bits = u32::try_from(spare_bits).unwrap_or(0);
    let unit = 10u64.pow((1u64 << spare_bits).ilog10());
    let mut rest = (number / unit + u64::from(unit > 1 && number % unit >= unit / 2)) * unit;
    let mut digits: Vec<u8> = Vec::with_capacity(20);
    while rest > 0 {
        digits.push(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
    }
    let exponent = i32::try_from(digits.len()).unwrap_or(0) - 1;
    digits.reverse();
    while digits.len() > 1 && digits.last() == Some(&0) {
        digits.pop();
    }
    Digits { digits, exponent }
}

fn free_format(fraction: u64, binary_exponent: i32) -> Digits {
    let up = u32::try_from(binary_exponent).unwrap_or(0);
    let down = u32::try_from(-binary_exponent).unwrap_or(0);
    // number = rest / scale; the half gap to a neighbour = gap / scale.
    let mut rest = Big::new(fraction, up + 2);
    let mut scale = Big::new(1, down + 2);
    let mut gap = Big::new(1, if fraction.is_power_of_two() { up } else { up + 1 });
    let mut exponent = 0;
    if rest.less(&scale) {
        while rest.less(&scale) {
            rest.times(10);
            gap.times(10);
            exponent -= 1;
        }
    } else {
        let mut next = scale.clone();
        next.times_ten_to(1);
        while !rest.less(&next) {
            scale = next.clone();
            next.times(10);
            exponent += 1;
        }
    }
    let two_at_least = !(-3..8).contains(&exponent);
    let mut digits = Vec::with_capacity(20);
    loop {
        digits.push(rest.divide(&scale));
        let low = rest.less(&gap);
        let high = scale.less(&rest.plus(&gap));
        if (low || high) && !(two_at_least && digits.len() == 1) {
            if high && (!low || nearer_above(&rest, &scale, digits.last())) && round_up(&mut digits) {
                exponent += 1;
            }
            return Digits { digits, exponent };
        }
        rest.times(10);
        gap.times(10);
    }
}

fn nearer_above(rest: &Big, scale: &Big, last: Option<&u8>) -> bool {
    let double = rest.plus(rest);
    scale.less(&double) || (!double.less(scale) && last.is_some_and(|d| d % 2 == 1))
}

/// True if the carry ran over the first digit.
fn round_up(digits: &mut Vec<u8>) -> bool {
    while digits.last() == Some(&9) {
        digits.pop();
    }
    match digits.last_mut() {
        Some(last) => *last += 1,
        None => {
            digits.push(1);
            return true;
        }
    }
    false
}

/// Appends `Double.toString(value)` of a finite number.
pub(super) fn write_double(value: f64, out: &mut Vec<u8>) {
    let bits = value.to_bits();
    let stored = bits & ((1 << 52) - 1);
    let exponent = i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    let fraction = if exponent == 0 { stored } else { stored | 1 << 52 };
    write(value.is_sign_negative(), fraction, exponent.max(1) - 1075, 53, out);
}

/// Appends `Float.toString(value)` of a finite number.
pub(super) fn write_float(value: f32, out: &mut Vec<u8>) {
    let bits = u64::from(value.to_bits());
    let stored = bits & ((1 << 23) - 1);
    let exponent = i32::try_from(bits >> 23 & 0xFF).unwrap_or(0);
    let fraction = if exponent == 0 { stored } else { stored | 1 << 23 };
    write(value.is_sign_negative(), fraction, exponent.max(1) - 150, 24, out);
}

fn write(negative: bool, fraction: u64, exponent: i32, precision: u32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if fraction == 0 {
        return out.extend_from_slice(b"0.0");
    }
    let Digits { digits, exponent } = digits(fraction, exponent, precision);
    let plain = (-3..7).contains(&exponent);
    let point = match usize::try_from(exponent) {
        Ok(exponent) if plain => exponent + 1,
        _ => 1,
    };
    if plain && exponent < 0 {
        out.extend_from_slice(b"0.");
        (exponent..-1).for_each(|_| out.push(b'0'));
        return push_digits(&digits, out);
    }
    let (whole, rest) = digits.split_at_checked(point).unwrap_or((&digits, &[]));
    push_digits(whole, out);
    (whole.len()..point).for_each(|_| out.push(b'0'));
    out.push(b'.');
    push_digits(if rest.is_empty() { &[0] } else { rest }, out);
    if !plain {
        out.push(b'E');
        out.extend_from_slice(exponent.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = Vec::new();
        write_double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn float(value: f32) -> String {
        let mut out = Vec::new();
        write_float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// As JDK 17 prints them; the golden cases `key_double` and `key_float` have more.
    #[test]
    fn texts_of_jdk_17() {
        assert_eq!(double(9_999_999.5), "9999999.5");
        assert_eq!(double(1e7), "1.0E7");
        assert_eq!(double(0.001), "0.001");
        assert_eq!(double(-0.000_999), "-9.99E-4");
        assert_eq!(double(2e23), "1.9999999999999998E23");
        assert_eq!(double(f64::from_bits(1)), "4.9E-324");
        assert_eq!(double(4_611_686_018_427_387_904.0), "4.6116860184273879E18");
        assert_eq!(float(1.5), "1.5");
        assert_eq!(float(16_777_216.0), "1.6777216E7");
        assert_eq!(float(2f32.powi(-19)), "1.9073486E-6");
    }

    /// Whatever digits are chosen, they must name the same number.
    #[test]
    fn texts_read_back() {
        let mut bits = 1u64;
        for _ in 0..3000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(double(value).parse::<f64>().unwrap(), value);
            }
            let value = f32::from_bits(u32::try_from(bits >> 32).unwrap());
            if value.is_finite() {
                assert_eq!(float(value).parse::<f32>().unwrap(), value);
            }
        }
    }
}
