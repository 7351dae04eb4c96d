//! Collation ids to what we can do with the text.
#![deny(clippy::indexing_slicing)]

use super::bytes::DecodeError;

/// What a column's bytes are. Source of the ids: `information_schema.COLLATIONS` of MySQL 9.7, and for the ids above
/// 1023 MariaDB's `m_ctype.h` (`MY_NOPAD_ID`, UCA 14.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// utf8mb4, utf8mb3 or ascii: the bytes are UTF-8 already.
    Utf8,
    /// No text.
    Binary,
    /// MySQL's latin1, which is cp1252 with its five holes mapped to the C1 controls.
    Latin1,
    /// A character set that we do not convert; the collation id.
    Other(u16),
    /// The log does not say.
    Unknown,
}

impl Charset {
    /// The character set of a collation id as it stands in a table map.
    pub fn of_collation(id: u64) -> Self {
        // MariaDB's NO PAD twin of a collation is 1024 above it.
        let base = if (1025..2048).contains(&id) { id - 1024 } else { id };
        match base {
            63 => Self::Binary,
            33 | 76 | 83 | 192..=215 | 223 => Self::Utf8,      // utf8mb3
            45 | 46 | 224..=247 | 255..=323 => Self::Utf8,     // utf8mb4
            11 | 65 => Self::Utf8,                             // ascii
            576..=578 | 608..=610 | 2048..=2559 => Self::Utf8, // MariaDB's own
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Self::Latin1,
            _ => u16::try_from(id).map_or(Self::Unknown, Self::Other),
        }
    }

    /// Appends `raw` as UTF-8, or as it is if it is no text. Bytes that claim to be UTF-8 are passed on unchecked.
    pub(super) fn write(self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Self::Utf8 | Self::Binary => out.extend_from_slice(raw),
            Self::Latin1 => {
                let mut utf8 = [0; 4];
                raw.iter().for_each(|&b| out.extend_from_slice(latin1(b).encode_utf8(&mut utf8).as_bytes()));
            }
            Self::Other(id) => return Err(DecodeError::Charset(id)),
            Self::Unknown => return Err(DecodeError::Charset(0)),
        }
        Ok(())
    }
}

fn latin1(byte: u8) -> char {
    // cp1252's 0x80..=0x9F; MySQL keeps 81, 8D, 8F, 90 and 9D as control characters instead of refusing them.
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let high = usize::from(byte).checked_sub(0x80).and_then(|i| HIGH.get(i));
    high.copied().unwrap_or(char::from(byte))
}
