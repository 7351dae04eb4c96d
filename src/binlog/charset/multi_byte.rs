//! Character sets in which a character takes one to four bytes, none of them UTF-8.
#![deny(clippy::indexing_slicing)]

use encoding_rs::Encoding;

use super::exceptions::{self, Exception, Meaning};
use crate::binlog::bytes::uint_be;

/// An East Asian character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are named as MySQL names them")]
pub enum MultiByte {
    Big5,
    Cp932,
    Eucjpms,
    Euckr,
    Gb18030,
    Gb2312,
    Gbk,
    Sjis,
    Ujis,
}

impl MultiByte {
    /// As MySQL calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Big5 => "big5",
            Self::Cp932 => "cp932",
            Self::Eucjpms => "eucjpms",
            Self::Euckr => "euckr",
            Self::Gb18030 => "gb18030",
            Self::Gb2312 => "gb2312",
            Self::Gbk => "gbk",
            Self::Sjis => "sjis",
            Self::Ujis => "ujis",
        }
    }

    /// The standard that it follows, and where it does not.
    fn reading(self) -> (&'static Encoding, &'static [Exception]) {
        match self {
            Self::Big5 => (encoding_rs::BIG5, exceptions::BIG5),
            Self::Cp932 => (encoding_rs::SHIFT_JIS, &[]),
            Self::Eucjpms => (encoding_rs::EUC_JP, exceptions::EUCJPMS),
            Self::Euckr => (encoding_rs::EUC_KR, &[]),
            Self::Gb18030 => (encoding_rs::GB18030, exceptions::GB18030),
            Self::Gb2312 => (encoding_rs::GBK, exceptions::GB2312),
            Self::Gbk => (encoding_rs::GBK, exceptions::GBK),
            Self::Sjis => (encoding_rs::SHIFT_JIS, exceptions::SJIS),
            Self::Ujis => (encoding_rs::EUC_JP, exceptions::UJIS),
        }
    }

    /// How many bytes the character takes that `rest` begins with.
    fn character_len(self, rest: &[u8]) -> usize {
        let first = rest.first().copied().unwrap_or(0);
        match self {
            _ if first < 0x80 => 1,
            Self::Cp932 | Self::Sjis if (0xA1..=0xDF).contains(&first) => 1,
            Self::Eucjpms | Self::Ujis if first == 0x8F => 3,
            Self::Gb18030 if rest.get(1).is_some_and(u8::is_ascii_digit) => 4,
            _ => 2,
        }
    }

    /// Appends `raw` as UTF-8; `None` at a code without a character.
    pub(super) fn write(self, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (encoding, exceptions) = self.reading();
        // Runs without an exception are converted at once.
        let (mut run, mut at) = (raw, 0);
        while let Some(rest) = run.get(at..).filter(|rest| !exceptions.is_empty() && !rest.is_empty()) {
            let len = self.character_len(rest);
            let (code, behind) = rest.split_at_checked(len)?;
            let code = u32::try_from(uint_be(code)).ok()?;
            let meaning = if len == 1 { Meaning::Usual } else { exceptions::meaning(exceptions, code) };
            match meaning {
                Meaning::Usual => at += len,
                Meaning::Nothing => return None,
                Meaning::Char(found) => {
                    write_usual(encoding, run.get(..at)?, out)?;
                    out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                    (run, at) = (behind, 0);
                }
            }
        }
        write_usual(encoding, run, out)
    }
}

fn write_usual(encoding: &'static Encoding, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(raw)?;
    out.extend_from_slice(text.as_bytes());
    Some(())
}
