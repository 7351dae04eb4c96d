//! MySQL's binary DECIMAL (`decimal2bin` in `strings/decimal.cc`): nine digits to four big-endian bytes, counted from
//! the decimal point outwards, the sign in the inverted top bit, all bits inverted if negative.
#![deny(clippy::indexing_slicing)]

use super::bytes::{DecodeError, uint_be};

const MAX_PRECISION: u8 = 65;
const MAX_SCALE: u8 = 30;
/// Bytes of a group of that many digits.
const GROUP_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

fn group_bytes(digits: usize) -> usize {
    GROUP_BYTES.get(digits).copied().unwrap_or(0)
}

/// The length of a stored DECIMAL, or None if no such column can be made.
pub(super) fn storage_len(precision: u8, scale: u8) -> Option<usize> {
    if precision == 0 || precision > MAX_PRECISION || scale > MAX_SCALE || scale > precision {
        return None;
    }
    let len = |digits: u8| usize::from(digits / 9) * 4 + group_bytes(usize::from(digits % 9));
    Some(len(precision - scale) + len(scale))
}

/// A decoded DECIMAL: sign, and all digits of the column, leading zeros included.
pub(super) struct Decimal {
    negative: bool,
    digits: [u8; MAX_PRECISION as usize],
    precision: usize,
    scale: usize,
}

impl Decimal {
    pub(super) fn decode(precision: u8, scale: u8, raw: &[u8]) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed { what: "DECIMAL value", offset: 0 };
        if storage_len(precision, scale) != Some(raw.len()) {
            return Err(MALFORMED);
        }
        let mut bytes = [0; 32];
        let bytes = bytes.get_mut(..raw.len()).ok_or(MALFORMED)?;
        bytes.copy_from_slice(raw);
        let first = bytes.first_mut().ok_or(MALFORMED)?;
        let negative = *first & 0x80 == 0;
        *first ^= 0x80;
        if negative {
            bytes.iter_mut().for_each(|b| *b = !*b);
        }

        let (precision, scale) = (usize::from(precision), usize::from(scale));
        let mut decimal = Self { negative, digits: [0; MAX_PRECISION as usize], precision, scale };
        let whole = precision - scale;
        let (mut bytes, mut digits) = (&*bytes, decimal.digits.as_mut_slice());
        // The odd group comes first before the point and last after it.
        let groups = [whole % 9].into_iter().chain(std::iter::repeat_n(9, whole / 9));
        for group in groups.chain(std::iter::repeat_n(9, scale / 9)).chain([scale % 9]) {
            let (head, rest) = bytes.split_at_checked(group_bytes(group)).ok_or(MALFORMED)?;
            let (places, free) = digits.split_at_mut_checked(group).ok_or(MALFORMED)?;
            let mut number = uint_be(head);
            for place in places.iter_mut().rev() {
                *place = u8::try_from(number % 10).map_err(|_| MALFORMED)?;
                number /= 10;
            }
            if number != 0 {
                return Err(MALFORMED);
            }
            (bytes, digits) = (rest, free);
        }
        Ok(decimal)
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(super) fn scale(&self) -> usize {
        self.scale
    }

    /// The digits before the point, without leading zeros.
    fn whole(&self) -> &[u8] {
        let whole = self.digits.get(..self.precision - self.scale).unwrap_or(&[]);
        whole.get(leading_zeros(whole)..).unwrap_or(&[])
    }

    /// All digits without leading zeros; empty for zero.
    pub(super) fn significant(&self) -> &[u8] {
        let all = self.digits.get(..self.precision).unwrap_or(&[]);
        all.get(leading_zeros(all)..).unwrap_or(&[])
    }

    /// `-1234.50`: all digits of the scale, no exponent.
    pub(super) fn write_plain(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let whole = self.whole();
        if whole.is_empty() {
            out.push(b'0');
        }
        push_digits(whole, out);
        if self.scale > 0 {
            out.push(b'.');
            push_digits(self.digits.get(self.precision - self.scale..self.precision).unwrap_or(&[]), out);
        }
    }
}

fn leading_zeros(digits: &[u8]) -> usize {
    digits.iter().take_while(|&&d| d == 0).count()
}

/// Digits 0–9 to their characters.
pub(super) fn push_digits(digits: &[u8], out: &mut Vec<u8>) {
    out.extend(digits.iter().map(|d| d | b'0'));
}
