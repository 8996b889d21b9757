//! Bridges and containers' interfaces: made, found again, connected, refused, removed.

use ferry_net::{BridgeNetwork, Deletion, Error, Forwarding, delete, exists, routed_subnets};
use rustix::io::Errno;

use crate::network::{Namespace, attach, bridge, endpoint, name, three};

#[test]
fn two_containers_reach_each_other_and_nothing_is_left() {
    let Some([host, first, second]) = three() else {
        return;
    };
    let config = bridge("ferry0", &["172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    let endpoint = attach(&host, &network, &first, "veth1", &["172.30.0.2/16"]);
    attach(&host, &network, &second, "veth2", &["172.30.0.3/16"]);
    assert_eq!(endpoint.mac.to_string(), "02:42:ac:1e:00:02");

    let server = second.listen("172.30.0.3:80");
    first.connect(&server).unwrap();
    let (_, peer) = server.accept().unwrap();
    assert_eq!(peer.ip().to_string(), "172.30.0.2");

    let on_host = host.listen("172.30.0.1:80");
    first.connect(&on_host).unwrap();

    host.run(|| {
        assert_eq!(delete(&name("veth1")).unwrap(), Deletion::Deleted);
        assert_eq!(delete(&name("veth1")).unwrap(), Deletion::Absent);
        assert!(exists(&name("veth2")).unwrap());
    });
    assert!(!first.run(|| exists(&name("eth0"))).unwrap());
    host.run(|| {
        assert_eq!(BridgeNetwork::remove(&name("ferry0")).unwrap(), Deletion::Deleted);
        assert_eq!(BridgeNetwork::remove(&name("ferry0")).unwrap(), Deletion::Absent);
        delete(&name("veth2")).unwrap();
        assert_eq!(links(), ["lo"]);
    });
}

#[test]
fn the_interface_goes_with_the_namespace() {
    let Some([host, container, _]) = three() else {
        return;
    };
    let config = bridge("ferry0", &["172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    attach(&host, &network, &container, "veth1", &["172.30.0.2/16"]);
    drop(container);
    // The kernel cleans namespaces up in the background.
    let gone = || !host.run(|| exists(&name("veth1"))).unwrap();
    assert!((0..1000).any(|_| gone() || {
        std::thread::sleep(std::time::Duration::from_millis(5));
        false
    }));
}

#[test]
fn a_bridge_is_found_again_and_changed() {
    let Some([host, container, late]) = three() else {
        return;
    };
    let mut config = bridge("ferry0", &["172.30.0.1/16"]);
    // A new namespace begins as its host is, which may forward already.
    host.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "0"))
        .unwrap();
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    assert_eq!(network.forwarding(), Forwarding::TurnedOn);
    attach(&host, &network, &container, "veth1", &["172.30.0.2/16"]);
    let server = container.listen("172.30.0.2:80");

    let again = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    assert_eq!(again.forwarding(), Forwarding::WasOn);
    host.connect(&server).unwrap();

    config.gateways = vec!["172.30.0.9/16".parse().unwrap(), "172.31.0.1/24".parse().unwrap()];
    config.mtu_bytes = Some(1400);
    let changed = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    host.connect(&server).unwrap();
    host.run(|| {
        let subnets: Vec<String> = routed_subnets().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(subnets, ["172.30.0.0/16", "172.31.0.0/24"]);
        assert!(
            std::net::TcpListener::bind("172.30.0.1:0").is_err(),
            "the old address is gone"
        );
    });
    attach(&host, &changed, &late, "veth2", &["172.30.0.3/16"]);
    let mtu = late
        .run(|| std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/mtu"))
        .unwrap();
    assert_eq!(mtu, "1400\n");
}

#[test]
fn an_ipv4_network_has_no_ipv6() {
    let Some([host, container, _]) = three() else {
        return;
    };
    let config = bridge("ferry0", &["172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    attach(&host, &network, &container, "veth1", &["172.30.0.2/16"]);
    for namespace in [&host, &container] {
        let addresses = namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
        let others: Vec<String> = addresses
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.ends_with(" lo"))
            .map(str::to_owned)
            .collect();
        assert_eq!(others, [""; 0]);
    }
}

#[test]
fn ipv6_alone_and_beside_ipv4() {
    let Some([host, first, second]) = three() else {
        return;
    };
    let config = bridge("ferry0", &["fd00:30::1/64", "172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    attach(&host, &network, &first, "veth1", &["fd00:30::2/64"]);
    attach(&host, &network, &second, "veth2", &["fd00:30::3/64", "172.30.0.3/16"]);
    let server = second.listen("[fd00:30::3]:80");
    first.connect(&server).unwrap();
    host.connect(&server).unwrap();
    host.connect(&second.listen("172.30.0.3:80")).unwrap();
    let accept_ra = host.run(|| std::fs::read_to_string("/proc/sys/net/ipv6/conf/ferry0/accept_ra"));
    assert_eq!(accept_ra.unwrap(), "0\n");
    let accept_ra = first.run(|| std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/accept_ra"));
    assert_eq!(accept_ra.unwrap(), "0\n");
}

#[test]
fn failures_name_what_was_tried_and_leave_nothing() {
    let Some([host, container, _]) = three() else {
        return;
    };
    let config = bridge("ferry0", &["172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    // The gateway of the route is not on the interface's subnet.
    let mut wrong = endpoint(&config, "veth1", &["172.30.0.2/16"]);
    wrong.default_routes = vec!["10.9.9.1".parse().unwrap()];
    let error = host.run(|| network.attach(container.fd(), &wrong)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::NETUNREACH));
    assert_eq!(
        error.to_string(),
        "cannot add route default via 10.9.9.1: Network is unreachable (os error 101) (Nexthop has invalid gateway)"
    );
    assert!(!host.run(|| exists(&name("veth1"))).unwrap());
    assert!(!container.run(|| exists(&name("eth0"))).unwrap());

    attach(&host, &network, &container, "veth1", &["172.30.0.2/16"]);
    let twice = endpoint(&config, "veth1", &["172.30.0.2/16"]);
    let error = host.run(|| network.attach(container.fd(), &twice)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EXIST), "{error}");
    assert!(
        host.run(|| exists(&name("veth1"))).unwrap(),
        "the other container's interface stays"
    );

    let taken = bridge("veth1", &["172.31.0.1/16"]);
    let error = host.run(|| BridgeNetwork::ensure(&taken)).unwrap_err();
    assert!(matches!(error, Error::NotABridge { .. }), "{error}");
}

#[test]
fn a_container_in_a_user_namespace_is_attached() {
    let (Some(host), Some(container)) = (Namespace::new(), Namespace::in_user_namespace()) else {
        return;
    };
    let config = bridge("ferry0", &["172.30.0.1/16", "fd00:30::1/64"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    attach(
        &host,
        &network,
        &container,
        "veth1",
        &["172.30.0.2/16", "fd00:30::2/64"],
    );
    for address in ["172.30.0.2:80", "[fd00:30::2]:80"] {
        host.connect(&container.listen(address)).unwrap();
    }
}

#[test]
fn sixteen_at_once() {
    let Some(host) = Namespace::new() else { return };
    let config = bridge("ferry0", &["172.30.0.1/16"]);
    let network = host.run(|| BridgeNetwork::ensure(&config)).unwrap();
    let containers: Vec<Namespace> = (0..16).map(|_| Namespace::new().unwrap()).collect();
    std::thread::scope(|scope| {
        for (number, container) in containers.iter().enumerate() {
            let (host, network) = (&host, &network);
            scope.spawn(move || {
                let address = format!("172.30.0.{}/16", number + 2);
                attach(host, network, container, &format!("veth{number}"), &[&address]);
            });
        }
    });
    let server = containers[15].listen("172.30.0.17:80");
    for container in &containers[..15] {
        container.connect(&server).unwrap();
    }
}

fn links() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .map(|link| link.trim().to_owned())
        .collect()
}
