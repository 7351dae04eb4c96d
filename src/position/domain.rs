//! MariaDB: GTIDs of domains, and positions made of them (MariaDB Knowledge Base, "Global Transaction ID").
//!
//! A position names, for each replication domain, the last transaction, not a set: what comes later in the same domain of
//! the log is new, whatever its number. Numbers rise in a domain unless somebody sets them (`gtid_strict_mode = OFF`), so
//! a later transaction replaces an earlier one here even if its number is smaller.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ParseGtidError;

/// A global transaction identifier of MariaDB: `domain-server-sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MariadbGtid {
    /// Replication domain: a log of its own inside the log.
    pub domain: u32,
    /// `server_id` of the server that committed it first.
    pub server: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

/// A GTID position: the last transaction of each domain (`gtid_binlog_pos`, `@slave_connect_state`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidPosition {
    domains: BTreeMap<u32, MariadbGtid>,
}

/// The last GTID of each server in each domain, in the server's order: `gtid_binlog_state`, or the list at the head of a
/// binlog file. The last entry of a domain is its newest transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidList(Vec<MariadbGtid>);

impl GtidPosition {
    /// Moves a domain on to its next transaction in the log.
    pub fn advance(&mut self, gtid: MariadbGtid) {
        self.domains.insert(gtid.domain, gtid);
    }

    /// Moves on to a later position; domains that it does not name stay.
    pub fn advance_to(&mut self, later: &Self) {
        self.domains.extend(&later.domains);
    }

    /// The same position but for one domain, which stands behind `at`, or before its first transaction.
    #[must_use]
    pub fn with_domain_at(&self, domain: u32, at: Option<MariadbGtid>) -> Self {
        let mut position = self.clone();
        match at {
            Some(gtid) => position.domains.insert(domain, gtid),
            None => position.domains.remove(&domain),
        };
        position
    }

    /// The last transaction of a domain.
    pub fn last_of(&self, domain: u32) -> Option<MariadbGtid> {
        self.domains.get(&domain).copied()
    }

    /// The last transactions, by domain.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> {
        self.domains.values().copied()
    }

    /// Whether no domain has a transaction.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// What of this position a server whose log has come to `state` has never written: it cannot go on from here.
    #[must_use]
    pub fn absent_from(&self, state: &GtidList) -> Self {
        let absent = self.iter().filter(|gtid| {
            !state.0.iter().any(|known| {
                (known.domain, known.server) == (gtid.domain, gtid.server) && known.sequence >= gtid.sequence
            })
        });
        Self { domains: absent.map(|gtid| (gtid.domain, gtid)).collect() }
    }

    /// What of the log before a file that begins with `list` is still needed from this position on: empty if the file and
    /// those behind it are enough. This is how the server chooses a file (`contains_all_slave_gtid`).
    #[must_use]
    pub fn needed_before(&self, list: &GtidList) -> GtidList {
        let needed = |(index, gtid): &(usize, &MariadbGtid)| {
            let Some(mine) = self.last_of(gtid.domain) else { return true };
            if mine.server != gtid.server {
                return false;
            }
            // Equal, but an older server's entry of the domain: newer transactions of the domain lie before the file.
            let newest = !list.0.iter().skip(index + 1).any(|later| later.domain == gtid.domain);
            mine.sequence < gtid.sequence || (mine.sequence == gtid.sequence && !newest)
        };
        GtidList(list.0.iter().enumerate().filter(needed).map(|(_, gtid)| *gtid).collect())
    }
}

impl GtidList {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest transaction of each domain.
    pub fn position(&self) -> GtidPosition {
        GtidPosition { domains: self.0.iter().map(|gtid| (gtid.domain, *gtid)).collect() }
    }

    /// What the log that it describes has behind a position, of the servers that are wanted. Numbers that do not rise within
    /// their domain are not seen.
    #[must_use]
    pub fn behind(&self, position: &GtidPosition, wanted: impl Fn(u32) -> bool) -> Self {
        let is_behind =
            |gtid: &MariadbGtid| position.last_of(gtid.domain).is_none_or(|last| gtid.sequence > last.sequence);
        Self(self.0.iter().filter(|gtid| wanted(gtid.server) && is_behind(gtid)).copied().collect())
    }

    /// Whether the log that it describes has held this transaction, as far as numbers tell.
    pub fn has_passed(&self, gtid: MariadbGtid) -> bool {
        self.0
            .iter()
            .any(|known| (known.domain, known.server) == (gtid.domain, gtid.server) && known.sequence >= gtid.sequence)
    }
}

impl FromStr for MariadbGtid {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseGtidError::new(text, "a MariaDB GTID (domain-server-sequence)");
        let mut parts = text.trim().split('-');
        let mut next = || parts.next().filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let (domain, server, sequence) = (next(), next(), next());
        if parts.next().is_some() {
            return Err(wrong());
        }
        let small = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok()).ok_or_else(wrong);
        let sequence = sequence.and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
        Ok(Self { domain: small(domain)?, server: small(server)?, sequence })
    }
}

fn parse_all(text: &str) -> Result<Vec<MariadbGtid>, ParseGtidError> {
    text.split(',').map(str::trim).filter(|gtid| !gtid.is_empty()).map(str::parse).collect()
}

impl FromStr for GtidPosition {
    type Err = ParseGtidError;

    /// As MariaDB reads it; a domain that is named twice is refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut position = Self::default();
        for gtid in parse_all(text)? {
            if position.domains.insert(gtid.domain, gtid).is_some() {
                return Err(ParseGtidError::new(text, "a GTID position; it names a domain twice"));
            }
        }
        Ok(position)
    }
}

impl FromStr for GtidList {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_all(text).map(Self)
    }
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

fn write_all(gtids: impl Iterator<Item = MariadbGtid>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, gtid) in gtids.enumerate() {
        write!(f, "{}{gtid}", if index == 0 { "" } else { "," })?;
    }
    Ok(())
}

impl fmt::Display for GtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(self.iter(), f)
    }
}

impl fmt::Display for GtidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(self.0.iter().copied(), f)
    }
}

#[cfg(test)]
mod tests;
