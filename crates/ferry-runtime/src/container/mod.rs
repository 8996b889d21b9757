//! A container's processes, from their birth to their program: everything on the far side of the
//! clone from the monitor.
//!
//! What runs here is a copy of the monitor. It never returns, never frees what the monitor owns, and
//! tells the monitor by [`crate::protocol::Event`] how it gets on.

pub(crate) mod arrival;
mod birth;
mod first;
mod guest;
pub(crate) mod hook;
mod limits;
mod namespaces;
mod privileges;
mod process;
mod program;
mod stdio;
mod sysctl;
pub(crate) mod user;
pub(crate) mod user_namespace;

pub(crate) use self::limits::clamp as clamp_limits;
pub(crate) use birth::{bear, bear_guest, personality};
pub(crate) use first::{BeforeRoot, ContainerPlan, IntoCgroup};
pub(crate) use guest::GuestPlan;
pub(crate) use namespaces::NamespacePlan;
pub(crate) use privileges::{Orphan, SeccompListener};
pub(crate) use process::{Gate, MemoryPolicy, ProcessPlan, Surroundings, Treatment};
pub(crate) use program::become_program;
pub(crate) use stdio::Streams;
pub(crate) use sysctl::{parse as parse_sysctls, parse_for_bundle as parse_bundle_sysctls};
