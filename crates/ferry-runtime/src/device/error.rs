//! What can go wrong with device rules.

use rustix::io::Errno;

/// Device rules that could not be read or put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not `[bcau] MAJOR:MINOR rwm`.
    #[error("invalid device cgroup rule {rule:?}: {reason}")]
    InvalidRule {
        /// The rule as given.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The kernel's verifier or policy refused the program.
    #[error("load the device filter: {errno}{}", if log.is_empty() { String::new() } else { format!(": {log}") })]
    Load {
        /// Why.
        errno: Errno,
        /// The verifier's words, if any.
        log: String,
    },
    /// The program could not be attached to the group.
    #[error("attach the device filter: {errno}")]
    Attach {
        /// Why.
        errno: Errno,
    },
    /// The kernel took the program and does not list it.
    #[error("the device filter is not in force after attaching it")]
    NotAttached,
}
