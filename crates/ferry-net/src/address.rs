//! Addresses of interfaces as rtnetlink messages.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE, Parseable};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressMessageBuffer, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::{Error, Operation};
use crate::link_name::LinkName;
use crate::netlink::{Connection, Message};
use crate::subnet::{Family, InterfaceAddress};

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Inet,
            Family::V6 => Self::Inet6,
        }
    }
}

/// The request to give an interface an address, which succeeds if it has it already. An IPv6 address is usable at once,
/// without duplicate address detection: nobody else gives out addresses of the subnet.
pub(crate) fn add(link: &LinkName, index: u32, address: InterfaceAddress) -> Message {
    let mut message = message(index, address);
    match address.subnet().last() {
        IpAddr::V4(last) if address.subnet().prefix_len() < 31 => {
            message.attributes.push(AddressAttribute::Broadcast(last));
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    let payload = RouteNetlinkMessage::NewAddress(message);
    Message::route(
        Operation::AddAddress,
        format!("{address} to {link}"),
        NLM_F_CREATE | NLM_F_REPLACE,
        &payload,
    )
}

/// The request to take an address from an interface.
pub(crate) fn remove(link: &LinkName, index: u32, address: InterfaceAddress) -> Message {
    let payload = RouteNetlinkMessage::DelAddress(message(index, address));
    Message::route(Operation::RemoveAddress, format!("{address} from {link}"), 0, &payload)
}

/// The addresses of an interface without link-local IPv6 ones, which the kernel makes itself.
pub(crate) fn list(connection: &mut Connection, link: &LinkName, index: u32) -> Result<Vec<InterfaceAddress>, Error> {
    let payload = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let request = Message::route(Operation::ListAddresses, link.as_str(), 0, &payload);
    connection.list(&request, |reply| {
        let message = AddressMessage::parse(&AddressMessageBuffer::new_checked(&reply.body).ok()?).ok()?;
        if message.header.index != index || message.header.scope == AddressScope::Link {
            return None;
        }
        // Where a peer's address is set, IFA_ADDRESS is the peer's and IFA_LOCAL ours.
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        let any = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
        InterfaceAddress::new(local.or(any)?, message.header.prefix_len).ok()
    })
}

fn message(index: u32, address: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = address.subnet().family().into();
    message.header.prefix_len = address.subnet().prefix_len();
    message.header.index = index;
    message.header.scope = match address.address() {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => AddressScope::Host,
        _ => AddressScope::Universe,
    };
    message.attributes.push(AddressAttribute::Local(address.address()));
    message.attributes.push(AddressAttribute::Address(address.address()));
    message
}
