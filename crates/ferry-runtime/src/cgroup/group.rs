//! One container's control group: enter, limit, stop, kill, measure, remove.

use std::os::fd::OwnedFd;

use oci_spec::runtime::LinuxResources;
use rustix::process::Pid;

use super::{ChildName, Error, Parent, Stats};

/// A child of a [`Parent`] in every hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroup {
    parent: Parent,
    name: ChildName,
}

/// What [`Cgroup::kill_all`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillOutcome {
    /// There was nobody.
    Empty,
    /// Everyone was sent SIGKILL.
    Killed,
}

impl Cgroup {
    pub(super) fn new(parent: Parent, name: ChildName) -> Cgroup {
        Cgroup { parent, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChildName {
        &self.name
    }

    /// Its parent.
    #[must_use]
    pub fn parent(&self) -> &Parent {
        &self.parent
    }

    /// Moves the calling thread, the only one of its process, into the group in every hierarchy.
    pub fn join_self(&self) -> Result<(), Error> {
        Err(Error::NotMounted)
    }

    /// Moves another process (all its threads) into the group.
    pub fn add(&self, _pid: Pid) -> Result<(), Error> {
        Err(Error::NotMounted)
    }

    /// A descriptor for `CLONE_INTO_CGROUP`: version 2 only, `None` on version 1.
    pub fn clone_into_fd(&self) -> Result<Option<OwnedFd>, Error> {
        Ok(None)
    }

    /// Sets every limit that is present; device rules included. Absent fields are left alone.
    pub fn set(&self, _resources: &LinuxResources) -> Result<(), Error> {
        Err(Error::NotMounted)
    }

    /// Stops every process and returns once all have stopped.
    pub fn freeze(&self) -> Result<(), Error> {
        Err(Error::NotMounted)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<(), Error> {
        Err(Error::NotMounted)
    }

    /// Processes in the group and in groups below it, in the caller's pid namespace.
    pub fn procs(&self) -> Result<Vec<Pid>, Error> {
        Err(Error::NotMounted)
    }

    /// Sends SIGKILL to everyone in the group and below, also to those that fork meanwhile.
    pub fn kill_all(&self) -> Result<KillOutcome, Error> {
        Err(Error::NotMounted)
    }

    /// What the group has used so far.
    pub fn stats(&self) -> Result<Stats, Error> {
        Err(Error::NotMounted)
    }

    /// How often the kernel has killed a process of this group for lack of memory.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        Err(Error::NotMounted)
    }

    /// Removes the group and all groups below it; one that is gone already is success. Waits a
    /// bounded time for processes that are dying.
    pub fn remove(&self) -> Result<(), Error> {
        Err(Error::NotMounted)
    }
}
