//! Netlink: requests to the kernel and its answers, without deciding what to ask.

pub(crate) mod attribute;
mod connection;
mod message;

pub(crate) use connection::{Connection, Protocol};
pub(crate) use message::{Message, Reply};
