//! Hardware addresses, derived from the network address so that they survive a restart without being stored.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::fnv;
use serde::{Deserialize, Serialize};

/// A unicast Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

/// A text that is not six hexadecimal bytes of a unicast address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid MAC address {text:?}: six hexadecimal bytes of a unicast address, separated by ':', are needed")]
pub struct InvalidMacAddress {
    /// The text as it was given.
    pub text: String,
}

impl MacAddress {
    /// The locally administered address that belongs to a network address: `02:42` and the four bytes of an IPv4 address,
    /// as Docker's bridge driver does it; `02` and forty bits of the FNV-1a hash of an IPv6 address.
    pub fn for_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Self([0x02, 0x42, a, b, c, d])
            }
            IpAddr::V6(v6) => {
                let hash = fnv::hash(v6.octets());
                let [.., a, b, c, d, e] = hash.to_be_bytes();
                Self([0x02, a, b, c, d, e])
            }
        }
    }

    /// The six bytes in the order in which they are sent.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = InvalidMacAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMacAddress { text: text.to_owned() };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
            *octet = u8::from_str_radix(part.ok_or_else(invalid)?, 16).map_err(|_| invalid())?;
        }
        let is_multicast = octets[0] & 1 == 1;
        if parts.next().is_some() || is_multicast || octets == [0; 6] {
            Err(invalid())
        } else {
            Ok(Self(octets))
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = InvalidMacAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_derived_from_the_address() {
        let of = |address: &str| MacAddress::for_address(address.parse().unwrap()).to_string();
        assert_eq!(of("172.17.0.2"), "02:42:ac:11:00:02");
        assert_ne!(of("fd00::2"), of("fd01::2"));
        assert!(of("fd00::2").starts_with("02:"));
    }

    #[test]
    fn reads_what_it_writes_and_nothing_odd() {
        assert_eq!(
            "02:42:ac:11:00:02".parse::<MacAddress>().unwrap().to_string(),
            "02:42:ac:11:00:02"
        );
        for text in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "2:42:ac:11:0:2",
            "+2:42:ac:11:00:02",
        ] {
            assert_eq!(
                text.parse::<MacAddress>(),
                Err(InvalidMacAddress { text: text.to_owned() })
            );
        }
    }
}
