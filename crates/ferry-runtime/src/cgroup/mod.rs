//! Control groups of containers, on version 1 or version 2.
//!
//! An engine opens one [`Parent`] in every hierarchy once; each container gets a child of it, made
//! and entered with calls relative to those descriptors.

mod error;
mod file;
mod group;
mod kill;
mod layout;
mod name;
mod parent;
mod resource;
mod setting;
mod stats;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use group::Cgroup;
pub use kill::KillOutcome;
pub use layout::{Controller, Hierarchy, Layout, Version};
pub use name::{ChildName, ParentPath};
pub use parent::Parent;
pub use setting::Ignored;
pub use stats::{BlockDevice, BlockIo, Cpu, Memory, Pids, Stats};
