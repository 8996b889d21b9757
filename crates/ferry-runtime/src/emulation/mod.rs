//! Programs of other CPUs: which can run here, by what, and a `binfmt_misc` instance of our own for them.
//!
//! Nothing is registered on the host and nothing of an emulator is visible in a container's root:
//! a user namespace of the engine's own carries a detached `binfmt_misc` mount whose entries point
//! at sealed memfds. Source: kernel `admin-guide/binfmt-misc.rst`; instances per user namespace
//! exist since Linux 6.7.

mod discover;
pub(crate) mod elf;
mod error;
mod foreign;
mod interpreter;
mod namespace;
mod probe;
mod registration;
mod support;

pub use error::{CreateError, Refusal, RefusalReason};
pub use foreign::ExplainForeign;
pub use interpreter::Interpreter;
pub use namespace::Namespace;
pub use registration::Registration;
pub use support::{Emulator, Emulators, Entry, PACKAGES, Support, Version};
