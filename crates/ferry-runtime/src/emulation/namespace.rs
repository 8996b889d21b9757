//! A user namespace with its own `binfmt_misc` instance.

use std::os::fd::{BorrowedFd, OwnedFd};

use ferry_oci::cpu::Cpu;

use super::{CreateError, Emulators};

/// Which emulators a namespace registers.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Each CPU that is [`super::Support::Emulated`].
    All,
    /// Only these, where emulated.
    Only(&'a [&'static Cpu]),
}

/// An identity-mapped user namespace whose `binfmt_misc` entries live as long as its descriptors.
#[derive(Debug)]
pub struct Namespace {
    user: OwnedFd,
    binfmt: OwnedFd,
}

impl Namespace {
    /// Makes the namespace and registers the emulators.
    ///
    /// The caller must be single-threaded (it forks) and have CAP_SETUID, CAP_SETGID and
    /// CAP_SYS_ADMIN in its own user namespace.
    pub fn create(_emulators: &Emulators, _which: Which<'_>) -> Result<Namespace, CreateError> {
        Err(CreateError::KernelTooOld)
    }

    /// Takes over descriptors that came over a socket.
    #[must_use]
    pub fn from_parts(user: OwnedFd, binfmt: OwnedFd) -> Namespace {
        Namespace { user, binfmt }
    }

    /// The user namespace, for `setns(2)` and for user-namespaced mounts.
    #[must_use]
    pub fn user_namespace(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.user)
    }

    /// The detached `binfmt_misc` mount; whoever holds it keeps the entries alive.
    #[must_use]
    pub fn binfmt_mount(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.binfmt)
    }

    /// Moves the calling thread, the only one of its process, into the user namespace.
    pub fn enter(&self) -> Result<(), CreateError> {
        Err(CreateError::KernelTooOld)
    }
}
