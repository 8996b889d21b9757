//! Subnets and the addresses of interfaces in them, IPv4 and IPv6 alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// How many bits an address has: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    pub(crate) fn address_from_bits(self, bits: u128) -> IpAddr {
        match self {
            // The caller computed within 32 bits; what lies above is zero.
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

pub(crate) fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A subnet in the notation `172.17.0.0/16`; the bits after the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    first: IpAddr,
    prefix_len: u8,
}

/// Why a text or a pair is not a subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubnet {
    /// Not of the form address, `/`, prefix length.
    #[error("invalid subnet {text:?}: ADDRESS/PREFIX is needed")]
    Syntax {
        /// The text as it was given.
        text: String,
    },
    /// A prefix that is longer than the address.
    #[error("invalid prefix length {prefix_len} for {address}")]
    PrefixLength {
        /// The address.
        address: IpAddr,
        /// The prefix length as it was given.
        prefix_len: u8,
    },
}

impl Subnet {
    /// The subnet of `prefix_len` bits in which `address` lies.
    pub fn containing(address: IpAddr, prefix_len: u8) -> Result<Self, InvalidSubnet> {
        let family = Family::of(address);
        if prefix_len > family.bits() {
            return Err(InvalidSubnet::PrefixLength { address, prefix_len });
        }
        let first = family.address_from_bits(address_bits(address) & !host_mask(family, prefix_len));
        Ok(Self { first, prefix_len })
    }

    /// The lowest address, which for IPv4 names the network itself.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The highest address, which for IPv4 is the broadcast address.
    pub fn last(self) -> IpAddr {
        self.family().address_from_bits(self.last_bits())
    }

    /// The length of the common prefix, in bits.
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// IPv4 or IPv6.
    pub fn family(self) -> Family {
        Family::of(self.first)
    }

    /// Whether `address` lies in this subnet.
    pub fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && (self.first_bits()..=self.last_bits()).contains(&address_bits(address))
    }

    /// Whether any address lies in both subnets.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    pub(crate) fn first_bits(self) -> u128 {
        address_bits(self.first)
    }

    pub(crate) fn last_bits(self) -> u128 {
        self.first_bits() | host_mask(self.family(), self.prefix_len)
    }
}

/// Ones where the host's part of an address is.
fn host_mask(family: Family, prefix_len: u8) -> u128 {
    let host_bits = u32::from(family.bits() - prefix_len);
    1_u128.checked_shl(host_bits).map_or(u128::MAX, |bit| bit - 1)
}

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix_len) = parse_cidr(text)?;
        Self::containing(address, prefix_len)
    }
}

impl TryFrom<String> for Subnet {
    type Error = InvalidSubnet;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_len)
    }
}

/// The address of an interface together with the subnet that it is in: `172.17.0.2/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceAddress {
    address: IpAddr,
    subnet: Subnet,
}

impl InterfaceAddress {
    /// `address` in the subnet of `prefix_len` bits around it.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, InvalidSubnet> {
        Ok(Self {
            address,
            subnet: Subnet::containing(address, prefix_len)?,
        })
    }

    /// The address of the interface.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The subnet that is reached through the interface.
    pub fn subnet(self) -> Subnet {
        self.subnet
    }
}

impl FromStr for InterfaceAddress {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix_len) = parse_cidr(text)?;
        Self::new(address, prefix_len)
    }
}

impl TryFrom<String> for InterfaceAddress {
    type Error = InvalidSubnet;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InterfaceAddress> for String {
    fn from(address: InterfaceAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.subnet.prefix_len)
    }
}

fn parse_cidr(text: &str) -> Result<(IpAddr, u8), InvalidSubnet> {
    let syntax = || InvalidSubnet::Syntax { text: text.to_owned() };
    let (address, prefix_len) = text.split_once('/').ok_or_else(syntax)?;
    if !prefix_len.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax());
    }
    Ok((
        address.parse().map_err(|_| syntax())?,
        prefix_len.parse().map_err(|_| syntax())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn the_host_part_is_cleared() {
        for (given, expected, last) in [
            ("172.17.0.9/16", "172.17.0.0/16", "172.17.255.255"),
            ("10.1.2.3/32", "10.1.2.3/32", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0", "255.255.255.255"),
            ("fd00::9/64", "fd00::/64", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(subnet(given).to_string(), expected);
            assert_eq!(subnet(given).last().to_string(), last);
        }
    }

    #[test]
    fn overlap_is_symmetric_and_within_a_family() {
        for (left, right, expected) in [
            ("172.17.0.0/16", "172.17.4.0/24", true),
            ("172.17.0.0/16", "172.18.0.0/16", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(subnet(left).overlaps(subnet(right)), expected);
            assert_eq!(subnet(right).overlaps(subnet(left)), expected);
        }
    }

    #[test]
    fn refuses_what_is_no_subnet() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "x/8",
            "10.0.0.0/8/8",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }
}
