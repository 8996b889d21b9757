//! The container's root file system: planned on the host's side, put together inside.
//!
//! The engine opens the root, while the monitor, with the host's rights and paths like it, opens
//! everything else that comes from the host as detached mounts ([`Plan::make`]). The container's first process adds the file systems that
//! belong to its namespaces ([`Plan::mount_fresh`]), enters the root ([`Plan::enter`]) and only then
//! attaches everything, so that no path of the container is ever looked up outside its root
//! ([`Plan::furnish`]).

mod attach;
mod cgroup_tree;
mod copy;
mod cover;
mod device;
mod enter;
mod options;
mod path;
mod plan;
mod root;
mod view;

pub(crate) use attach::attach_console;
pub(crate) use cover::open_null;
pub(crate) use path::{Shape, open_or_create};
pub(crate) use plan::{Manner, Plan};
pub use root::open_layers;
pub(crate) use root::{open as open_root, open_ahead as open_root_ahead};
pub use view::{View, ViewedRoot, resolve_user, shared_memory};
