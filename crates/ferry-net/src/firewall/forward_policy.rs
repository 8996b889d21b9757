//! Finding what on the host drops forwarded packets, which our own table cannot allow again.

use std::fmt;

use super::listing::{self, Expression};
use super::uapi::*;
use crate::error::Error;
use crate::link_name::LinkName;
use crate::netlink::attribute::{find, find_be32, find_text};
use crate::netlink::{Connection, Protocol};

/// A chain that drops what it is not told to let through, and that every forwarded packet passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardDrop {
    /// `ip`, `ip6` or `inet`, as in `nft list ruleset`.
    pub family: &'static str,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// By its policy or by its last rule.
    pub cause: ForwardDropCause,
    /// Whose chain it seems to be.
    pub owner: ForwardDropOwner,
}

/// How a chain drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardDropCause {
    /// `policy drop`.
    Policy,
    /// Its last rule drops or rejects whatever comes to it.
    LastRule,
}

/// Who made a chain, by the names that its maker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardDropOwner {
    /// Docker, which has a chain for its users' own rules.
    Docker,
    /// firewalld, which trusts interfaces by zones.
    Firewalld,
    /// ufw, which has route rules.
    Ufw,
    /// An administrator, or a program that is not known here.
    Unknown,
}

/// The chains of the calling thread's network namespace that drop forwarded packets by default. Rules that let a bridge
/// through nevertheless are not looked for. What legacy (not nf_tables) iptables forbids cannot be seen.
pub fn host_forward_drops() -> Result<Vec<ForwardDrop>, Error> {
    let mut connection = Connection::open(Protocol::Netfilter)?;
    let chains = listing::chains(&mut connection)?;
    let mut drops = Vec::new();
    for chain in &chains {
        let Some((NF_INET_FORWARD, policy)) = chain.base else {
            continue;
        };
        let Some(family) = family_name(chain.family) else {
            continue;
        };
        let cause = if policy == NF_DROP {
            ForwardDropCause::Policy
        } else {
            let rules = listing::rules_of(&mut connection, chain.family, &chain.table, Some(&chain.name))?;
            match rules.last() {
                Some((_, last)) if drops_everything(last) => ForwardDropCause::LastRule,
                _ => continue,
            }
        };
        let siblings = chains
            .iter()
            .filter(|other| other.family == chain.family && other.table == chain.table);
        let owner = owner_of(&chain.table, siblings.map(|sibling| sibling.name.as_str()));
        drops.push(ForwardDrop {
            family,
            table: chain.table.clone(),
            chain: chain.name.clone(),
            cause,
            owner,
        });
    }
    Ok(drops)
}

impl ForwardDrop {
    /// The commands that let a bridge's containers through.
    pub fn remedy(&self, bridge: &LinkName) -> String {
        let Self {
            family, table, chain, ..
        } = self;
        match self.owner {
            ForwardDropOwner::Docker => {
                let iptables = if *family == "ip6" { "ip6tables" } else { "iptables" };
                format!(
                    "{iptables} -I DOCKER-USER -i {bridge} -j ACCEPT; {iptables} -I DOCKER-USER -o {bridge} -j ACCEPT"
                )
            }
            ForwardDropOwner::Firewalld => {
                format!("firewall-cmd --zone=trusted --change-interface={bridge}")
            }
            ForwardDropOwner::Ufw => {
                format!("ufw route allow in on {bridge}; ufw route allow out on {bridge}")
            }
            ForwardDropOwner::Unknown => format!(
                "nft insert rule {family} {table} {chain} iifname {bridge} accept; \
                 nft insert rule {family} {table} {chain} oifname {bridge} accept"
            ),
        }
    }
}

impl fmt::Display for ForwardDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            ForwardDropCause::Policy => "policy",
            ForwardDropCause::LastRule => "last rule",
        };
        let owner = match self.owner {
            ForwardDropOwner::Docker => " (Docker's)",
            ForwardDropOwner::Firewalld => " (firewalld's)",
            ForwardDropOwner::Ufw => " (ufw's)",
            ForwardDropOwner::Unknown => "",
        };
        let Self {
            family, table, chain, ..
        } = self;
        write!(
            f,
            "the {cause} of the host's nftables chain {family} {table} {chain}{owner} drops forwarded packets"
        )
    }
}

fn family_name(number: u8) -> Option<&'static str> {
    match number {
        NFPROTO_INET => Some("inet"),
        NFPROTO_IPV4 => Some("ip"),
        NFPROTO_IPV6 => Some("ip6"),
        _ => None,
    }
}

fn owner_of<'a>(table: &str, chains: impl Iterator<Item = &'a str>) -> ForwardDropOwner {
    if table == "firewalld" {
        return ForwardDropOwner::Firewalld;
    }
    let mut owner = ForwardDropOwner::Unknown;
    for chain in chains {
        match chain {
            // Where Docker and ufw share a table, Docker's chain is the one that forwarded packets meet first.
            "DOCKER-USER" => return ForwardDropOwner::Docker,
            "ufw-before-forward" | "ufw6-before-forward" => owner = ForwardDropOwner::Ufw,
            _ => {}
        }
    }
    owner
}

/// Whether a rule has no condition and ends in a drop or a reject.
fn drops_everything(rule: &[Expression]) -> bool {
    let Some((last, before)) = rule.split_last() else {
        return false;
    };
    let unconditional = before
        .iter()
        .all(|expression| matches!(expression.name.as_str(), "counter" | "log"));
    let drops = match last.name.as_str() {
        "reject" => true,
        "immediate" => verdict_of(&last.data) == Some(NF_DROP),
        // iptables-nft's targets.
        "target" => matches!(
            find_text(&last.data, NFTA_TARGET_NAME).as_deref(),
            Some("REJECT" | "DROP")
        ),
        _ => false,
    };
    unconditional && drops
}

fn verdict_of(immediate: &[u8]) -> Option<i32> {
    let verdict = find(find(immediate, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?;
    find_be32(verdict, NFTA_VERDICT_CODE).map(u32::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_known_by_their_names() {
        for (table, chains, owner) in [
            ("filter", &["FORWARD", "DOCKER-USER"][..], ForwardDropOwner::Docker),
            (
                "filter",
                &["ufw-before-forward", "DOCKER-USER"],
                ForwardDropOwner::Docker,
            ),
            ("filter", &["FORWARD", "ufw-before-forward"], ForwardDropOwner::Ufw),
            ("firewalld", &["filter_FORWARD"], ForwardDropOwner::Firewalld),
            ("mine", &["forward"], ForwardDropOwner::Unknown),
        ] {
            assert_eq!(owner_of(table, chains.iter().copied()), owner);
        }
    }
}
