//! Character sets of MySQL: collation ids to what we can do with the text.
#![deny(clippy::indexing_slicing)]

use super::bytes::DecodeError;

mod exceptions;
mod multi_byte;
mod single_byte;

pub use multi_byte::MultiByte;
pub use single_byte::SingleByte;

/// What a column's bytes are. Source of the ids: `information_schema.COLLATIONS` of MySQL 9.7, and for the ids above
/// 1023 MariaDB's `m_ctype.h` (`MY_NOPAD_ID`, UCA 14.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// utf8mb4, utf8mb3 or ascii: the bytes are UTF-8 already.
    Utf8,
    /// No text.
    Binary,
    /// One byte a character.
    SingleByte(SingleByte),
    /// One to four bytes a character.
    MultiByte(MultiByte),
    /// Two bytes a character, big-endian; no surrogates.
    Ucs2,
    /// UTF-16, big-endian.
    Utf16,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-32, big-endian.
    Utf32,
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
            35 | 90 | 128..=151 | 159 => Self::Ucs2,
            54 | 55 | 101..=124 => Self::Utf16,
            56 | 62 => Self::Utf16Le,
            60 | 61 | 160..=183 => Self::Utf32,
            _ => {
                let single = single_byte(base).map(Self::SingleByte);
                let known = single.or_else(|| multi_byte(base).map(Self::MultiByte));
                known.unwrap_or_else(|| u16::try_from(id).map_or(Self::Unknown, Self::Other))
            }
        }
    }

    /// The character set of this name, as `information_schema` has it.
    pub fn named(name: &str) -> Self {
        match name {
            "ascii" | "utf8mb3" | "utf8mb4" => Self::Utf8,
            // MariaDB knows the sets of MySQL by the same ids.
            _ => (1..=323).map(Self::of_collation).find(|set| set.name() == name).unwrap_or(Self::Unknown),
        }
    }

    /// The character set's name, as `SHOW CHARACTER SET` has it; `utf8` for all that are UTF-8 already.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Binary => "binary",
            Self::SingleByte(set) => set.name(),
            Self::MultiByte(set) => set.name(),
            Self::Ucs2 => "ucs2",
            Self::Utf16 => "utf16",
            Self::Utf16Le => "utf16le",
            Self::Utf32 => "utf32",
            Self::Other(_) | Self::Unknown => "unknown",
        }
    }

    /// Appends `raw` as UTF-8, or as it is if it is no text. Bytes that claim to be UTF-8 are passed on unchecked: the
    /// server has checked them.
    pub(super) fn write(self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let written = match self {
            Self::Utf8 | Self::Binary => {
                out.extend_from_slice(raw);
                Some(())
            }
            Self::SingleByte(set) => set.write(raw, out),
            Self::MultiByte(set) => set.write(raw, out),
            Self::Ucs2 => write_units(raw, out, |unit: [u8; 2]| char::from_u32(u16::from_be_bytes(unit).into())),
            Self::Utf32 => write_units(raw, out, |unit: [u8; 4]| char::from_u32(u32::from_be_bytes(unit))),
            Self::Utf16 => write_utf16(raw, out, u16::from_be_bytes),
            Self::Utf16Le => write_utf16(raw, out, u16::from_le_bytes),
            Self::Other(id) => return Err(DecodeError::Charset(id)),
            Self::Unknown => return Err(DecodeError::Charset(0)),
        };
        written.ok_or(DecodeError::NoCharacter(self.name()))
    }
}

fn write_units<const N: usize>(raw: &[u8], out: &mut Vec<u8>, read: fn([u8; N]) -> Option<char>) -> Option<()> {
    let (units, rest) = raw.as_chunks::<N>();
    for unit in units {
        out.extend_from_slice(read(*unit)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    rest.is_empty().then_some(())
}

fn write_utf16(raw: &[u8], out: &mut Vec<u8>, read: fn([u8; 2]) -> u16) -> Option<()> {
    let (units, rest) = raw.as_chunks::<2>();
    for found in char::decode_utf16(units.iter().map(|unit| read(*unit))) {
        out.extend_from_slice(found.ok()?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    rest.is_empty().then_some(())
}

fn single_byte(collation: u64) -> Option<SingleByte> {
    Some(match collation {
        32 | 64 => SingleByte::Armscii8,
        26 | 34 | 44 | 66 | 99 => SingleByte::Cp1250,
        14 | 23 | 50..=52 => SingleByte::Cp1251,
        57 | 67 => SingleByte::Cp1256,
        29 | 58 | 59 => SingleByte::Cp1257,
        4 | 80 => SingleByte::Cp850,
        40 | 81 => SingleByte::Cp852,
        36 | 68 => SingleByte::Cp866,
        3 | 69 => SingleByte::Dec8,
        92 | 93 => SingleByte::Geostd8,
        25 | 70 => SingleByte::Greek,
        16 | 71 => SingleByte::Hebrew,
        6 | 72 => SingleByte::Hp8,
        37 | 73 => SingleByte::Keybcs2,
        7 | 74 => SingleByte::Koi8r,
        22 | 75 => SingleByte::Koi8u,
        5 | 8 | 15 | 31 | 47..=49 | 94 => SingleByte::Latin1,
        2 | 9 | 21 | 27 | 77 => SingleByte::Latin2,
        30 | 78 => SingleByte::Latin5,
        20 | 41 | 42 | 79 => SingleByte::Latin7,
        38 | 43 => SingleByte::Macce,
        39 | 53 => SingleByte::Macroman,
        10 | 82 => SingleByte::Swe7,
        18 | 89 => SingleByte::Tis620,
        _ => return None,
    })
}

fn multi_byte(collation: u64) -> Option<MultiByte> {
    Some(match collation {
        1 | 84 => MultiByte::Big5,
        95 | 96 => MultiByte::Cp932,
        97 | 98 => MultiByte::Eucjpms,
        19 | 85 => MultiByte::Euckr,
        248..=250 => MultiByte::Gb18030,
        24 | 86 => MultiByte::Gb2312,
        28 | 87 => MultiByte::Gbk,
        13 | 88 => MultiByte::Sjis,
        12 | 91 => MultiByte::Ujis,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(charset: Charset, raw: &[u8]) -> Result<String, DecodeError> {
        let mut out = Vec::new();
        charset.write(raw, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_become_utf8() {
        let of = Charset::of_collation;
        assert_eq!(shown(of(8), b"\x80 \x81\xE4"), Ok("€ \u{81}ä".into()));
        assert_eq!(shown(of(10), b"A[\\]^`{|}~"), Ok("AÄÖÅÜéäöåü".into()));
        assert_eq!(shown(of(13), b"a\x93\xFA\x81\x60\xB1\x81\x5F"), Ok("a日〜ｱ\\".into()));
        assert_eq!(shown(of(95), b"\x81\x60\x81\x5F"), Ok("～＼".into()));
        assert_eq!(shown(of(97), b"\x8F\xB0\xA1\xF6\xA2\x8F\xF5\xA1"), Ok("丂\u{e05f}\u{e3ac}".into()));
        assert_eq!(shown(of(248), b"\x81\x30\x81\x30\xA3\xA0\x90\x30\x81\x30"), Ok("\u{80}\u{e5e5}\u{10000}".into()));
        assert_eq!(shown(of(35), b"\0a\x65\xE5"), Ok("a日".into()));
        assert_eq!(shown(of(54), b"\0x\xD8\x3D\xDE\0"), Ok("x😀".into()));
        assert_eq!(shown(of(56), b"x\0\x3D\xD8\0\xDE"), Ok("x😀".into()));
        assert_eq!(shown(of(60), b"\0\x01\xF6\0"), Ok("😀".into()));
        // MariaDB's twin without padding.
        assert_eq!(of(1024 + 28), of(28));
    }

    #[test]
    fn codes_without_a_character_and_broken_ones_are_refused() {
        let refused: [(u64, &[u8]); 9] = [
            (57, b"a\x8A"),
            (10, b"\x80"),
            (28, b"a\xAA\xA1"),
            (28, b"a\xB0"),
            (1, b"\xA1\x5A"),
            (35, b"\xD8\x3D\xDE\0"),
            (54, b"\xD8\x3D\0x"),
            (54, b"\0"),
            (60, b"\0\x11\0\0"),
        ];
        for (collation, raw) in refused {
            let charset = Charset::of_collation(collation);
            assert_eq!(shown(charset, raw), Err(DecodeError::NoCharacter(charset.name())), "{raw:x?}");
        }
        assert_eq!(Charset::named("gbk"), Charset::of_collation(28));
        assert_eq!(Charset::named("utf8mb3"), Charset::of_collation(33));
        assert_eq!(Charset::named("unheard"), Charset::Unknown);
        assert_eq!(shown(Charset::of_collation(999), b"a"), Err(DecodeError::Charset(999)));
    }
}
