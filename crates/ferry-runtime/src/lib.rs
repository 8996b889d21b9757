//! Turns a runtime spec and a root into a process and watches it.
//!
//! The engine holds one [`Zygote`]; each [`Zygote::launch`] makes a monitor process, which makes and
//! outlives-with the container, and is spoken to through a [`Monitor`] handle. Monitors survive the
//! engine and the zygote; [`Monitor::connect`] finds them again.

pub mod emulation;
pub mod seccomp;

mod error;
mod exit;
mod fault;
mod handle;
mod launch;
mod signal;
mod state;
mod stdio;
pub mod zygote;

pub use error::Error;
pub use exit::{Exit, ReadExitError};
pub use fault::{Errno, Fault, ForeignMachine, StartError, Warning};
pub use handle::{AttachOptions, Monitor, Remains, Zygote, ZygoteOptions};
pub use launch::{Durability, Exec, Launch, Overlay, Root};
pub use signal::{NoSuchSignal, Signal};
pub use state::{Phase, State};
pub use stdio::{Log, Stdin, Stdio, WindowSize};
