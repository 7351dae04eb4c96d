//! `uuid:1-5:7:tag:1-3,uuid:…`: a tag holds for the intervals after it, up to the next tag or UUID.

use super::super::gtid::{ParseGtidError, Sid, parse_number, parse_uuid};
use super::{GtidSet, Interval};
use std::fmt;
use std::str::FromStr;

impl FromStr for GtidSet {
    type Err = ParseGtidError;

    /// As MySQL reads it: white space anywhere between the parts, empty elements between commas, any order, overlaps.
    /// Stricter in one point: `5-3`, which MySQL takes for nothing, is refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut set = Self::new();
        for element in text.split(',').map(str::trim).filter(|element| !element.is_empty()) {
            parse_source(element, &mut set)?;
        }
        Ok(set)
    }
}

/// One UUID with its tags and intervals.
fn parse_source(element: &str, set: &mut GtidSet) -> Result<(), ParseGtidError> {
    let mut parts = element.split(':').map(str::trim);
    let mut sid = Sid { uuid: parse_uuid(parts.next().unwrap_or_default())?, tag: None };
    let mut bare = true;
    for part in parts {
        let is_tag = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if is_tag && !(bare && sid.tag.is_some()) {
            sid.tag = Some(part.parse()?);
            bare = true;
        } else {
            set.insert_interval(&sid, parse_interval(part)?);
            bare = false;
        }
    }
    if bare {
        return Err(ParseGtidError::new(element, "a GTID set (uuid:[tag:]first[-last]…); an interval is missing"));
    }
    Ok(())
}

fn parse_interval(text: &str) -> Result<Interval, ParseGtidError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let interval = Interval { first: parse_number(first)?, last: parse_number(last)? };
    if interval.is_empty() {
        return Err(ParseGtidError::new(text, "an interval; its last number is smaller than its first"));
    }
    Ok(interval)
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = None;
        for (sid, intervals) in self.sids() {
            match (&sid.tag, previous == Some(sid.uuid)) {
                (Some(tag), true) => write!(f, ":{tag}")?,
                (_, _) if previous.is_some() => write!(f, ",{sid}")?,
                (_, _) => write!(f, "{sid}")?,
            }
            previous = Some(sid.uuid);
            for Interval { first, last } in intervals {
                match first == last {
                    true => write!(f, ":{first}")?,
                    false => write!(f, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}
