//! The nftables table: who reaches whom, what `nft` reads, that it is replaced, checked and removed.
//!
//! The host is connected to another host over a bridge of its own, `lan0`, of which the table knows nothing.

use std::net::SocketAddr;

use ferry_net::firewall::{
    ForwardDropCause, ForwardDropOwner, Integrity, NetworkRules, Reach, Table, host_forward_drops,
};
use ferry_net::{BridgeNetwork, Deletion};

use crate::network::{Namespace, attach, bridge, name, three};

fn table() -> Table {
    Table::new("ferry-test".parse().unwrap())
}

struct World {
    host: Namespace,
    container: Namespace,
    other_host: Namespace,
    network: BridgeNetwork,
}

impl World {
    /// A container 172.30.0.2 on a host 192.0.2.1, and another host 192.0.2.2 that routes through it.
    fn new() -> Option<Self> {
        let [host, container, other_host] = three()?;
        let lan = host
            .run(|| BridgeNetwork::ensure(&bridge("lan0", &["192.0.2.1/24", "fd00:99::1/64"])))
            .unwrap();
        attach(&host, &lan, &other_host, "lan1", &["192.0.2.2/24", "fd00:99::2/64"]);
        let config = bridge("ferry0", &["172.30.0.1/16", "fd00:30::1/64"]);
        let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
        attach(
            &host,
            &network,
            &container,
            "veth1",
            &["172.30.0.2/16", "fd00:30::2/64"],
        );
        Some(Self {
            host,
            container,
            other_host,
            network,
        })
    }

    fn replace(&self, reach: Reach) {
        let rules = [NetworkRules::of(self.network.config(), reach)];
        self.host.run(|| table().replace(&rules)).unwrap();
    }
}

#[test]
fn containers_go_out_with_the_hosts_address() {
    let Some(world) = World::new() else { return };
    world.replace(Reach::Outside);
    for (listen, expected) in [("192.0.2.2:80", "192.0.2.1"), ("[fd00:99::2]:80", "fd00:99::1")] {
        let server = world.other_host.listen(listen);
        world.container.connect(&server).unwrap();
        assert_eq!(server.accept().unwrap().1.ip().to_string(), expected);
    }
}

#[test]
fn packets_to_a_container_come_through_its_bridge_only() {
    let Some(world) = World::new() else { return };
    let servers = [
        world.container.listen("172.30.0.2:80"),
        world.container.listen("[fd00:30::2]:80"),
    ];
    for server in &servers {
        world.other_host.connect(server).unwrap();
    }
    world.replace(Reach::Outside);
    for server in &servers {
        world.other_host.connect(server).unwrap_err();
        world.host.connect(server).unwrap();
    }
    // The host's own services are the host's to protect, also on the bridge's address.
    world.other_host.connect(&world.host.listen("172.30.0.1:80")).unwrap();
    world.container.connect(&world.host.listen("172.30.0.1:81")).unwrap();
}

#[test]
fn an_internal_network_reaches_nobody_outside() {
    let Some(world) = World::new() else { return };
    let server = world.other_host.listen("192.0.2.2:80");
    world.container.connect(&server).unwrap();
    world.replace(Reach::Internal);
    world.container.connect(&server).unwrap_err();
    world.container.connect(&world.host.listen("172.30.0.1:80")).unwrap();
}

#[test]
fn networks_are_isolated_from_each_other() {
    let Some(world) = World::new() else { return };
    // The next subnet, so that ranges in the maps touch.
    let other = bridge("ferry1", &["172.31.0.1/16", "fd00:31::1/64"]);
    let other = world.host.run(|| BridgeNetwork::ensure(&other)).unwrap();
    let Some(neighbour) = Namespace::new() else {
        return;
    };
    attach(
        &world.host,
        &other,
        &neighbour,
        "veth2",
        &["172.31.0.2/16", "fd00:31::2/64"],
    );
    let servers = [neighbour.listen("172.31.0.2:80"), neighbour.listen("[fd00:31::2]:80")];
    for server in &servers {
        world.container.connect(server).unwrap();
    }
    let rules = [&world.network, &other].map(|network| NetworkRules::of(network.config(), Reach::Outside));
    world.host.run(|| table().replace(&rules)).unwrap();
    for server in &servers {
        world.container.connect(server).unwrap_err();
        world.host.connect(server).unwrap();
    }
    let outside = world.other_host.listen("192.0.2.2:80");
    for container in [&world.container, &neighbour] {
        container.connect(&outside).unwrap();
    }
    // What the host redirects to a container arrives, from other hosts too.
    let redirect =
        "table ip nat { chain pre { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.31.0.2:80; }; }";
    if world.host.output("nft", &[redirect]).is_some() {
        let published: SocketAddr = "192.0.2.1:8080".parse().unwrap();
        world.other_host.connect_to(published).unwrap();
    }
}

#[test]
fn nft_reads_what_was_written() {
    let Some(world) = World::new() else { return };
    world.replace(Reach::Outside);
    let Some(ruleset) = world.host.output("nft", &["list", "ruleset"]) else {
        return;
    };
    let fingerprint = ruleset
        .lines()
        .find(|line| line.contains("comment"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    let ruleset = ruleset.replace(&fingerprint, "comment");
    let counted = "packets 0 bytes 0";
    let mut lines = String::new();
    for line in ruleset.lines() {
        // What passed meanwhile (neighbour discovery) is no concern here.
        match line.find("packets ") {
            Some(at) => {
                let rest: Vec<&str> = line[at..].split(' ').skip(4).collect();
                lines.push_str(&format!("{}{counted} {}\n", &line[..at], rest.join(" ")));
            }
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(lines, include_str!("firewall.nft"));
}

#[test]
fn the_table_is_checked_restored_and_removed() {
    let Some(host) = Namespace::new() else { return };
    let networks: Vec<NetworkRules> = (0..200)
        .map(|number| NetworkRules {
            bridge: name(&format!("ferry{number}")),
            gateways: vec![
                format!("10.{number}.0.1/16").parse().unwrap(),
                format!("fd00:{number}::1/64").parse().unwrap(),
            ],
            reach: if number % 2 == 0 {
                Reach::Outside
            } else {
                Reach::Internal
            },
        })
        .collect();
    let table = table();
    host.run(|| {
        assert_eq!(table.check(&networks).unwrap(), Integrity::Missing);
        assert_eq!(table.ensure(&networks).unwrap(), Integrity::Missing);
        assert_eq!(table.ensure(&networks).unwrap(), Integrity::Intact);
        assert_eq!(table.check(&networks[1..]).unwrap(), Integrity::Altered);
        table.replace(&networks[1..]).unwrap();
        assert_eq!(table.check(&networks[1..]).unwrap(), Integrity::Intact);
        assert_eq!(table.check(&networks).unwrap(), Integrity::Altered);
        table.replace(&[]).unwrap();
        assert_eq!(table.check(&[]).unwrap(), Integrity::Intact);
        table.replace(&networks).unwrap();
    });
    if host.output("nft", &["flush", "table", "inet", "ferry-test"]).is_some() {
        host.run(|| assert_eq!(table.ensure(&networks).unwrap(), Integrity::Altered));
        host.output("nft", &["flush", "map", "inet", "ferry-test", "inward"]);
        host.run(|| assert_eq!(table.ensure(&networks).unwrap(), Integrity::Altered));
        host.output("nft", &["flush", "ruleset"]);
        host.run(|| assert_eq!(table.ensure(&networks).unwrap(), Integrity::Missing));
        host.output("nft", &["add", "table", "inet", "other"]);
    }
    host.run(|| {
        assert_eq!(table.remove().unwrap(), Deletion::Deleted);
        assert_eq!(table.remove().unwrap(), Deletion::Absent);
    });
    if let Some(left) = host.output("nft", &["list", "ruleset"]) {
        assert_eq!(left, "table inet other {\n}\n", "other tables stay");
    }
}

#[test]
fn a_refused_table_changes_nothing() {
    let Some(host) = Namespace::new() else { return };
    let network = |bridge: &str, gateway: &str| NetworkRules {
        bridge: name(bridge),
        gateways: vec![gateway.parse().unwrap()],
        reach: Reach::Outside,
    };
    let good = [network("ferry0", "10.0.0.1/16")];
    let overlapping = [network("ferry0", "10.0.0.1/16"), network("ferry1", "10.0.1.1/24")];
    host.run(|| {
        table().replace(&good).unwrap();
        let error = table().replace(&overlapping).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot replace nftables table ferry-test: "),
            "{error}"
        );
        assert_eq!(table().check(&good).unwrap(), Integrity::Intact);
    });
}

#[test]
fn chains_that_drop_forwarded_packets_are_found() {
    let Some(host) = Namespace::new() else { return };
    assert_eq!(host.run(host_forward_drops).unwrap(), []);
    let tables = "
        table ip filter {
            chain DOCKER-USER { }
            chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }
            chain INPUT { type filter hook input priority 0; policy drop; }
        }
        table inet firewalld {
            chain filter_FORWARD {
                type filter hook forward priority 10; policy accept;
                ct state established accept
                counter reject with icmpx type admin-prohibited
            }
        }
        table inet harmless {
            chain forward { type filter hook forward priority 5; policy accept; tcp dport 25 drop; }
        }";
    if host.output("nft", &[tables]).is_none() {
        return;
    }
    host.run(|| table().replace(&[])).unwrap();
    let mut drops = host.run(host_forward_drops).unwrap();
    drops.sort_by_key(|drop| drop.table.clone());
    let [docker, firewalld] = drops.as_slice() else {
        panic!("{drops:?}")
    };
    let [docker, firewalld] = if docker.table == "filter" {
        [docker, firewalld]
    } else {
        [firewalld, docker]
    };
    assert_eq!(
        (docker.cause, docker.owner),
        (ForwardDropCause::Policy, ForwardDropOwner::Docker)
    );
    assert_eq!(
        (firewalld.cause, firewalld.owner),
        (ForwardDropCause::LastRule, ForwardDropOwner::Firewalld)
    );
    assert_eq!(
        docker.to_string(),
        "the policy of the host's nftables chain ip filter FORWARD (Docker's) drops forwarded packets"
    );
    assert!(docker.remedy(&name("ferry0")).contains("DOCKER-USER -i ferry0"));
}

#[test]
fn the_remedy_for_an_unknown_chain_works() {
    let Some(world) = World::new() else { return };
    world.replace(Reach::Outside);
    let server = world.other_host.listen("192.0.2.2:80");
    let strict = "table inet strict { chain forward { type filter hook forward priority 0; policy drop; }; }";
    if world.host.output("nft", &[strict]).is_none() {
        return;
    }
    world.container.connect(&server).unwrap_err();
    let drops = world.host.run(host_forward_drops).unwrap();
    let [drop] = drops.as_slice() else { panic!("{drops:?}") };
    world.host.output("sh", &["-c", &drop.remedy(&name("ferry0"))]);
    world.container.connect(&server).unwrap();
}
