//! Interfaces by name: find, raise, delete.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rustix::io::Errno;

use crate::error::{Error, Operation};
use crate::link_name::LinkName;
use crate::netlink::{Connection, Message, Protocol, Reply, attribute};

/// The length of `struct ifinfomsg`.
const HEADER_LEN: usize = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;

/// What [`delete`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The interface was there and is gone.
    Deleted,
    /// There was none of this name.
    Absent,
}

/// An interface as the kernel describes it.
pub(crate) struct Link {
    pub(crate) index: u32,
    /// `bridge`, `veth`, …; physical ones have none.
    pub(crate) kind: Option<String>,
}

/// Whether the calling thread's network namespace has an interface of this name.
pub fn exists(name: &LinkName) -> Result<bool, Error> {
    Ok(find(&mut Connection::open(Protocol::Route)?, name)?.is_some())
}

/// Deletes an interface of the calling thread's network namespace; of a veth pair, both ends go.
///
/// Waits until the kernel has let go of it, about 20 ms: call it from a background reaper. An interface whose peer is in
/// a container's namespace needs no deletion, since it goes with the last reference to that namespace.
pub fn delete(name: &LinkName) -> Result<Deletion, Error> {
    let message = RouteNetlinkMessage::DelLink(named(name));
    let request = Message::route(Operation::DeleteLink, name.as_str(), 0, &message);
    match Connection::open(Protocol::Route)?.execute(&[request]) {
        Ok(()) => Ok(Deletion::Deleted),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(Deletion::Absent),
        Err(error) => Err(error),
    }
}

pub(crate) fn find(connection: &mut Connection, name: &LinkName) -> Result<Option<Link>, Error> {
    let request = RouteNetlinkMessage::GetLink(named(name));
    let message = Message::route(Operation::FindLink, name.as_str(), 0, &request);
    connection.get(&message, &[Errno::NODEV], parse)
}

/// The request to bring an interface up.
pub(crate) fn raise(name: &str, index: u32) -> Message {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    Message::route(Operation::RaiseLink, name, 0, &RouteNetlinkMessage::SetLink(link))
}

fn named(name: &LinkName) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.as_str().to_owned()));
    link
}

/// Reads `struct ifinfomsg` and IFLA_LINKINFO/IFLA_INFO_KIND alone: the other sixty attributes are nobody's concern here.
fn parse(reply: &Reply<'_>) -> Option<Link> {
    let index = u32::from_ne_bytes(*reply.body.get(4..8)?.first_chunk()?);
    let info = attribute::find(reply.body.get(HEADER_LEN..)?, IFLA_LINKINFO);
    let kind = info.and_then(|info| attribute::find_text(info, IFLA_INFO_KIND));
    Some(Link { index, kind })
}
