//! Tests against the real kernel, each in network namespaces of its own that vanish with it.

mod attach;
mod firewall;
mod network;
