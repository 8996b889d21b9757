//! Our own nftables table: masquerading, forwarding and isolation for all networks of one engine.
//!
//! One table of the inet family belongs to one engine and is replaced as a whole, in one transaction of the kernel: a
//! packet sees either the old rules or the new ones. It depends on networks alone, not on containers, so that starting a
//! container does not touch it. What another table forbids stays forbidden, because nf_tables lets a packet through only
//! if every table does; [`host_forward_drops`] finds such tables.
//!
//! ```text
//! chain prerouting  (raw)     to a network's subnet, neither through its bridge nor to its gateway: drop
//! chain forward     (filter)  into a bridge: its own, replies, what was redirected to it; else drop
//!                             out of a bridge: accept; out of an internal network's: drop
//! chain postrouting (srcnat)  from a network's subnet, not to its bridge: masquerade
//! ```
//!
//! Each base chain finds the network by one look-up in a map, so a hundred networks cost a packet no more than one.

mod expression;
mod forward_policy;
mod listing;
mod rules;
mod transaction;
mod uapi;

use std::str::FromStr;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Operation};
use crate::link::Deletion;
use crate::netlink::{Connection, Protocol};

pub use forward_policy::{ForwardDrop, ForwardDropCause, ForwardDropOwner, host_forward_drops};
pub use rules::{NetworkRules, Reach};
use transaction::Transaction;

/// More than any name needs, less than the kernel's 255.
const MAX_NAME_LEN_BYTES: usize = 128;

/// The name of a table, one that the `nft` program can read: a letter, then letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName(String);

/// A text that cannot name a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid nftables table name {name:?}: a letter, then letters, digits, '_' and '-' are allowed")]
pub struct InvalidTableName {
    /// The text as it was given.
    pub name: String,
}

/// How the kernel's table compares with what it should say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// As it was written.
    Intact,
    /// Somebody flushed or changed it, or it says something else.
    Altered,
    /// There is none.
    Missing,
}

/// The table of one engine in the calling thread's network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: TableName,
}

impl Table {
    /// The table of this name, whether the kernel has it or not.
    pub fn new(name: TableName) -> Self {
        Self { name }
    }

    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Makes the table say these rules and nothing else, in one step, whatever it said before.
    pub fn replace(&self, networks: &[NetworkRules]) -> Result<(), Error> {
        rules::replacement(&self.name, networks).commit()
    }

    /// Replaces the table unless it is intact, and says what it was.
    pub fn ensure(&self, networks: &[NetworkRules]) -> Result<Integrity, Error> {
        let integrity = self.check(networks)?;
        if integrity != Integrity::Intact {
            self.replace(networks)?;
        }
        Ok(integrity)
    }

    /// Compares the kernel's table with these rules: its fingerprint, the number of rules of each chain and of elements of
    /// each map. Rules that were exchanged one for one are not noticed.
    pub fn check(&self, networks: &[NetworkRules]) -> Result<Integrity, Error> {
        let mut connection = Connection::open(Protocol::Netfilter)?;
        let Some(userdata) = listing::table_userdata(&mut connection, &self.name.0)? else {
            return Ok(Integrity::Missing);
        };
        let expected = rules::replacement(&self.name, networks);
        let same_rules = userdata == transaction::comment_userdata(&rules::fingerprint(&self.name, networks));
        if !same_rules {
            return Ok(Integrity::Altered);
        }
        let census = listing::census(&mut connection, &self.name.0, expected.census())?;
        Ok(if census == *expected.census() {
            Integrity::Intact
        } else {
            Integrity::Altered
        })
    }

    /// Removes the table with all that is in it.
    pub fn remove(&self) -> Result<Deletion, Error> {
        let mut transaction = Transaction::new(&self.name, Operation::RemoveFirewallTable);
        transaction.delete_table();
        match transaction.commit() {
            Ok(()) => Ok(Deletion::Deleted),
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }
}

impl TableName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = InvalidTableName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if starts_well && name.len() <= MAX_NAME_LEN_BYTES && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidTableName { name: name.to_owned() })
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = InvalidTableName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nft_can_read() {
        assert!("ferry-0a1b".parse::<TableName>().is_ok());
        for name in ["", "1a", "-a", "a b", "a\"", "a{", &"a".repeat(129)] {
            assert!(name.parse::<TableName>().is_err(), "{name}");
        }
    }
}
