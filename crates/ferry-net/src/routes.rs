//! Routes: which subnets the host reaches already, and the default route of a container.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMessageBuffer, RouteProtocol, RouteScope, RouteType,
};

use crate::error::{Error, Operation};
use crate::netlink::{Connection, Message, Protocol};
use crate::subnet::{Family, Subnet};

/// The destinations of all unicast routes of the calling thread's network namespace, in every table, without default
/// routes: what a new network's subnet must not overlap.
pub fn routed_subnets() -> Result<Vec<Subnet>, Error> {
    let mut connection = Connection::open(Protocol::Route)?;
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    let request = Message::route(Operation::ListRoutes, "of the host", 0, &request);
    let mut subnets = connection.list(&request, |reply| {
        let route = RouteMessage::parse(&RouteMessageBuffer::new_checked(&reply.body).ok()?).ok()?;
        if route.header.kind != RouteType::Unicast {
            return None;
        }
        let destination = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
            RouteAttribute::Destination(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
            _ => None,
        })?;
        // Half-default routes (0.0.0.0/1), as VPNs set them, say nothing about who owns an address.
        Subnet::containing(destination, route.header.destination_prefix_length)
            .ok()
            .filter(|subnet| subnet.prefix_len() > 1)
    })?;
    subnets.sort_unstable();
    subnets.dedup();
    Ok(subnets)
}

/// The request for a default route through `gateway`, which must be on the interface's own subnet.
pub(crate) fn add_default(index: u32, gateway: IpAddr) -> Message {
    let mut route = RouteMessage::default();
    route.header.address_family = Family::of(gateway).into();
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.attributes.push(RouteAttribute::Gateway(gateway.into()));
    route.attributes.push(RouteAttribute::Oif(index));
    let payload = RouteNetlinkMessage::NewRoute(route);
    Message::route(
        Operation::AddRoute,
        format!("default via {gateway}"),
        NLM_F_CREATE | NLM_F_EXCL,
        &payload,
    )
}
