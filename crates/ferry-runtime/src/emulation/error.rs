//! What can go wrong with foreign programs, in words that carry the remedy.

use std::path::PathBuf;

use rustix::io::Errno;

/// Why there is no namespace of our own for emulators.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// Forking was asked of a process with threads.
    #[error("emulators cannot be set up from a process with more than one thread")]
    NotSingleThreaded,
    /// The host does not let user namespaces be made.
    #[error(
        "this host forbids user namespaces ({errno}); allow them with `sysctl user.max_user_namespaces=1000`, \
         or register emulators for the whole host"
    )]
    UserNamespacesForbidden {
        /// What the kernel said.
        errno: Errno,
    },
    /// `binfmt_misc` is not per user namespace here.
    #[error(
        "this kernel cannot give a user namespace emulators of its own (Linux 6.7 or newer is needed); \
         register emulators for the whole host instead"
    )]
    KernelTooOld,
    /// `binfmt_misc` is neither built in nor loaded.
    #[error("this kernel has no binfmt_misc; load it with `modprobe binfmt_misc`")]
    NoBinfmtMisc,
    /// The host forbids executable memory files.
    #[error("this host forbids executable memory files; allow them with `sysctl vm.memfd_noexec=0`")]
    ExecutableMemoryForbidden,
    /// An emulator's file cannot be read.
    #[error("emulator {}: {errno}", path.display())]
    Emulator {
        /// The file.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A step that works unless resources run out.
    #[error("{step}: {errno}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        errno: Errno,
    },
}

/// An emulator file that was found and not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not used: {reason}", path.display())]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: RefusalReason,
}

/// Why an emulator file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Its loader and libraries are not in a container's root.
    #[error("it is dynamically linked")]
    Dynamic,
    /// It does not run on this host itself.
    #[error("it is a program for {architecture}")]
    ForAnotherHost {
        /// Name of the CPU in image platforms.
        architecture: &'static str,
    },
    /// Not an ELF executable.
    #[error("it is not a program")]
    NoProgram,
    /// It cannot be read.
    #[error("{error}")]
    Unreadable {
        /// Why.
        error: String,
    },
}
