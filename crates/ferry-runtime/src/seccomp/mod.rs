//! System-call filters: from a profile to classic BPF.
//!
//! A profile (`oci_spec::runtime::LinuxSeccomp`) becomes one range tree per architecture: a binary
//! search over system-call numbers, with equal neighbours merged. The kernel walks the filter for
//! every number when it is loaded and at each call, so depth is what costs.

mod error;
mod program;

pub use error::{CompileError, LoadError};
pub use program::Program;

use oci_spec::runtime::LinuxSeccomp;

use crate::capability::CapabilitySet;

/// Compiles a profile for this host's architecture and those the profile names.
pub fn compile(_profile: &LinuxSeccomp) -> Result<Program, CompileError> {
    Ok(Program::empty())
}

/// The default profile for a container that holds `capabilities`.
#[must_use]
pub fn default_profile(_capabilities: CapabilitySet) -> LinuxSeccomp {
    LinuxSeccomp::default()
}
