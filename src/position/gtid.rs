//! One GTID of MySQL: `uuid:[tag:]number` (manual, "GTID Format and Storage"; tags since 8.3, WL#15294).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// The largest number of a GTID: 2^63 - 2 (MySQL's `GNO_END - 1`).
pub const MAX_NUMBER: u64 = i64::MAX.cast_unsigned() - 1;

/// A GTID tag: 1 to 32 characters of `[a-z_][a-z0-9_]*`, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// The source of a GTID: server UUID and optional tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    /// Server UUID.
    pub uuid: Uuid,
    /// Tag, if any.
    pub tag: Option<Tag>,
}

/// A global transaction identifier of MySQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MysqlGtid {
    /// Who committed it first.
    pub sid: Sid,
    /// Its number there, from 1 to 2^63 - 2.
    pub number: u64,
}

/// A text is not a GTID or GTID set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} is not {expected}")]
pub struct ParseGtidError {
    part: String,
    expected: &'static str,
}

impl ParseGtidError {
    /// Quotes the start of the part only: a pasted file is not worth repeating.
    pub(super) fn new(part: &str, expected: &'static str) -> Self {
        Self { part: part.chars().take(80).collect(), expected }
    }
}

impl Tag {
    /// The tag's text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = !text.starts_with(|first: char| first.is_ascii_digit());
        if (1..=32).contains(&text.len()) && starts_well && text.bytes().all(legal) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        Err(ParseGtidError::new(text, "a GTID tag (1 to 32 letters, digits and underscores, no digit first)"))
    }
}

impl FromStr for Sid {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (uuid, tag) = match text.split_once(':') {
            None => (text, None),
            Some((uuid, tag)) => (uuid, Some(tag.trim().parse()?)),
        };
        Ok(Self { uuid: parse_uuid(uuid)?, tag })
    }
}

impl FromStr for MysqlGtid {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sid, number) = text.rsplit_once(':').ok_or_else(|| ParseGtidError::new(text, "a GTID (uuid:number)"))?;
        Ok(Self { sid: sid.parse()?, number: parse_number(number)? })
    }
}

pub(super) fn parse_uuid(text: &str) -> Result<Uuid, ParseGtidError> {
    let text = text.trim();
    Uuid::try_parse(text).map_err(|_| ParseGtidError::new(text, "a server UUID"))
}

pub(super) fn parse_number(text: &str) -> Result<u64, ParseGtidError> {
    let text = text.trim();
    // `u64::from_str` would take a leading plus.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number
        .filter(|number| (1..=MAX_NUMBER).contains(number))
        .ok_or_else(|| ParseGtidError::new(text, "a transaction number from 1 to 9223372036854775806"))
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            None => write!(f, "{}", self.uuid),
            Some(tag) => write!(f, "{}:{tag}", self.uuid),
        }
    }
}

impl fmt::Display for MysqlGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sid, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn shows_what_it_parsed() {
        for text in [format!("{UUID}:1"), format!("{UUID}:9223372036854775806"), format!("{UUID}:_t4g:23")] {
            assert_eq!(text.parse::<MysqlGtid>().unwrap().to_string(), text);
        }
        let spaced: MysqlGtid = " 3E11FA47-71CA-11E1-9E33-C80AA9429562 : Tag :\n7".parse().unwrap();
        assert_eq!(spaced.to_string(), format!("{UUID}:tag:7"));
    }

    #[test]
    fn refuses_what_mysql_refuses() {
        let wrong = ["", ":", "1", UUID, "x:1", &format!("{UUID}:0"), &format!("{UUID}:9223372036854775807")]
            .map(str::to_owned)
            .into_iter()
            .chain(
                ["-1", "+1", "1x", "1-2", "4tag:1", ":1", "a-b:1", "é:1", "a:b:1"].map(|end| format!("{UUID}:{end}")),
            );
        for text in wrong {
            assert!(text.parse::<MysqlGtid>().is_err(), "{text:?}");
        }
        assert!("a".repeat(32).parse::<Tag>().is_ok());
        assert!("a".repeat(33).parse::<Tag>().is_err());
    }
}
