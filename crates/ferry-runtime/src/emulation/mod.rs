//! Programs of other CPUs: which can run here, by what, and a `binfmt_misc` instance of our own for them.
//!
//! Nothing is registered on the host and nothing of an emulator is visible in a container's root:
//! a user namespace of the engine's own carries a detached `binfmt_misc` mount whose entries point
//! at sealed memfds (Linux 6.7 and newer, `binfmt_misc` per user namespace).

mod error;
mod namespace;
mod support;

pub use error::{CreateError, ExplainForeign, Refusal};
pub use namespace::{Namespace, Which};
pub use support::{Emulator, Emulators, Entry, Registration, Support, Version};
