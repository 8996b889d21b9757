//! `--network`: bridge with address, gateway, names and a way out; none; host.

use std::io::{Read, Write};
use std::net::TcpListener;

use ferry_tests::Engine;

#[test]
fn the_bridge_gives_an_address_and_reaches_the_host() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name web busybox sh -c 'echo hello >/index.html; exec httpd -f -p 80 -h /'")
        .succeeds();
    let address = engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' web")
        .succeeds()
        .text();
    let gateway = engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.Gateway}}' web")
        .succeeds()
        .text();
    engine
        .sh("ferry exec web ip -o -4 addr show eth0")
        .succeeds()
        .says(&address);
    engine
        .sh("ferry exec web ip route")
        .succeeds()
        .says(&format!("default via {gateway}"));
    engine
        .sh(&format!("ferry exec web ping -c 1 -W 5 {gateway}"))
        .succeeds();
    // From the host, and from another container, by address.
    engine
        .sh(&format!(
            "ferry run --rm --network host busybox wget -T 5 -qO- http://{address}/"
        ))
        .succeeds()
        .prints("hello");
    engine
        .sh(&format!("ferry run --rm busybox wget -T 5 -qO- http://{address}/"))
        .succeeds()
        .prints("hello");
    // From the container to the host, by the gateway's address.
    let listener = TcpListener::bind((gateway.as_str(), 0)).expect("the gateway is an address of the host");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let mut client = engine.background(&format!("ferry exec -i web nc -w 5 {gateway} {port}"));
    client.type_in(b"ahoy\n");
    let (mut stream, peer) = listener.accept().expect("the container connects");
    assert_eq!(peer.ip().to_string(), address);
    let mut said = [0; 5];
    stream.read_exact(&mut said).expect("five bytes come");
    assert_eq!(&said, b"ahoy\n");
    stream.write_all(b"aye\n").expect("the container reads");
    drop(stream);
    client.finish().says("aye");
}

#[test]
fn two_containers_have_two_addresses_and_an_address_is_free_after_removal() {
    let Some(engine) = Engine::with_busybox() else { return };
    let address = "ferry inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}'";
    engine
        .sh("ferry run -d --name aa busybox sleep 300 && ferry run -d --name bb busybox sleep 300")
        .succeeds();
    let (a, b) = (
        engine.sh(&format!("{address} aa")).text(),
        engine.sh(&format!("{address} bb")).text(),
    );
    assert_ne!(a, b);
    engine.sh("ferry stop -t 0 aa").succeeds();
    engine.sh(&format!("{address} aa")).succeeds().prints("");
    engine.sh("ferry start aa").succeeds();
    let again = engine.sh(&format!("{address} aa")).succeeds().text();
    assert!(!again.is_empty() && again != b);
}

#[test]
fn the_way_out_is_translated() {
    let Some(engine) = Engine::with_busybox() else { return };
    // A second host, reached by a link of its own, that knows no way back to containers' addresses.
    engine
        .host()
        .sh("set -e
            ip link add out type veth peer name in
            ip addr add 198.51.100.1/24 dev out && ip link set out up
            unshare --net sleep 300 </dev/null >/dev/null 2>&1 & echo $! >peer
            until [ \"$(readlink /proc/$(cat peer)/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done
            ip link set in netns $(cat peer)
            nsenter -t $(cat peer) -n sh -c 'ip link set lo up; ip addr add 198.51.100.2/24 dev in; ip link set in up'")
        .succeeds();
    let mut server = engine.host().start("nsenter -t $(cat peer) -n python3 -c 'import socket; s = socket.create_server((\"198.51.100.2\", 8000)); print(\"listening\", flush=True); c, a = s.accept(); print(a[0], flush=True); c.sendall(b\"from-outside\")'");
    server.until_says("listening");
    engine
        .sh("ferry run --rm busybox nc -w 5 198.51.100.2 8000")
        .succeeds()
        .prints("from-outside");
    server.finish().succeeds().says("198.51.100.1");
    engine.host().sh("ip link del out; kill $(cat peer)").succeeds();
}

#[test]
fn none_has_loopback_alone() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run --rm --network none busybox ls /sys/class/net")
        .succeeds()
        .prints("lo");
    engine
        .sh("ferry run --rm --network none busybox ping -c 1 127.0.0.1")
        .succeeds();
    engine
        .sh("ferry run --rm --network none busybox wget -T 2 -qO- http://192.0.2.1/")
        .exits(1);
}

#[test]
fn host_is_the_host_s() {
    let Some(engine) = Engine::with_busybox() else { return };
    let outside = engine.host().sh("readlink /proc/self/ns/net").succeeds().text();
    engine
        .sh("ferry run --rm --network host busybox readlink /proc/self/ns/net")
        .succeeds()
        .prints(&outside);
    let hostname = engine.host().sh("hostname").succeeds().text();
    engine
        .sh("ferry run --rm --network host busybox hostname")
        .succeeds()
        .prints(&hostname);
}

#[test]
fn names_are_files_of_the_container_s_own() {
    let Some(engine) = Engine::with_busybox() else { return };
    engine
        .sh("ferry run -d --name box -h boxy --add-host ship:10.1.2.3 busybox sleep 300")
        .succeeds();
    let address = engine
        .sh("ferry inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' box")
        .succeeds()
        .text();
    let hosts = engine.sh("ferry exec box cat /etc/hosts").succeeds().text();
    let has = |name: &str, address: &str| {
        hosts
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>() == [address, name])
    };
    assert!(
        has("boxy", &address) && has("ship", "10.1.2.3") && hosts.contains("127.0.0.1"),
        "{hosts}"
    );
    engine.sh("ferry exec box cat /etc/hostname").succeeds().prints("boxy");
    engine
        .sh("ferry run --rm --dns 192.0.2.53 --dns-search example.test busybox cat /etc/resolv.conf")
        .succeeds()
        .says("nameserver 192.0.2.53")
        .says("example.test");
    engine
        .sh("ferry run --rm --dns nowhere busybox true")
        .exits(125)
        .complains("IP address is not correctly formatted: nowhere");
    let resolv = engine.sh("ferry exec box cat /etc/resolv.conf").succeeds();
    resolv.does_not_say("nameserver 127.");
}

#[test]
fn bridges_of_two_engines_live_side_by_side() {
    let Some(one) = Engine::with_busybox() else { return };
    let two = Engine::set_up(
        one.host(),
        ferry_tests::Setup {
            name: "two",
            ..Default::default()
        },
    );
    two.make_busybox();
    one.sh("ferry run -d --name aa busybox sleep 300").succeeds();
    two.sh("ferry run -d --name aa busybox sleep 300").succeeds();
    let subnet = "ferry inspect -f '{{.NetworkSettings.Networks.bridge.Gateway}}' aa";
    assert_ne!(one.sh(subnet).succeeds().text(), two.sh(subnet).succeeds().text());
}
