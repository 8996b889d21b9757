//! What a monitor that was killed left behind.

use std::path::Path;

use crate::{Error, cgroup};

/// What is left of a launch in its state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The cgroup that the dead monitor made and did not remove.
    pub cgroup: Option<cgroup::ChildName>,
    /// The container's process at the time of the launch; it may be another's by now.
    pub pid: Option<i32>,
}

impl Remains {
    /// Looks at a state folder. `None` if a monitor lives there or nothing is left.
    pub fn find(_state_dir: &Path) -> Result<Option<Remains>, Error> {
        Err(Error::Unwritten)
    }

    /// Kills what still runs in the cgroup, removes the cgroup and the monitor's files.
    pub fn clear(self) -> Result<(), Error> {
        Err(Error::Unwritten)
    }
}
