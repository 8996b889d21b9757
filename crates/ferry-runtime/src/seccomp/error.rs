//! What can go wrong with system-call filters.

use rustix::io::Errno;

/// A profile that cannot be compiled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Arguments are numbered 0 to 5.
    #[error("seccomp rule for {syscall}: argument index {index} is not between 0 and 5")]
    ArgumentIndex {
        /// The system call of the rule.
        syscall: String,
        /// The index as given.
        index: usize,
    },
    /// Errors are numbered 0 to 4095.
    #[error("seccomp rule: errno {errno} is not between 0 and 4095")]
    ErrnoRange {
        /// The number as given.
        errno: u32,
    },
    /// The kernel takes 4096 instructions at most.
    #[error("seccomp profile compiles to {instructions} instructions, more than the kernel's 4096")]
    TooLong {
        /// The number of instructions.
        instructions: usize,
    },
    /// A system call of a rule is named by more than one action without conditions to tell them apart.
    #[error("seccomp profile uses {feature}, which is not supported")]
    Unsupported {
        /// The OCI word.
        feature: &'static str,
    },
}

/// The kernel refused the filter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("load seccomp filter: {errno}")]
pub struct LoadError {
    /// Why.
    pub errno: Errno,
}
