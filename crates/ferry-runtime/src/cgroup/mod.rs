//! Control groups of containers, on version 1, version 2 and hybrids of both.
//!
//! An engine opens one [`Parent`] in every hierarchy once; each container gets a child of it, made
//! and entered with calls relative to those descriptors.

mod error;
mod group;
mod layout;
mod name;
mod parent;
mod stats;

pub use error::Error;
pub use group::{Cgroup, KillOutcome};
pub use layout::{Controller, Hierarchy, Layout};
pub use name::{ChildName, ParentPath};
pub use parent::Parent;
pub use stats::{BlockDevice, BlockIo, Cpu, Memory, Pids, Stats};
