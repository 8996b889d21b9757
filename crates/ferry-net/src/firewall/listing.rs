//! Reading back what the kernel has: one table's fingerprint and census, any table's chains and rules.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::transaction::{Census, request};
use super::uapi::*;
use crate::error::{Error, Operation};
use crate::netlink::attribute::{find, find_be32, find_text, iterate};
use crate::netlink::{Connection, Reply};

/// The length of `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

/// A chain of any table on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    /// Hook number and policy, of a chain that the kernel calls.
    pub(super) base: Option<(u32, i32)>,
}

/// An expression of a rule: its name, and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

/// The user data of a table of the inet family; `None` if there is no such table.
pub(super) fn table_userdata(connection: &mut Connection, table: &str) -> Result<Option<Vec<u8>>, Error> {
    let message = request(
        NFT_MSG_GETTABLE,
        0,
        NFPROTO_INET,
        Operation::ListFirewall,
        table,
        |filter| {
            filter.text(NFTA_TABLE_NAME, table);
        },
    );
    connection.get(&message, &[Errno::NOENT], |reply| {
        Some(
            find(attributes(reply)?, NFTA_TABLE_USERDATA)
                .unwrap_or_default()
                .to_vec(),
        )
    })
}

/// Counts what a table of the inet family holds in these chains and maps; those that are missing are left out.
pub(super) fn census(connection: &mut Connection, table: &str, expected: &Census) -> Result<Census, Error> {
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    for chain in chains(connection)? {
        if chain.family == NFPROTO_INET && chain.table == table {
            rules.insert(chain.name, 0);
        }
    }
    for (chain, _) in rules_of(connection, NFPROTO_INET, table, None)? {
        *rules.entry(chain).or_default() += 1;
    }
    let mut elements = BTreeMap::new();
    for map in expected.elements.keys() {
        if let Some(count) = count_elements(connection, table, map)? {
            elements.insert(map.clone(), count);
        }
    }
    Ok(Census { rules, elements })
}

/// Every chain of every table and family.
pub(super) fn chains(connection: &mut Connection) -> Result<Vec<Chain>, Error> {
    let message = request(
        NFT_MSG_GETCHAIN,
        0,
        NFPROTO_UNSPEC,
        Operation::ListFirewall,
        "chains",
        |_| {},
    );
    connection.list(&message, |reply| {
        let attributes = attributes(reply)?;
        let hook = find(attributes, NFTA_CHAIN_HOOK).and_then(|hook| find_be32(hook, NFTA_HOOK_HOOKNUM));
        let policy = find_be32(attributes, NFTA_CHAIN_POLICY).map(u32::cast_signed);
        Some(Chain {
            family: *reply.body.first()?,
            table: find_text(attributes, NFTA_CHAIN_TABLE)?,
            name: find_text(attributes, NFTA_CHAIN_NAME)?,
            base: hook.map(|hook| (hook, policy.unwrap_or(NF_ACCEPT))),
        })
    })
}

/// The rules of a table, or of one of its chains, in order: the chain's name and the rule's expressions.
pub(super) fn rules_of(
    connection: &mut Connection,
    family: u8,
    table: &str,
    chain: Option<&str>,
) -> Result<Vec<(String, Vec<Expression>)>, Error> {
    let message = request(NFT_MSG_GETRULE, 0, family, Operation::ListFirewall, table, |filter| {
        filter.text(NFTA_RULE_TABLE, table);
        if let Some(chain) = chain {
            filter.text(NFTA_RULE_CHAIN, chain);
        }
    });
    let rules = connection.list(&message, |reply| {
        let attributes = attributes(reply)?;
        let expressions = iterate(find(attributes, NFTA_RULE_EXPRESSIONS).unwrap_or_default());
        let expressions = expressions.filter_map(|(_, element)| {
            Some(Expression {
                name: find_text(element, NFTA_EXPR_NAME)?,
                data: find(element, NFTA_EXPR_DATA).unwrap_or_default().to_vec(),
            })
        });
        let listed_table = find_text(attributes, NFTA_RULE_TABLE)?;
        // A kernel that does not filter listings sends all tables.
        (listed_table == table).then_some((find_text(attributes, NFTA_RULE_CHAIN)?, expressions.collect()))
    });
    match rules {
        // The table or chain went away meanwhile.
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(Vec::new()),
        other => other,
    }
}

fn count_elements(connection: &mut Connection, table: &str, map: &str) -> Result<Option<usize>, Error> {
    let message = request(
        NFT_MSG_GETSETELEM,
        0,
        NFPROTO_INET,
        Operation::ListFirewall,
        map,
        |filter| {
            filter
                .text(NFTA_SET_ELEM_LIST_TABLE, table)
                .text(NFTA_SET_ELEM_LIST_SET, map);
        },
    );
    let counted = connection.list(&message, |reply| {
        Some(iterate(find(attributes(reply)?, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default()).count())
    });
    match counted {
        Ok(counts) => Ok(Some(counts.into_iter().sum())),
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn attributes<'a>(reply: &Reply<'a>) -> Option<&'a [u8]> {
    reply.body.get(HEADER_LEN..)
}
