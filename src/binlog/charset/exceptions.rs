//! Where MySQL's character sets of several bytes differ from those of the same name on the web (the WHATWG's Encoding
//! Standard, which `encoding_rs` implements).
//!
//! Made by comparing MySQL 9.7's `CONVERT(… USING utf8mb4)` with `encoding_rs` for every code; the differential suite
//! asks the server again.
#![deny(clippy::indexing_slicing)]

/// Codes from `from` to `to`, both included, that MySQL reads in its own way.
pub(super) struct Exception {
    from: u32,
    to: u32,
    reading: Reading,
}

enum Reading {
    /// No characters: the server shows `?` or U+FFFD.
    Nothing,
    /// Characters that follow each other, 94 in a row of codes, as EUC has them.
    Rows(char),
    /// One character for each code.
    Each(&'static str),
}

/// What a code is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What the standard says.
    Usual,
    /// This character.
    Char(char),
    /// No character.
    Nothing,
}

const fn none(from: u32, to: u32) -> Exception {
    Exception { from, to, reading: Reading::Nothing }
}

const fn rows(from: u32, to: u32, first: char) -> Exception {
    Exception { from, to, reading: Reading::Rows(first) }
}

const fn each(from: u32, to: u32, chars: &'static str) -> Exception {
    Exception { from, to, reading: Reading::Each(chars) }
}

/// Looks a code up in one of the tables below, which are in the order of their codes.
pub(super) fn meaning(exceptions: &[Exception], code: u32) -> Meaning {
    let after = exceptions.partition_point(|exception| exception.from <= code);
    let Some(found) = after.checked_sub(1).and_then(|i| exceptions.get(i)).filter(|found| code <= found.to) else {
        return Meaning::Usual;
    };
    let found_char = match found.reading {
        Reading::Nothing => None,
        Reading::Rows(first) => {
            let (row, cell) = ((code >> 8) - (found.from >> 8), (code & 0xFF).checked_sub(found.from & 0xFF));
            cell.and_then(|cell| char::from_u32(u32::from(first) + row * 94 + cell))
        }
        Reading::Each(chars) => usize::try_from(code - found.from).ok().and_then(|nth| chars.chars().nth(nth)),
    };
    found_char.map_or(Meaning::Nothing, Meaning::Char)
}

pub(super) const BIG5: &[Exception] = &[
    each(0xA145, 0xA145, "•"),
    each(0xA14E, 0xA14E, "､"),
    none(0xA15A, 0xA15A),
    each(0xA1C2, 0xA1C2, "‾"),
    none(0xA1C3, 0xA1C3),
    none(0xA1C5, 0xA1C5),
    each(0xA1E3, 0xA1E3, "∼"),
    each(0xA1F2, 0xA1F3, "♁☉"),
    none(0xA1FE, 0xA240),
    each(0xA241, 0xA242, "／＼"),
    each(0xA244, 0xA244, "¥"),
    each(0xA246, 0xA247, "¢£"),
    none(0xA2CC, 0xA2CC),
    none(0xA2CE, 0xA2CE),
    none(0xA3C0, 0xA3E1),
    each(0xC6A1, 0xC6A4, "ヾゝゞ々"),
    rows(0xC6A5, 0xC6F7, '\u{3041}'),
    each(0xC6F8, 0xC6FE, "ァアィイゥウェ"),
    rows(0xC740, 0xC77E, '\u{30a8}'),
    each(0xC7A1, 0xC7CE, "ョヨラリルレロヮワヰヱヲンヴヵヶДЕЁЖЗИЙКЛМУФХЦЧШЩЪЫЬЭЮЯабвгдеё"),
    rows(0xC7CF, 0xC7E8, '\u{436}'),
    each(0xC7E9, 0xC7FC, "①②③④⑤⑥⑦⑧⑨⑩⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽"),
    none(0xC7FD, 0xC8FE),
    none(0xF9DD, 0xF9FE),
];

pub(super) const SJIS: &[Exception] = &[
    each(0x815F, 0x8161, "\\〜‖"),
    each(0x817C, 0x817C, "−"),
    each(0x8191, 0x8192, "¢£"),
    each(0x81CA, 0x81CA, "¬"),
    none(0x8740, 0x879C),
    none(0xED40, 0xFC4B),
];

pub(super) const EUCJPMS: &[Exception] = &[
    rows(0xF5A1, 0xFEFE, '\u{e000}'),
    each(0x8FA2C3, 0x8FA2C3, "￤"),
    each(0x8FF3F3, 0x8FF3FE, "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ"),
    each(
        0x8FF4A1,
        0x8FF4FE,
        "ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑",
    ),
    rows(0x8FF5A1, 0x8FFEFE, '\u{e3ac}'),
];

pub(super) const UJIS: &[Exception] = &[
    each(0xA1C0, 0xA1C2, "\\〜‖"),
    each(0xA1DD, 0xA1DD, "−"),
    each(0xA1F1, 0xA1F2, "¢£"),
    each(0xA2CC, 0xA2CC, "¬"),
    none(0xADA1, 0xADFC),
    rows(0xF5A1, 0xFEFE, '\u{e000}'),
    each(0x8FA2B7, 0x8FA2B7, "~"),
    rows(0x8FF5A1, 0x8FFEFE, '\u{e3ac}'),
];

pub(super) const GB2312: &[Exception] = &[
    each(0xA1A4, 0xA1A4, "・"),
    each(0xA1AA, 0xA1AA, "―"),
    none(0xA2A1, 0xA2B0),
    none(0xA2E3, 0xA2E4),
    none(0xA2EF, 0xA2F0),
    none(0xA2FD, 0xA2FE),
    none(0xA4F4, 0xA4FE),
    none(0xA5F7, 0xA5FE),
    none(0xA6B9, 0xA6C0),
    none(0xA6D9, 0xA6FE),
    none(0xA7C2, 0xA7D0),
    none(0xA7F2, 0xA7FE),
    none(0xA8BB, 0xA8C4),
    none(0xA8EA, 0xA9A3),
    none(0xA9F0, 0xAFFE),
    none(0xD7FA, 0xD7FE),
];

pub(super) const GBK: &[Exception] = &[
    none(0xA140, 0xA1A0),
    none(0xA240, 0xA2A0),
    none(0xA2AB, 0xA2B0),
    none(0xA2E3, 0xA2E4),
    none(0xA2EF, 0xA2F0),
    none(0xA2FD, 0xA3A0),
    none(0xA440, 0xA4A0),
    none(0xA4F4, 0xA5A0),
    none(0xA5F7, 0xA6A0),
    none(0xA6B9, 0xA6C0),
    none(0xA6D9, 0xA6DF),
    none(0xA6EC, 0xA6ED),
    none(0xA6F3, 0xA6F3),
    none(0xA6F6, 0xA7A0),
    none(0xA7C2, 0xA7D0),
    none(0xA7F2, 0xA7FE),
    none(0xA896, 0xA8A0),
    none(0xA8BC, 0xA8BC),
    none(0xA8BF, 0xA8BF),
    none(0xA8C1, 0xA8C4),
    none(0xA8EA, 0xA8FE),
    none(0xA958, 0xA958),
    none(0xA95B, 0xA95B),
    none(0xA95D, 0xA95F),
    none(0xA989, 0xA995),
    none(0xA997, 0xA9A3),
    none(0xA9F0, 0xA9FE),
    none(0xAAA1, 0xAAFE),
    none(0xABA1, 0xABFE),
    none(0xACA1, 0xACFE),
    none(0xADA1, 0xADFE),
    none(0xAEA1, 0xAEFE),
    none(0xAFA1, 0xAFFE),
    none(0xD7FA, 0xD7FE),
    none(0xF8A1, 0xF8FE),
    none(0xF9A1, 0xF9FE),
    none(0xFAA1, 0xFAFE),
    none(0xFBA1, 0xFBFE),
    none(0xFCA1, 0xFCFE),
    none(0xFDA1, 0xFDFE),
    none(0xFE50, 0xFEFE),
];

pub(super) const GB18030: &[Exception] = &[
    each(0xA3A0, 0xA3A0, "\u{e5e5}"),
    each(0xA6D9, 0xA6DF, "\u{e78d}\u{e78e}\u{e78f}\u{e790}\u{e791}\u{e792}\u{e793}"),
    each(0xA6EC, 0xA6ED, "\u{e794}\u{e795}"),
    each(0xA6F3, 0xA6F3, "\u{e796}"),
    each(0xFE59, 0xFE59, "\u{e81e}"),
    each(0xFE61, 0xFE61, "\u{e826}"),
    each(0xFE66, 0xFE67, "\u{e82b}\u{e82c}"),
    each(0xFE6D, 0xFE6D, "\u{e832}"),
    each(0xFE7E, 0xFE7E, "\u{e843}"),
    each(0xFE90, 0xFE90, "\u{e854}"),
    each(0xFEA0, 0xFEA0, "\u{e864}"),
];
