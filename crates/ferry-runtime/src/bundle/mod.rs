//! Containers of OCI bundles: the operations of the runtime specification, for engines that execute a runtime.
//!
//! Nothing stays running for a container but its own process: [`create()`] ends once that waits, and whoever executed
//! the runtime becomes its parent. What later operations need lies in a folder a container below a [`Home`]. The
//! pieces are the engine's: the same root, namespaces, cgroups, filters and privileges.
//!
//! The calling process must have one thread. Source: OCI runtime-spec runtime.md.

mod cgroups;
mod config;
mod console;
mod create;
mod delete;
mod error;
mod exec;
mod features;
mod home;
mod making;
mod prepare;
mod process;
mod record;
mod seccomp;
mod signal;
mod start;
mod stats;
mod status;
mod template;

pub use create::{CreateOptions, Created, create};
pub use delete::{Running, delete};
pub use error::Error;
pub use exec::{ExecOptions, ExecProcess, Executed, exec, process_of};
pub use features::features;
pub use home::{ContainerId, Home};
pub use prepare::prepare;
pub use record::Record;
pub use signal::{Whom, kill, parse_signal};
pub use start::start;
pub use stats::{pause, processes, resume, stats, update};
pub use status::{Status, state, status};
pub use template::template;

/// What was asked for and given only in part, or went wrong without stopping anything: for a log.
pub type Warnings = Vec<String>;
