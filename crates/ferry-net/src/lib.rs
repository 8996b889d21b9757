//! Links, addresses, names and the firewall: what connects a container to the world.
//!
//! Everything here is synchronous, speaks netlink to the kernel itself and starts no helper program.
//!
//! | wanted | where |
//! |---|---|
//! | a network's bridge on the host | [`BridgeNetwork`] |
//! | a container's interface on it | [`BridgeNetwork::attach`] |
//! | which subnet, which address | [`ipam`] |
//! | address translation and isolation | [`firewall`] |
//! | the container's `/etc/resolv.conf` and `/etc/hosts` | [`resolv`], [`hosts`] |
//!
//! Invariants: a function that takes a network namespace never leaves the calling thread in it; every function without
//! such a parameter acts on the calling thread's namespace; nothing here keeps state of its own, so that an engine that
//! was killed finds everything in the kernel again; nothing here decides names, subnets or when to remove.

mod address;
mod bridge;
mod endpoint;
mod error;
pub mod firewall;
mod fnv;
mod forwarding;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hosts;
pub mod ipam;
mod link;
mod link_name;
mod mac;
mod namespace;
mod netlink;
pub mod resolv;
mod routes;
mod subnet;
mod sysctl;

pub use bridge::{BridgeConfig, BridgeNetwork};
pub use endpoint::{Endpoint, EndpointConfig};
pub use error::{Error, Operation};
pub use forwarding::Forwarding;
pub use link::{Deletion, delete, exists};
pub use link_name::{InvalidLinkName, LinkName};
pub use mac::{InvalidMacAddress, MacAddress};
pub use routes::routed_subnets;
pub use subnet::{Family, InterfaceAddress, InvalidSubnet, Subnet};
