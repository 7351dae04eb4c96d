//! A column's value as `mysqlbinlog -v` prints it.

use anyhow::{Context, Result};

/// None for NULL; numbers as their text; strings without quotes and escapes.
pub(super) fn parse(text: &[u8]) -> Result<Option<Vec<u8>>> {
    if text == b"NULL" {
        return Ok(None);
    }
    let quoted = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'"));
    match quoted {
        Some(text) => unescape(text).map(Some),
        // Negative numbers are followed by their unsigned reading in brackets.
        None => Ok(text.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec)),
    }
}

fn unescape(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().context("a string ends with a backslash")? {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'b' => bytes.push(b'\x08'),
            b'f' => bytes.push(b'\x0c'),
            b'0' => bytes.push(0),
            b'x' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits)?;
                bytes.push(u8::from_str_radix(digits, 16).context("an unknown escape")?);
            }
            other => bytes.push(other),
        }
    }
    Ok(bytes)
}
