//! Turns a runtime spec and a root into a process and watches it.
//!
//! The engine holds one [`Zygote`]; each [`Zygote::launch`] makes a monitor process, which makes the
//! container, lives as long as it and is spoken to through a [`Monitor`] handle. Monitors survive the
//! engine and the zygote; [`Monitor::connect`] finds them again.
//!
//! [`bundle`] makes containers of the same pieces for other engines: the operations of the OCI runtime specification.

pub mod bundle;
pub mod capability;
pub mod cgroup;
pub mod device;
pub mod emulation;
pub mod profile;
pub mod seccomp;
pub mod zygote;

mod container;
mod error;
mod exit;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handle;
pub mod init;
mod launch;
mod log;
mod monitor;
mod protocol;
mod rootfs;
mod signal;
mod state;
mod stdio;

/// What of these limits of a process could be given only in part here, by the caller and its zygote.
#[must_use]
pub fn clamped_limits(asked: &[oci_spec::runtime::PosixRlimit]) -> Vec<Warning> {
    container::clamp_limits(asked).1
}

pub use error::Error;
pub use exit::{Exit, ReadExitError};
pub use fault::{Errno, Fault, StartError, UserFault, Warning};
pub use handle::{AttachOptions, Monitor, Remains, Zygote, ZygoteOptions};
pub use launch::{Durability, Exec, FirstProcess, Launch, Overlay, Root};
pub use log::identity as log_identity;
pub use rootfs::{View, ViewedRoot, open_layers, resolve_user, shared_memory};
pub use signal::{NoSuchSignal, Signal};
pub use state::{Phase, State};
pub use stdio::{Log, Stdin, Stdio, WindowSize};
