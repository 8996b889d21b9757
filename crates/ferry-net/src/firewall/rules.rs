//! From networks to rules: what the table says about each bridge.

use super::TableName;
use super::expression::{Interface, Is, Rule, Side, Verdict};
use super::transaction::{Hook, KeyType, Transaction};
use crate::bridge::BridgeConfig;
use crate::error::Operation;
use crate::fnv;
use crate::link_name::LinkName;
use crate::subnet::{Family, InterfaceAddress};

/// What containers of a network may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whatever the host reaches, with the host's address.
    Outside,
    /// Each other and the host's own address on the bridge: `--internal`.
    Internal,
}

/// A network as the firewall sees it. Subnets of different networks must not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRules {
    /// The bridge's name.
    pub bridge: LinkName,
    /// The bridge's addresses with their subnets.
    pub gateways: Vec<InterfaceAddress>,
    /// What its containers may reach.
    pub reach: Reach,
}

impl NetworkRules {
    /// The rules for a bridge.
    pub fn of(bridge: &BridgeConfig, reach: Reach) -> Self {
        Self {
            bridge: bridge.name.clone(),
            gateways: bridge.gateways.clone(),
            reach,
        }
    }

    fn chain(&self, purpose: &str) -> String {
        format!("{purpose}-{}", self.bridge)
    }
}

/// The transaction that makes the table say this and nothing else.
pub(super) fn replacement<'a>(table: &'a TableName, networks: &[NetworkRules]) -> Transaction<'a> {
    let mut transaction = Transaction::new(table, Operation::ReplaceFirewallTable);
    // Deleting what might not exist fails, so it is made first; all three are one step for packets.
    transaction.add_table(None);
    transaction.delete_table();
    transaction.add_table(Some(&fingerprint(table, networks)));
    describe(&mut transaction, networks);
    transaction
}

/// What [`replacement`] writes into the table's comment, so that a table with other rules is recognised: FNV-1a, 64 bits,
/// of all that is said to the kernel, so that a change of these rules in a later release is recognised too.
pub(super) fn fingerprint(table: &TableName, networks: &[NetworkRules]) -> String {
    let mut transaction = Transaction::new(table, Operation::ReplaceFirewallTable);
    describe(&mut transaction, networks);
    let hash = fnv::hash(transaction.bytes());
    format!("rules {hash:016x}")
}

/// Chains and maps of the table, then each network's.
fn describe(transaction: &mut Transaction<'_>, networks: &[NetworkRules]) {
    for network in networks {
        guard_chain(transaction, network);
        inward_chain(transaction, network);
        outward_chain(transaction, network);
        translate_chain(transaction, network);
    }
    guard_hook(transaction, networks);
    forward_hook(transaction, networks);
    translate_hook(transaction, networks);
}

/// Packets to a container's address that were on the wire as such: only through the network's own bridge. Whatever comes
/// through a published port has the host's address here, and so have replies to masqueraded connections.
fn guard_hook(transaction: &mut Transaction<'_>, networks: &[NetworkRules]) {
    subnet_hook(
        transaction,
        networks,
        "prerouting",
        Hook::PreroutingRaw,
        Side::Destination,
        "guard",
    );
}

fn guard_chain(transaction: &mut Transaction<'_>, network: &NetworkRules) {
    let chain = network.chain("guard");
    transaction.add_chain(&chain);
    let from_bridge = Rule::default().interface(Interface::In, Is::Equal, &network.bridge);
    transaction.add_rule(&chain, from_bridge.verdict(Verdict::Accept));
    for gateway in &network.gateways {
        // The host's own address on the bridge is the host's to protect.
        let to_gateway = Rule::default().address(Side::Destination, gateway.address());
        transaction.add_rule(&chain, to_gateway.verdict(Verdict::Accept));
    }
    transaction.add_rule(&chain, Rule::default().counter().verdict(Verdict::Drop));
}

/// Source addresses of packets that leave a network become the host's.
fn translate_hook(transaction: &mut Transaction<'_>, networks: &[NetworkRules]) {
    subnet_hook(
        transaction,
        networks,
        "postrouting",
        Hook::PostroutingSource,
        Side::Source,
        "translate",
    );
}

fn translate_chain(transaction: &mut Transaction<'_>, network: &NetworkRules) {
    let chain = network.chain("translate");
    transaction.add_chain(&chain);
    if network.reach == Reach::Outside {
        let leaving = Rule::default().interface(Interface::Out, Is::Unequal, &network.bridge);
        transaction.add_rule(&chain, leaving.counter().masquerade());
    }
}

/// A base chain that leads from an address to its network's chain.
fn subnet_hook(
    transaction: &mut Transaction<'_>,
    networks: &[NetworkRules],
    base_chain: &str,
    hook: Hook,
    side: Side,
    purpose: &str,
) {
    transaction.add_base_chain(base_chain, hook);
    for (family, digit) in [(Family::V4, 4), (Family::V6, 6)] {
        let map = format!("{purpose}{digit}");
        transaction.add_verdict_map(&map, KeyType::Subnet(family));
        let entries: Vec<_> = networks
            .iter()
            .flat_map(|network| {
                network
                    .gateways
                    .iter()
                    .map(move |gateway| (gateway.subnet(), network.chain(purpose)))
            })
            .filter(|(subnet, _)| subnet.family() == family)
            .collect();
        transaction.map_subnets(&map, &entries);
        transaction.add_rule(base_chain, Rule::default().address_map(side, family, &map));
    }
}

/// What the host forwards into a bridge or out of one; what touches none of ours is not ours to judge.
fn forward_hook(transaction: &mut Transaction<'_>, networks: &[NetworkRules]) {
    transaction.add_base_chain("forward", Hook::ForwardFilter);
    for (interface, purpose) in [(Interface::Out, "inward"), (Interface::In, "outward")] {
        transaction.add_verdict_map(purpose, KeyType::InterfaceName);
        let entries: Vec<_> = networks
            .iter()
            .map(|network| (network.bridge.clone(), network.chain(purpose)))
            .collect();
        transaction.map_interfaces(purpose, &entries);
        transaction.add_rule("forward", Rule::default().interface_map(interface, purpose));
    }
}

fn inward_chain(transaction: &mut Transaction<'_>, network: &NetworkRules) {
    let chain = network.chain("inward");
    transaction.add_chain(&chain);
    // The bridge's own traffic comes here only where bridged packets are made to (br_netfilter).
    let own = Rule::default().interface(Interface::In, Is::Equal, &network.bridge);
    transaction.add_rule(&chain, own.verdict(Verdict::Accept));
    if network.reach == Reach::Outside {
        transaction.add_rule(&chain, Rule::default().reply().verdict(Verdict::Accept));
        transaction.add_rule(&chain, Rule::default().redirected().verdict(Verdict::Accept));
    }
    transaction.add_rule(&chain, Rule::default().counter().verdict(Verdict::Drop));
}

fn outward_chain(transaction: &mut Transaction<'_>, network: &NetworkRules) {
    let chain = network.chain("outward");
    transaction.add_chain(&chain);
    let rule = match network.reach {
        Reach::Outside => Rule::default().verdict(Verdict::Accept),
        Reach::Internal => Rule::default().counter().verdict(Verdict::Drop),
    };
    transaction.add_rule(&chain, rule);
}
