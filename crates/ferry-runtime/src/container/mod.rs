//! A container's processes, from their birth to their program: everything on the far side of the
//! clone from the monitor.
//!
//! What runs here is a copy of the monitor. It never returns, never frees what the monitor owns, and
//! tells the monitor by [`crate::protocol::Event`] how it gets on.

mod first;
mod guest;
mod limits;
mod namespaces;
mod privileges;
mod process;
mod program;
mod stdio;
mod sysctl;
pub(crate) mod user;

pub(crate) use first::{ContainerPlan, IntoCgroup};
pub(crate) use guest::GuestPlan;
pub(crate) use namespaces::NamespacePlan;
pub(crate) use process::ProcessPlan;
pub(crate) use stdio::Streams;
pub(crate) use sysctl::parse as parse_sysctls;
