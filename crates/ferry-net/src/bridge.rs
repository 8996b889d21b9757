//! A network's bridge on the host.

use std::os::fd::BorrowedFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
};
use rustix::io::Errno;

use crate::address;
use crate::endpoint::{self, Endpoint, EndpointConfig};
use crate::error::{Error, Operation};
use crate::forwarding::{self, Forwarding};
use crate::link::{self, Deletion, Link};
use crate::link_name::LinkName;
use crate::mac::MacAddress;
use crate::netlink::{Connection, Message, Protocol};
use crate::subnet::{Family, InterfaceAddress};
use crate::sysctl;

/// What a bridge is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The interface's name on the host.
    pub name: LinkName,
    /// The bridge's addresses, one for each subnet of the network: containers' gateways. Without an IPv6 one, IPv6 is
    /// disabled on the bridge and on all that is attached to it.
    pub gateways: Vec<InterfaceAddress>,
    /// The largest packet in bytes, for the bridge and what is attached to it; `None` leaves the kernel's 1500.
    pub mtu_bytes: Option<u32>,
}

/// A bridge that exists, is up, has its addresses, and from which the host forwards.
///
/// Not a live handle: nothing happens when it is dropped, the kernel keeps the bridge, and [`BridgeNetwork::ensure`] finds
/// it again after a restart.
#[derive(Debug, Clone)]
pub struct BridgeNetwork {
    config: BridgeConfig,
    index: u32,
    forwarding: Forwarding,
}

impl BridgeNetwork {
    /// Makes the bridge of the calling thread's network namespace what `config` says, whether it exists or not.
    ///
    /// Containers that are attached stay attached. Addresses other than the configured ones are taken from it. Its hardware
    /// address is fixed (it would otherwise change with each container that comes and goes), spanning tree and its
    /// forwarding delay are off, router advertisements are ignored. Turns on forwarding.
    pub fn ensure(config: &BridgeConfig) -> Result<Self, Error> {
        let mut connection = Connection::open(Protocol::Route)?;
        let link = create_or_change(&mut connection, config)?;
        protect(config)?;
        set_addresses(&mut connection, config, link.index)?;
        connection.execute(&[link::raise(config.name.as_str(), link.index)])?;
        let mut forwarding = Forwarding::WasOn;
        for family in config.families() {
            if forwarding::ensure(family)? == Forwarding::TurnedOn {
                forwarding = Forwarding::TurnedOn;
            }
        }
        Ok(Self {
            config: config.clone(),
            index: link.index,
            forwarding,
        })
    }

    /// What the bridge was made from.
    pub fn config(&self) -> &BridgeConfig {
        &self.config
    }

    /// Whether the host forwarded packets before this network needed it to.
    pub fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Connects a container's network namespace to the bridge. Two thirds of the time, which is 0.5 to 0.9 ms, is the kernel's for making the pair.
    ///
    /// On failure nothing of it is left. The host's end is not in the container's namespace, but goes with it.
    pub fn attach(&self, namespace: BorrowedFd<'_>, endpoint: &EndpointConfig) -> Result<Endpoint, Error> {
        endpoint::attach(self, namespace, endpoint)
    }

    /// Deletes the bridge; containers that are still attached lose their connection, not their interface.
    pub fn remove(name: &LinkName) -> Result<Deletion, Error> {
        link::delete(name)
    }
}

impl BridgeConfig {
    /// The address families of the network, each once.
    pub fn families(&self) -> Vec<Family> {
        [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| self.has(*family))
            .collect()
    }

    pub(crate) fn has(&self, family: Family) -> bool {
        self.gateways.iter().any(|gateway| gateway.subnet().family() == family)
    }
}

fn create_or_change(connection: &mut Connection, config: &BridgeConfig) -> Result<Link, Error> {
    let request = |operation, flags| {
        let payload = RouteNetlinkMessage::NewLink(describe(config));
        Message::route(operation, config.name.as_str(), flags, &payload)
    };
    match connection.execute(&[request(Operation::CreateBridge, NLM_F_CREATE | NLM_F_EXCL)]) {
        Ok(()) => {}
        Err(error) if error.errno() == Some(Errno::EXIST) => {
            let found = link::find(connection, &config.name)?;
            if found.is_some_and(|link| link.kind.as_deref() != Some("bridge")) {
                return Err(Error::NotABridge {
                    name: config.name.clone(),
                });
            }
            connection.execute(&[request(Operation::ChangeBridge, 0)])?;
        }
        Err(error) => return Err(error),
    }
    link::find(connection, &config.name)?
        .ok_or_else(|| Error::kernel(Operation::FindLink, config.name.as_str(), Errno::NODEV))
}

fn describe(config: &BridgeConfig) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes
        .push(LinkAttribute::IfName(config.name.as_str().to_owned()));
    if let Some(gateway) = config.gateways.first() {
        let mac = MacAddress::for_address(gateway.address());
        link.attributes.push(LinkAttribute::Address(mac.octets().to_vec()));
    }
    link.attributes.extend(config.mtu_bytes.map(LinkAttribute::Mtu));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![
            InfoBridge::ForwardDelay(0),
            InfoBridge::StpState(BridgeStpState::Disabled),
        ])),
    ]));
    link
}

/// Before the bridge is up, so that it never has a link-local address or listens to a router.
fn protect(config: &BridgeConfig) -> Result<(), Error> {
    if config.has(Family::V6) {
        sysctl::prepare_ipv6(&config.name)?;
    } else {
        sysctl::disable_ipv6(&config.name)?;
    }
    Ok(())
}

fn set_addresses(connection: &mut Connection, config: &BridgeConfig, index: u32) -> Result<(), Error> {
    let present = address::list(connection, &config.name, index)?;
    let foreign = present.iter().filter(|address| !config.gateways.contains(address));
    let missing = config.gateways.iter().filter(|address| !present.contains(address));
    let requests: Vec<Message> = foreign
        .map(|stale| address::remove(&config.name, index, *stale))
        .chain(missing.map(|wanted| address::add(&config.name, index, *wanted)))
        .collect();
    connection.execute(&requests)
}
