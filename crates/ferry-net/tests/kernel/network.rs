//! Network namespaces that act as a host, its containers and another host, and TCP between them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ferry_net::{BridgeConfig, BridgeNetwork, Endpoint, EndpointConfig, InterfaceAddress, LinkName};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a connection may take that must succeed, or that must not.
const PATIENCE: Duration = Duration::from_millis(400);

/// A network namespace that lives as long as a child process of the test.
pub(crate) struct Namespace {
    holder: Child,
    descriptor: File,
}

impl Namespace {
    /// `None` after saying so, where this machine cannot make one.
    pub(crate) fn new() -> Option<Self> {
        Self::unshared(&["--net"])
    }

    /// One that belongs to a user namespace of its own, as those of emulated and remapped containers do.
    pub(crate) fn in_user_namespace() -> Option<Self> {
        Self::unshared(&["--user", "--map-root-user", "--net"])
    }

    fn unshared(namespaces: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let spawned = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut holder) = spawned else {
            eprintln!("skipped: needs unshare");
            return None;
        };
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "\n", "unshare must have entered the namespace");
        let descriptor = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        Some(Self { holder, descriptor })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Runs `work` on a thread in the namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The output of a program in the namespace; `None` if there is no such program.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let output = self.run(|| Command::new(program).args(arguments).output());
        match output {
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{program} {arguments:?}: {errors}");
                Some(String::from_utf8(output.stdout).unwrap())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("skipped: needs {program}");
                None
            }
            Err(error) => panic!("{program}: {error}"),
        }
    }

    pub(crate) fn listen(&self, address: &str) -> TcpListener {
        let address: SocketAddr = address.parse().unwrap();
        self.run(|| TcpListener::bind(address)).unwrap()
    }

    pub(crate) fn connect(&self, to: &TcpListener) -> io::Result<TcpStream> {
        self.connect_to(to.local_addr().unwrap())
    }

    pub(crate) fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.run(|| TcpStream::connect_timeout(&address, PATIENCE))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

pub(crate) fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

pub(crate) fn bridge(bridge: &str, gateways: &[&str]) -> BridgeConfig {
    BridgeConfig {
        name: name(bridge),
        gateways: gateways.iter().map(|gateway| gateway.parse().unwrap()).collect(),
        mtu_bytes: None,
    }
}

/// An interface eth0 with these addresses, and default routes through the bridge's in their subnets.
pub(crate) fn endpoint(bridge: &BridgeConfig, veth: &str, addresses: &[&str]) -> EndpointConfig {
    let addresses: Vec<InterfaceAddress> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let own_subnet = |gateway: &&InterfaceAddress| addresses.iter().any(|own| own.subnet() == gateway.subnet());
    let gateways: Vec<_> = bridge.gateways.iter().filter(own_subnet).collect();
    EndpointConfig {
        ifname: name("eth0"),
        veth: name(veth),
        mac: None,
        default_routes: gateways.into_iter().copied().map(InterfaceAddress::address).collect(),
        addresses,
    }
}

/// Attaches from within the host's namespace.
pub(crate) fn attach(
    host: &Namespace,
    network: &BridgeNetwork,
    container: &Namespace,
    veth: &str,
    addresses: &[&str],
) -> Endpoint {
    let config = endpoint(network.config(), veth, addresses);
    host.run(|| network.attach(container.fd(), &config)).unwrap()
}

/// Three namespaces at once, or none.
pub(crate) fn three() -> Option<[Namespace; 3]> {
    Some([Namespace::new()?, Namespace::new()?, Namespace::new()?])
}
