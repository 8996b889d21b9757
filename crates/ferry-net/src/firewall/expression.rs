//! Rules as the kernel reads them: a list of expressions that load, compare and decide. `libnftnl`'s encoding, by hand,
//! because no library on crates.io encodes all of them.

use std::net::IpAddr;

use super::uapi::*;
use crate::link_name::LinkName;
use crate::netlink::attribute::Attributes;
use crate::subnet::Family;

/// The length of an interface's name as a key (IFNAMSIZ).
pub(super) const IFNAME_LEN: usize = 16;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// This table has nothing against it.
    Accept,
    /// It is gone.
    Drop,
    /// Another chain of the table decides.
    Goto(&'a str),
}

/// Which interface of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    /// The one through which it came.
    In,
    /// The one through which it will go.
    Out,
}

/// Which address of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// Whether a comparison must hold or fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal,
    Unequal,
}

/// A rule in the making; its expressions run in the order in which they are added, and the first that fails ends it.
#[derive(Debug, Default, Clone)]
pub(super) struct Rule(Attributes);

impl Rule {
    /// `meta nfproto ipv4`
    pub(super) fn family(mut self, family: Family) -> Self {
        self.meta(NFT_META_NFPROTO);
        self.compare(
            Is::Equal,
            &[match family {
                Family::V4 => NFPROTO_IPV4,
                Family::V6 => NFPROTO_IPV6,
            }],
        );
        self
    }

    /// `iifname "br0"`, `oifname != "br0"`
    pub(super) fn interface(mut self, which: Interface, is: Is, name: &LinkName) -> Self {
        self.load_interface(which);
        self.compare(is, &ifname_key(name));
        self
    }

    /// `ip daddr 172.17.0.1`
    pub(super) fn address(mut self, side: Side, address: IpAddr) -> Self {
        self = self.family(Family::of(address));
        self.load_address(side, Family::of(address));
        self.compare(Is::Equal, &address_key(address));
        self
    }

    /// `ip daddr vmap @map`
    pub(super) fn address_map(mut self, side: Side, family: Family, map: &str) -> Self {
        self = self.family(family);
        self.load_address(side, family);
        self.lookup_verdict(map);
        self
    }

    /// `oifname vmap @map`
    pub(super) fn interface_map(mut self, which: Interface, map: &str) -> Self {
        self.load_interface(which);
        self.lookup_verdict(map);
        self
    }

    /// `ct state established,related`
    pub(super) fn reply(mut self) -> Self {
        self.conntrack_bits(NFT_CT_STATE, CT_STATE_ESTABLISHED | CT_STATE_RELATED);
        self
    }

    /// `ct status dnat`
    pub(super) fn redirected(mut self) -> Self {
        self.conntrack_bits(NFT_CT_STATUS, IPS_DST_NAT);
        self
    }

    /// `counter`
    pub(super) fn counter(mut self) -> Self {
        self.expression("counter", |_| {});
        self
    }

    /// `masquerade`
    pub(super) fn masquerade(mut self) -> Self {
        self.expression("masq", |_| {});
        self
    }

    /// `accept`, `drop`, `goto chain`
    pub(super) fn verdict(mut self, verdict: Verdict<'_>) -> Self {
        self.expression("immediate", |data| {
            data.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
            data.nested(NFTA_IMMEDIATE_DATA, |data| write_verdict(data, verdict));
        });
        self
    }

    pub(super) fn into_expressions(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn load_interface(&mut self, which: Interface) {
        self.meta(match which {
            Interface::In => NFT_META_IIFNAME,
            Interface::Out => NFT_META_OIFNAME,
        });
    }

    fn load_address(&mut self, side: Side, family: Family) {
        let (offset, len) = match (family, side) {
            (Family::V4, Side::Source) => (12, 4),
            (Family::V4, Side::Destination) => (16, 4),
            (Family::V6, Side::Source) => (8, 16),
            (Family::V6, Side::Destination) => (24, 16),
        };
        self.expression("payload", |data| {
            data.be32(NFTA_PAYLOAD_DREG, NFT_REG_1)
                .be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER)
                .be32(NFTA_PAYLOAD_OFFSET, offset)
                .be32(NFTA_PAYLOAD_LEN, len);
        });
    }

    fn meta(&mut self, key: u32) {
        self.expression("meta", |data| {
            data.be32(NFTA_META_DREG, NFT_REG_1).be32(NFTA_META_KEY, key);
        });
    }

    fn compare(&mut self, is: Is, value: &[u8]) {
        let operator = match is {
            Is::Equal => NFT_CMP_EQ,
            Is::Unequal => NFT_CMP_NEQ,
        };
        self.expression("cmp", |data| {
            data.be32(NFTA_CMP_SREG, NFT_REG_1).be32(NFTA_CMP_OP, operator);
            data.nested(NFTA_CMP_DATA, |data| write_value(data, value));
        });
    }

    /// Loads a set of bits, which the kernel keeps in its own byte order, and requires one of `bits`.
    fn conntrack_bits(&mut self, key: u32, bits: u32) {
        self.expression("ct", |data| {
            data.be32(NFTA_CT_DREG, NFT_REG_1).be32(NFTA_CT_KEY, key);
        });
        self.expression("bitwise", |data| {
            data.be32(NFTA_BITWISE_SREG, NFT_REG_1)
                .be32(NFTA_BITWISE_DREG, NFT_REG_1)
                .be32(NFTA_BITWISE_LEN, 4)
                .nested(NFTA_BITWISE_MASK, |data| write_value(data, &bits.to_ne_bytes()))
                .nested(NFTA_BITWISE_XOR, |data| write_value(data, &[0; 4]));
        });
        self.compare(Is::Unequal, &[0; 4]);
    }

    fn lookup_verdict(&mut self, map: &str) {
        self.expression("lookup", |data| {
            data.text(NFTA_LOOKUP_SET, map)
                .be32(NFTA_LOOKUP_SREG, NFT_REG_1)
                .be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
        });
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) {
        self.0.nested(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, fill);
        });
    }
}

/// A verdict as data of an immediate expression or of a map's element.
pub(super) fn write_verdict(data: &mut Attributes, verdict: Verdict<'_>) {
    let (code, chain) = match verdict {
        Verdict::Accept => (NF_ACCEPT, None),
        Verdict::Drop => (NF_DROP, None),
        Verdict::Goto(chain) => (NFT_GOTO, Some(chain)),
    };
    data.nested(NFTA_DATA_VERDICT, |data| {
        data.be32(NFTA_VERDICT_CODE, code.cast_unsigned());
        if let Some(chain) = chain {
            data.text(NFTA_VERDICT_CHAIN, chain);
        }
    });
}

pub(super) fn write_value(data: &mut Attributes, value: &[u8]) {
    data.bytes(NFTA_DATA_VALUE, value);
}

pub(super) fn address_key(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(super) fn ifname_key(name: &LinkName) -> [u8; IFNAME_LEN] {
    let mut key = [0; IFNAME_LEN];
    // A LinkName has at most 15 bytes.
    for (to, from) in key.iter_mut().zip(name.as_str().bytes()) {
        *to = from;
    }
    key
}
