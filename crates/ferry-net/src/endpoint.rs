//! A container's interface: a veth pair with one end on the bridge and the other in the container's network namespace.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};

use crate::bridge::BridgeNetwork;
use crate::error::{Error, Operation};
use crate::link_name::LinkName;
use crate::mac::MacAddress;
use crate::namespace;
use crate::netlink::{Connection, Message, Protocol};
use crate::subnet::{Family, InterfaceAddress};
use crate::{address, link, routes, sysctl};

/// What a container's interface is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Its name in the container, `eth0`.
    pub ifname: LinkName,
    /// The name of the other end on the host.
    pub veth: LinkName,
    /// Its addresses, each in one of the network's subnets.
    pub addresses: Vec<InterfaceAddress>,
    /// Its hardware address; by default derived from the first address.
    pub mac: Option<MacAddress>,
    /// Through which address the container reaches everything else; at most one a family, none for internal networks.
    pub default_routes: Vec<IpAddr>,
}

/// A container's interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its hardware address.
    pub mac: MacAddress,
    /// Its index in the container's namespace.
    pub index: u32,
    /// The name of the other end on the host, by which [`crate::delete`] removes both.
    pub veth: LinkName,
}

/// See [`BridgeNetwork::attach`].
pub(crate) fn attach(
    bridge: &BridgeNetwork,
    namespace: BorrowedFd<'_>,
    config: &EndpointConfig,
) -> Result<Endpoint, Error> {
    let mac = config.mac.unwrap_or_else(|| derive_mac(config));
    let mut connection = Connection::open(Protocol::Route)?;
    connection.execute(&[create_pair(bridge, namespace, config, mac)])?;
    let mut finish = || {
        // A bridge's port needs no addresses; unless told so before it is up, it takes a link-local one and tells the others.
        sysctl::disable_ipv6(&config.veth)?;
        let index = connection.link_index(&config.veth)?;
        connection.execute(&[link::raise(config.veth.as_str(), index)])?;
        namespace::inside(namespace, || configure(bridge, config))
    };
    match finish() {
        Ok(index) => Ok(Endpoint {
            mac,
            index,
            veth: config.veth.clone(),
        }),
        Err(error) => {
            // The first error is the one to report; a leftover goes with the namespace.
            if let Err(leftover) = link::delete(&config.veth) {
                tracing::warn!(%leftover, "an interface is left after a failed attachment");
            }
            Err(error)
        }
    }
}

fn derive_mac(config: &EndpointConfig) -> MacAddress {
    let unnumbered = IpAddr::from([0, 0, 0, 0]);
    MacAddress::for_address(config.addresses.first().map_or(unnumbered, |first| first.address()))
}

/// Both ends in one message: the host's on the bridge, the container's in its namespace. Neither is up yet: the
/// container's cannot be, because it is registered before it is moved. One queue each way: the default of one a CPU costs
/// memory and time and buys nothing.
fn create_pair(bridge: &BridgeNetwork, namespace: BorrowedFd<'_>, config: &EndpointConfig, mac: MacAddress) -> Message {
    let common = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mtu = bridge.config().mtu_bytes.map(LinkAttribute::Mtu);

    let mut peer = LinkMessage::default();
    peer.attributes
        .push(LinkAttribute::IfName(config.ifname.as_str().to_owned()));
    peer.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    peer.attributes.push(LinkAttribute::Address(mac.octets().to_vec()));
    peer.attributes.extend(common.iter().cloned().chain(mtu.clone()));

    let mut host = LinkMessage::default();
    host.attributes
        .push(LinkAttribute::IfName(config.veth.as_str().to_owned()));
    host.attributes.push(LinkAttribute::Controller(bridge.index()));
    host.attributes.extend(common.into_iter().chain(mtu));
    host.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    Message::route(
        Operation::CreateVeth,
        format!("{} on {}", config.veth, bridge.config().name),
        NLM_F_CREATE | NLM_F_EXCL,
        &RouteNetlinkMessage::NewLink(host),
    )
}

/// Inside the container's namespace: settings, then addresses, link and routes in one send.
fn configure(bridge: &BridgeNetwork, config: &EndpointConfig) -> Result<u32, Error> {
    let mut connection = Connection::open(Protocol::Route)?;
    let index = connection.link_index(&config.ifname)?;
    if bridge.config().has(Family::V6) {
        sysctl::prepare_ipv6(&config.ifname)?;
    } else {
        sysctl::disable_ipv6(&config.ifname)?;
    }
    let mut requests: Vec<Message> = config
        .addresses
        .iter()
        .map(|address| address::add(&config.ifname, index, *address))
        .collect();
    requests.push(link::raise(config.ifname.as_str(), index));
    requests.extend(
        config
            .default_routes
            .iter()
            .map(|gateway| routes::add_default(index, *gateway)),
    );
    connection.execute(&requests)?;
    Ok(index)
}
