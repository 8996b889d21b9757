//! The cgroup hierarchies of version 1 as a container sees them: its own groups, below one folder.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use ferry_sys::mount::{Attributes, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, Reach, set_attributes};
use rustix::{
    fs::{Mode, OFlags, mkdirat, openat, symlinkat},
    io::Errno,
};

use super::{
    cover::attach,
    options::Options,
    plan::{clone, mount_now},
};
use crate::{Fault, cgroup::Cgroup};

/// The folder and what will be attached in it.
#[derive(Debug)]
pub(super) struct CgroupTree {
    folder: OwnedFd,
    hierarchies: Vec<(String, OwnedFd)>,
    finally: Attributes,
}

/// Opens the container's group in each hierarchy, as a bind mount: version 1 has no mount of its own
/// for a container that shares the host's cgroup namespace, as is the default there.
pub(super) fn open(cgroup: &Cgroup, destination: &Path, options: &Options) -> Result<CgroupTree, Fault> {
    let fault = |step: String| {
        move |errno: crate::Errno| Fault::Mount {
            destination: destination.to_owned(),
            step,
            errno,
        }
    };
    let data = [("mode".to_owned(), Some("755".to_owned()))].to_vec();
    let folder_options = Options {
        own: Attributes {
            set: NO_SUID | NO_DEV | NO_EXEC,
            ..Attributes::default()
        },
        data,
        ..Options::default()
    };
    let folder = mount_now("tmpfs", "cgroup", &folder_options, destination)?;
    let mut hierarchies = Vec::new();
    for hierarchy in cgroup.parent().layout().hierarchies() {
        let mount_point = &hierarchy.mount_point;
        let name = mount_point
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let group = mount_point
            .join(cgroup.parent().path().as_str())
            .join(cgroup.name().as_str());
        let tree = match clone(&group, Reach::Mount) {
            Ok(tree) => tree,
            // A hierarchy that containers have no group in.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(fault(format!("clone {}", group.display()))(errno.into())),
        };
        let bits = NO_SUID | NO_DEV | NO_EXEC | options.own.set;
        let attributes = Attributes {
            set: bits,
            ..Attributes::default()
        };
        set_attributes(tree.as_fd(), attributes, Reach::Mount)
            .map_err(|error| fault(format!("options of {name}"))(error.into()))?;
        mkdirat(&folder, name.as_str(), Mode::from_raw_mode(0o755))
            .map_err(|errno| fault(format!("folder {name}"))(errno.into()))?;
        // Controllers that share a hierarchy are found under each one's name.
        for alias in name.split(',').filter(|alias| *alias != name) {
            symlinkat(name.as_str(), &folder, alias).map_err(|errno| fault(format!("link {alias}"))(errno.into()))?;
        }
        hierarchies.push((name, tree));
    }
    let finally = Attributes {
        set: options.own.set & READ_ONLY,
        ..Attributes::default()
    };
    Ok(CgroupTree {
        folder,
        hierarchies,
        finally,
    })
}

impl CgroupTree {
    /// Attaches the folder, then the hierarchies in it, then forbids changes if so asked.
    pub(super) fn attach(&self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        attach(self.folder.as_fd(), target)?;
        for (name, tree) in &self.hierarchies {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let place = openat(&self.folder, name.as_str(), flags, Mode::empty())?;
            attach(tree.as_fd(), place.as_fd())?;
        }
        if self.finally != Attributes::default() {
            set_attributes(self.folder.as_fd(), self.finally, Reach::Mount)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        Ok(())
    }
}
