//! A transaction of nf_tables: all of its messages take effect at once, or none.

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};

use super::TableName;
use super::expression::{IFNAME_LEN, Rule, Verdict, address_key, ifname_key, write_value, write_verdict};
use super::uapi::*;
use crate::error::{Error, Operation};
use crate::link_name::LinkName;
use crate::netlink::attribute::Attributes;
use crate::netlink::{Connection, Message, Protocol};
use crate::subnet::{Family, Subnet};

/// An attribute holds 64 KiB; an element takes less than 100 bytes.
const ELEMENTS_A_MESSAGE: usize = 256;

/// A set's user data (`libnftnl`'s udata): type, length, and nft's BYTEORDER_HOST_ENDIAN.
const KEY_IN_HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [NFTNL_UDATA_SET_KEYBYTEORDER, 4, a, b, c, d]
};

/// Where in a packet's way a chain is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// Before connection tracking and address translation: the packet as it was on the wire.
    PreroutingRaw,
    /// Between two interfaces.
    ForwardFilter,
    /// Where source addresses are translated.
    PostroutingSource,
}

/// What a map's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    /// Ranges of addresses.
    Subnet(Family),
    /// Names of interfaces.
    InterfaceName,
}

/// How much a table holds, to be compared with what the kernel lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Rules of each chain.
    pub(super) rules: BTreeMap<String, usize>,
    /// Elements of each map; a range counts twice, at its start and its end.
    pub(super) elements: BTreeMap<String, usize>,
}

/// Messages in the making.
pub(super) struct Transaction<'a> {
    table: &'a TableName,
    operation: Operation,
    messages: Vec<Message>,
    census: Census,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(table: &'a TableName, operation: Operation) -> Self {
        let begin = control(NFNL_MSG_BATCH_BEGIN, table, operation);
        Self {
            table,
            operation,
            messages: vec![begin],
            census: Census::default(),
        }
    }

    /// Makes the table if there is none.
    pub(super) fn add_table(&mut self, comment: Option<&str>) {
        let name = self.table;
        self.push(NFT_MSG_NEWTABLE, NLM_F_CREATE, |table| {
            table.text(NFTA_TABLE_NAME, name.as_str());
            if let Some(comment) = comment {
                table.bytes(NFTA_TABLE_USERDATA, &comment_userdata(comment));
            }
        });
    }

    /// Deletes the table and all that is in it.
    pub(super) fn delete_table(&mut self) {
        let name = self.table;
        self.push(NFT_MSG_DELTABLE, 0, |table| {
            table.text(NFTA_TABLE_NAME, name.as_str());
        });
    }

    /// A chain that the kernel calls; what it does not decide is accepted.
    pub(super) fn add_base_chain(&mut self, name: &str, hook: Hook) {
        let (chain_type, number, priority) = match hook {
            Hook::PreroutingRaw => ("filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW),
            Hook::ForwardFilter => ("filter", NF_INET_FORWARD, NF_IP_PRI_FILTER),
            Hook::PostroutingSource => ("nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC),
        };
        self.chain(name, |chain| {
            chain
                .nested(NFTA_CHAIN_HOOK, |hook| {
                    hook.be32(NFTA_HOOK_HOOKNUM, number)
                        .be32(NFTA_HOOK_PRIORITY, priority.cast_unsigned());
                })
                .be32(NFTA_CHAIN_POLICY, NF_ACCEPT.cast_unsigned())
                .text(NFTA_CHAIN_TYPE, chain_type);
        });
    }

    /// A chain that rules and maps of the table lead to.
    pub(super) fn add_chain(&mut self, name: &str) {
        self.chain(name, |_| {});
    }

    /// A rule at the end of a chain.
    pub(super) fn add_rule(&mut self, chain: &str, rule: Rule) {
        let table = self.table;
        let expressions = rule.into_expressions();
        self.push(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, |message| {
            message
                .text(NFTA_RULE_TABLE, table.as_str())
                .text(NFTA_RULE_CHAIN, chain)
                .nested(NFTA_RULE_EXPRESSIONS, |list| list.append(&expressions));
        });
        *self.census.rules.entry(chain.to_owned()).or_default() += 1;
    }

    /// A map from keys to verdicts.
    pub(super) fn add_verdict_map(&mut self, name: &str, key: KeyType) {
        let (key_type, key_len, flags) = match key {
            KeyType::Subnet(Family::V4) => (TYPE_IPADDR, 4, NFT_SET_MAP | NFT_SET_INTERVAL),
            KeyType::Subnet(Family::V6) => (TYPE_IP6ADDR, 16, NFT_SET_MAP | NFT_SET_INTERVAL),
            KeyType::InterfaceName => (TYPE_IFNAME, IFNAME_LEN as u32, NFT_SET_MAP),
        };
        let table = self.table;
        // Unique within the transaction, which is all the kernel asks.
        let id = self.messages.len() as u32;
        self.push(NFT_MSG_NEWSET, NLM_F_CREATE, |set| {
            set.text(NFTA_SET_TABLE, table.as_str())
                .text(NFTA_SET_NAME, name)
                .be32(NFTA_SET_FLAGS, flags)
                .be32(NFTA_SET_KEY_TYPE, key_type)
                .be32(NFTA_SET_KEY_LEN, key_len)
                .be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT)
                .be32(NFTA_SET_ID, id);
            if key == KeyType::InterfaceName {
                // For the `nft` program, which would print names backwards otherwise.
                set.bytes(NFTA_SET_USERDATA, &KEY_IN_HOST_ORDER);
            }
        });
        self.census.elements.insert(name.to_owned(), 0);
    }

    /// Maps subnets, which must not overlap, to chains.
    pub(super) fn map_subnets(&mut self, map: &str, entries: &[(Subnet, String)]) {
        let mut elements = Vec::new();
        for (subnet, chain) in entries {
            elements.push(element(&address_key(subnet.first()), Some(chain), 0));
            // A range ends before the key of its end; the last address of all has none after it.
            let family = subnet.family();
            if subnet.last() != family.address_from_bits(u128::MAX >> (128 - family.bits())) {
                let end = family.address_from_bits(subnet.last_bits() + 1);
                elements.push(element(&address_key(end), None, NFT_SET_ELEM_INTERVAL_END));
            }
        }
        self.add_elements(map, elements);
    }

    /// Maps interfaces to chains.
    pub(super) fn map_interfaces(&mut self, map: &str, entries: &[(LinkName, String)]) {
        let elements = entries
            .iter()
            .map(|(name, chain)| element(&ifname_key(name), Some(chain), 0));
        self.add_elements(map, elements.collect());
    }

    pub(super) fn census(&self) -> &Census {
        &self.census
    }

    /// All bytes that the kernel would get, for a fingerprint.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.messages.iter().flat_map(|message| message.body.iter().copied())
    }

    /// Hands it to the kernel.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        // The begin is no object; a transaction of nothing is acknowledged by nobody.
        match self.messages.last_mut() {
            Some(last) if last.kind != NFNL_MSG_BATCH_BEGIN => last.flags |= NLM_F_ACK,
            _ => return Ok(()),
        }
        self.messages
            .push(control(NFNL_MSG_BATCH_END, self.table, self.operation));
        Connection::open(Protocol::Netfilter)?.commit(&self.messages)
    }

    fn chain(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) {
        let table = self.table;
        self.push(NFT_MSG_NEWCHAIN, NLM_F_CREATE, |chain| {
            chain.text(NFTA_CHAIN_TABLE, table.as_str()).text(NFTA_CHAIN_NAME, name);
            fill(chain);
        });
        self.census.rules.insert(name.to_owned(), 0);
    }

    fn add_elements(&mut self, map: &str, elements: Vec<Attributes>) {
        let table = self.table;
        for chunk in elements.chunks(ELEMENTS_A_MESSAGE) {
            self.push(NFT_MSG_NEWSETELEM, NLM_F_CREATE, |message| {
                message
                    .text(NFTA_SET_ELEM_LIST_TABLE, table.as_str())
                    .text(NFTA_SET_ELEM_LIST_SET, map)
                    .nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                        for element in chunk {
                            list.nested(NFTA_LIST_ELEM, |slot| *slot = element.clone());
                        }
                    });
            });
        }
        *self.census.elements.entry(map.to_owned()).or_default() += elements.len();
    }

    fn push(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Attributes)) {
        self.messages.push(request(
            kind,
            flags,
            NFPROTO_INET,
            self.operation,
            self.table.as_str(),
            fill,
        ));
    }
}

/// A message of nf_tables: `struct nfgenmsg`, then attributes.
pub(super) fn request(
    kind: u16,
    flags: u16,
    family: u8,
    operation: Operation,
    object: &str,
    fill: impl FnOnce(&mut Attributes),
) -> Message {
    let mut attributes = Attributes::default();
    fill(&mut attributes);
    let mut body = vec![family, 0, 0, 0];
    body.extend(attributes.into_bytes());
    Message {
        kind: NFNL_SUBSYS_NFTABLES << 8 | kind,
        flags,
        body,
        operation,
        object: object.to_owned(),
    }
}

/// The begin or end of a transaction, whose `struct nfgenmsg` names the subsystem.
fn control(kind: u16, table: &TableName, operation: Operation) -> Message {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    let body = vec![NFPROTO_UNSPEC, 0, high, low];
    Message {
        kind,
        flags: 0,
        body,
        operation,
        object: table.as_str().to_owned(),
    }
}

/// A comment as the `nft` program writes and prints it: type, length, text (`libnftnl`'s udata).
pub(super) fn comment_userdata(comment: &str) -> Vec<u8> {
    let mut data = vec![NFTNL_UDATA_TABLE_COMMENT, comment.len() as u8 + 1];
    data.extend_from_slice(comment.as_bytes());
    data.push(0);
    data
}

fn element(key: &[u8], chain: Option<&str>, flags: u32) -> Attributes {
    let mut element = Attributes::default();
    element.nested(NFTA_SET_ELEM_KEY, |data| write_value(data, key));
    if let Some(chain) = chain {
        element.nested(NFTA_SET_ELEM_DATA, |data| write_verdict(data, Verdict::Goto(chain)));
    }
    if flags != 0 {
        element.be32(NFTA_SET_ELEM_FLAGS, flags);
    }
    element
}
