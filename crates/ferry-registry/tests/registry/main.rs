//! The client against Debian's registry, and against one that misbehaves on purpose.

mod auth;
mod certificates;
mod debian_registry;
mod fake_registry;
mod faults;
mod image;
mod pull;
mod push;
mod recorder;
mod tls;
