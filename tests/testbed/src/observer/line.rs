//! One line of the console consumer's output.

use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, Result, bail};

use super::Observed;

/// What the consumer prints for null. It passes through the same escaping as data, so it is told from data only
/// by being random: a new one for each consumer.
#[derive(Debug)]
pub(super) struct NullMark(String);

impl NullMark {
    pub(super) fn random() -> Self {
        Self(random("null"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// In escaped data a backslash is always followed by `x`: this cannot be part of it.
pub(super) const HEADER_SEPARATOR: &str = r",\H,";

const NO_HEADERS: &str = "NO_HEADERS";
const NO_TIMESTAMP: &str = "NO_TIMESTAMP";

/// A word that nobody else uses.
pub(super) fn random(kind: &str) -> String {
    let [a, b] = [0; 2].map(|seed: u8| RandomState::new().hash_one(seed));
    format!("{kind}-{a:016x}{b:016x}")
}

pub(super) fn parse(topic: &str, line: &[u8], null: &NullMark) -> Result<Observed> {
    let text = std::str::from_utf8(line).context("the console consumer printed no UTF-8")?;
    try_parse(topic, text, null).with_context(|| format!("cannot read the console consumer's line: {text}"))
}

fn try_parse(topic: &str, text: &str, null: &NullMark) -> Result<Observed> {
    let fields: Vec<&str> = text.split('\t').collect();
    let [timestamp, partition, offset, headers, key, value] = fields[..] else {
        bail!("{} fields", fields.len());
    };
    let number = |field: &str, name: &str| -> Result<i64> {
        let digits = field.strip_prefix(name).context("a field of another name")?;
        Ok(digits.parse()?)
    };
    Ok(Observed {
        topic: topic.to_owned(),
        partition: i32::try_from(number(partition, "Partition:")?)?,
        offset: number(offset, "Offset:")?,
        timestamp: match timestamp {
            NO_TIMESTAMP => None,
            _ => {
                let (_, digits) = timestamp.split_once(':').context("no timestamp")?;
                Some(digits.parse()?)
            }
        },
        headers: parse_headers(headers, null)?,
        key: unescape(key, null)?,
        value: unescape(value, null)?,
    })
}

fn parse_headers(text: &str, null: &NullMark) -> Result<Vec<(String, Option<Vec<u8>>)>> {
    if text == NO_HEADERS {
        return Ok(Vec::new());
    }
    text.split(HEADER_SEPARATOR)
        .map(|header| {
            let (name, value) = header.split_once(':').context("a header without a name")?;
            Ok((name.to_owned(), unescape(value, null)?))
        })
        .collect()
}

fn unescape(text: &str, null: &NullMark) -> Result<Option<Vec<u8>>> {
    if text == null.0 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend(plain.as_bytes());
        let digits = escaped.strip_prefix('x').and_then(|hex| hex.get(..2)).context("an unknown escape")?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        rest = &escaped[3..];
    }
    bytes.extend(rest.as_bytes());
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nil() -> NullMark {
        NullMark("NIL".to_owned())
    }

    #[test]
    fn reads_a_full_line() -> Result<()> {
        let line =
            b"CreateTime:1700000000000\tPartition:2\tOffset:41\tid:7,\\H,none:NIL,\\H,e:\tk\\x5Cx\ta\\x09\\xC3\\xA9";
        let record = parse("t", line, &nil())?;
        assert_eq!((record.partition, record.offset), (2, 41));
        assert_eq!(record.timestamp, Some(1_700_000_000_000));
        assert_eq!(
            record.headers,
            vec![("id".to_owned(), Some(b"7".to_vec())), ("none".to_owned(), None), ("e".to_owned(), Some(Vec::new())),]
        );
        assert_eq!(record.key.as_deref(), Some(&b"k\\x"[..]));
        assert_eq!(record.value.as_deref(), Some("a\té".as_bytes()));
        Ok(())
    }

    #[test]
    fn tells_null_from_text_and_empty() -> Result<()> {
        let record = parse("t", b"NO_TIMESTAMP\tPartition:0\tOffset:0\tNO_HEADERS\tNIL\t", &nil())?;
        assert_eq!((record.timestamp, record.key), (None, None));
        assert_eq!(record.value, Some(Vec::new()));
        assert!(record.headers.is_empty());
        Ok(())
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        assert!(parse("t", b"Processed a total of 3 messages", &nil()).is_err());
    }
}
