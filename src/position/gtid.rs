//! One GTID: `uuid:[tag:]number` (MySQL manual, "GTID Format and Storage"; tags since 8.3, WL#15294).

use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

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

/// A global transaction identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtid {
    /// Who committed it first.
    pub sid: Sid,
    /// Its number there, from 1 to 2^63 - 2.
    pub number: u64,
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            None => write!(f, "{}", self.uuid),
            Some(tag) => write!(f, "{}:{}", self.uuid, tag.0),
        }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sid, self.number)
    }
}
