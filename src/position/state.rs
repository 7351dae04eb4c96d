//! What a server has executed, or a relay processed, in the words of either product.

use std::fmt;
use std::str::FromStr;

use super::{GtidPosition, GtidSet, MariadbGtid, MysqlGtid, ParseGtidError};

/// A global transaction identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gtid {
    /// `uuid:[tag:]number`
    Mysql(MysqlGtid),
    /// `domain-server-sequence`
    Mariadb(MariadbGtid),
}

/// What was executed: MySQL names a set, MariaDB the last transaction of each domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GtidState {
    /// MySQL's executed set.
    Mysql(GtidSet),
    /// MariaDB's position.
    Mariadb(GtidPosition),
}

/// GTIDs of MySQL and of MariaDB do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GTIDs of MySQL and of MariaDB are mixed")]
pub struct MixedGtids;

impl GtidState {
    /// The state behind one transaction.
    pub fn of(gtid: &Gtid) -> Self {
        match gtid {
            Gtid::Mysql(gtid) => {
                let mut set = GtidSet::new();
                set.insert(gtid);
                Self::Mysql(set)
            }
            Gtid::Mariadb(gtid) => {
                let mut position = GtidPosition::default();
                position.advance(*gtid);
                Self::Mariadb(position)
            }
        }
    }

    /// Adds the next transaction of the log.
    ///
    /// # Errors
    /// If it is the other product's.
    pub fn insert(&mut self, gtid: &Gtid) -> Result<(), MixedGtids> {
        match (self, gtid) {
            (Self::Mysql(set), Gtid::Mysql(gtid)) => set.insert(gtid),
            (Self::Mariadb(position), Gtid::Mariadb(gtid)) => position.advance(*gtid),
            _ => return Err(MixedGtids),
        }
        Ok(())
    }

    /// Adds what came later in the log.
    ///
    /// # Errors
    /// If it is the other product's.
    pub fn advance_to(&mut self, later: &Self) -> Result<(), MixedGtids> {
        match (self, later) {
            (Self::Mysql(set), Self::Mysql(later)) => set.union_with(later),
            (Self::Mariadb(position), Self::Mariadb(later)) => position.advance_to(later),
            _ => return Err(MixedGtids),
        }
        Ok(())
    }

    /// Whether nothing was executed.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Mysql(set) => set.is_empty(),
            Self::Mariadb(position) => position.is_empty(),
        }
    }
}

/// The forms have no text in common: MariaDB's has digits and dashes only. The empty text is MySQL's empty set.
fn is_mariadb(text: &str) -> bool {
    text.contains('-') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ',') || c.is_whitespace())
}

impl FromStr for GtidState {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_mariadb(text) { text.parse().map(Self::Mariadb) } else { text.parse().map(Self::Mysql) }
    }
}

impl FromStr for Gtid {
    type Err = ParseGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_mariadb(text) { text.parse().map(Self::Mariadb) } else { text.parse().map(Self::Mysql) }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(gtid) => gtid.fmt(f),
            Self::Mariadb(gtid) => gtid.fmt(f),
        }
    }
}

impl fmt::Display for GtidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(set) => set.fmt(f),
            Self::Mariadb(position) => position.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1";

    #[test]
    fn the_text_tells_the_product() {
        assert!(matches!(MYSQL.parse(), Ok(Gtid::Mysql(_))));
        assert!(matches!("0-1-5".parse(), Ok(Gtid::Mariadb(_))));
        assert!(matches!(MYSQL.parse(), Ok(GtidState::Mysql(_))));
        assert!(matches!("0-1-5,1-1-5".parse(), Ok(GtidState::Mariadb(_))));
        assert!("1".parse::<Gtid>().is_err() && "1".parse::<GtidState>().is_err());
    }

    #[test]
    fn the_two_do_not_mix() {
        let (mysql, mariadb): (Gtid, Gtid) = (MYSQL.parse().unwrap(), "0-1-5".parse().unwrap());
        let mut state = GtidState::of(&mysql);
        assert_eq!(state.insert(&mariadb), Err(MixedGtids));
        assert_eq!(state.advance_to(&GtidState::of(&mariadb)), Err(MixedGtids));
        assert_eq!(state.insert(&mysql), Ok(()));
        let mut state = GtidState::of(&mariadb);
        assert_eq!(state.insert(&mysql), Err(MixedGtids));
        assert_eq!(state.advance_to(&"0-2-4,3-1-1".parse().unwrap()), Ok(()));
        assert_eq!(state.to_string(), "0-2-4,3-1-1");
    }
}
