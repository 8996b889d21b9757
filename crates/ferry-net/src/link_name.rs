//! The name of a network interface, checked once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// IFNAMSIZ without its terminating zero, `<linux/if.h>`.
const MAX_LEN_BYTES: usize = 15;

/// A name that the kernel accepts for an interface: 1 to 15 bytes, printable ASCII without white space, `/`, `:` and `%`,
/// and neither `.` nor `..`. It is therefore also one plain component of a path below `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

/// A text that cannot name an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid interface name {name:?}: 1 to 15 printable characters without white space, '/', ':' and '%' are allowed"
)]
pub struct InvalidLinkName {
    /// The text as it was given.
    pub name: String,
}

impl LinkName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkName {
    type Err = InvalidLinkName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/:%".contains(&byte);
        let length_fits = (1..=MAX_LEN_BYTES).contains(&name.len());
        if length_fits && name != "." && name != ".." && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidLinkName { name: name.to_owned() })
        }
    }
}

impl TryFrom<String> for LinkName {
    type Error = InvalidLinkName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_kernel_accepts() {
        for name in ["eth0", "ferry0", "v", "veth0123456789a", "br-1.2"] {
            assert_eq!(name.parse::<LinkName>().map(String::from), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_what_would_be_a_path_or_too_long() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a:b",
            "a%d",
            "sixteen-bytes-xx",
            "ethé",
            "a\0",
        ] {
            assert_eq!(name.parse::<LinkName>(), Err(InvalidLinkName { name: name.to_owned() }));
        }
    }
}
