//! What a monitor that was killed left behind.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat},
    io::Errno,
};

use crate::{
    Error, cgroup,
    monitor::{NOTES, Notes, SOCKET, lock},
};

/// What is left in the state folder of a monitor that was killed. Its process is dead, or dies as
/// its cgroup is cleared; of its mounts and namespaces nothing is left without it.
///
/// While it exists no monitor can take the folder.
#[derive(Debug)]
pub struct Remains {
    state_dir: PathBuf,
    folder: OwnedFd,
    cgroup: Option<cgroup::ChildName>,
    cgroup_parent: Option<cgroup::ParentPath>,
}

impl Remains {
    /// Looks at the state folder of a monitor that does not answer. `None` if it goes on living for a while, or nothing is left.
    pub fn find(state_dir: &Path) -> Result<Option<Remains>, Error> {
        let fault = |errno: Errno| Error::Remains {
            state_dir: state_dir.to_owned(),
            source: errno.into(),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match openat(CWD, state_dir, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(fault)?,
        };
        // One that was killed gives up its descriptors one by one: its sockets may be closed, and the folder not yet.
        match lock(&folder) {
            Err(Errno::BUSY) => return Ok(None),
            other => other.map_err(fault)?,
        }
        let notes = match openat(&folder, NOTES, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(fault)?,
        };
        let text = io::read_to_string(std::fs::File::from(notes)).map_err(|source| Error::Remains {
            state_dir: state_dir.to_owned(),
            source,
        })?;
        // Notes that were cut off are of a monitor that had made nothing else yet.
        let notes = serde_json::from_str::<Notes>(&text).ok();
        let (cgroup, cgroup_parent) = notes.map_or((None, None), |notes| (notes.cgroup, notes.cgroup_parent));
        Ok(Some(Remains {
            state_dir: state_dir.to_owned(),
            folder,
            cgroup,
            cgroup_parent,
        }))
    }

    /// The cgroup that the dead monitor made and did not remove.
    #[must_use]
    pub fn cgroup(&self) -> Option<&cgroup::ChildName> {
        self.cgroup.as_ref()
    }

    /// Kills what still runs in the cgroup, removes the cgroup and the monitor's files.
    pub fn clear(self, parent: &cgroup::Parent) -> Result<(), Error> {
        if let Some(name) = &self.cgroup {
            let parent = match &self.cgroup_parent {
                None => Some(parent.clone()),
                Some(path) => cgroup::Parent::find(parent.layout(), path)?,
            };
            if let Some(parent) = parent {
                let cgroup = parent.child(name);
                cgroup.kill_all()?;
                cgroup.remove()?;
            }
        }
        for name in [SOCKET, NOTES] {
            match unlinkat(&self.folder, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    let source = errno.into();
                    return Err(Error::Remains {
                        state_dir: self.state_dir,
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}
