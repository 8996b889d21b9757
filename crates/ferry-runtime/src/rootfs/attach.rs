//! Putting the planned pieces into a root that has been entered.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use ferry_sys::mount::{Attributes, set_attributes};
use rustix::{
    fs::{CWD, Mode, OFlags, fstatfs, openat},
    io::Errno,
};

use super::{
    copy,
    cover::{self, Covers, attach},
    device, enter,
    path::{Shape, open_existing, open_or_create},
    plan::{Of, Plan, Planned, Source},
    root::{self, Access},
};
use crate::Fault;

/// `f_type` of proc. Source: statfs(2), `linux/magic.h` PROC_SUPER_MAGIC.
const PROC_MAGIC: i64 = 0x9fa0;

impl Plan {
    /// Attaches every mount in order, then makes the nodes that are left.
    ///
    /// The caller has entered the root, [`Plan::mount_fresh`] was called before.
    pub(crate) fn furnish(&self) -> Result<OwnedFd, Fault> {
        let root = open_entered()?;
        self.furnish_at(root.as_fd())?;
        Ok(root)
    }

    /// As [`Plan::furnish`], for a root that was attached and not yet entered.
    pub(crate) fn furnish_unentered(&self) -> Result<(), Fault> {
        self.furnish_at(self.root.as_fd())
    }

    fn furnish_at(&self, root: BorrowedFd<'_>) -> Result<(), Fault> {
        for planned in &self.mounts {
            planned.attach(root, self.over_proc)?;
        }
        for node in &self.nodes {
            device::make(root, node, &node.path)?;
        }
        for (path, target) in self.links {
            device::link(root, Path::new(path), target)?;
        }
        Ok(())
    }

    /// Attaches the root where it lies in the host's tree.
    pub(crate) fn attach_at(&self, path: &Path) -> Result<(), Fault> {
        use rustix::mount::{MoveMountFlags, move_mount};
        move_mount(
            self.root.as_fd(),
            "",
            CWD,
            path,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(Fault::root(format!("attach at {}", path.display())))
    }

    /// Enters a root that is attached, and leaves the host's tree.
    pub(crate) fn enter_attached(&self) -> Result<OwnedFd, Fault> {
        enter::enter_attached(self.root.as_fd())?;
        open_entered()
    }

    /// Enters a root that is attached in a mount namespace that others live in: their root stays.
    pub(crate) fn enter_among_others(&self) -> Result<OwnedFd, Fault> {
        enter::change_root(self.root.as_fd())?;
        open_entered()
    }

    /// Lets nothing that is mounted from now on reach the host.
    pub(crate) fn leave_the_host_alone(&self) -> Result<(), Fault> {
        enter::make_private()
    }

    /// Masks and write-protects what is to be, last of all the root itself.
    pub(crate) fn protect(&self, root: BorrowedFd<'_>) -> Result<(), Fault> {
        for path in &self.read_only {
            cover::forbid_writes(root, path)?;
        }
        for path in &self.read_only_mounts {
            cover::forbid_writes_to_mount(root, path)?;
        }
        if !self.masked.is_empty() {
            let mut covers = Covers::open(root)?;
            for path in &self.masked {
                covers.put(root, path)?;
            }
        }
        if let Some((propagation, reach)) = self.propagation {
            let attributes = Attributes {
                propagation: Some(propagation),
                ..Attributes::default()
            };
            set_attributes(root, attributes, reach).map_err(Fault::root("propagation"))?;
        }
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => root::forbid_writes(root),
        }
    }
}

impl Planned {
    fn attach(&self, root: BorrowedFd<'_>, over_proc: &[&str]) -> Result<(), Fault> {
        let fault = |step: &str| {
            let step = step.to_owned();
            move |errno: Errno| Fault::Mount {
                destination: self.destination.clone(),
                step,
                errno: errno.into(),
            }
        };
        let shape = match &self.source {
            Source::Detached { shape, .. } => *shape,
            Source::Fresh { .. } | Source::Cgroups(_) => Shape::Folder,
        };
        let target = open_or_create(root, &self.destination, shape).map_err(fault("make the mount point"))?;
        self.check_target(root, target.as_fd(), over_proc)?;
        match &self.source {
            Source::Detached {
                mount,
                of: Of::CopyOfTarget,
                ..
            } => {
                copy::copy_tree(target.as_fd(), mount.as_fd()).map_err(fault("copy what is there"))?;
                attach(mount.as_fd(), target.as_fd()).map_err(fault("attach"))
            }
            Source::Detached { mount, .. } => attach(mount.as_fd(), target.as_fd()).map_err(fault("attach")),
            Source::Cgroups(tree) => tree.attach(target.as_fd()).map_err(fault("attach")),
            Source::Fresh { .. } => Err(fault("attach before it is mounted")(Errno::INVAL)),
        }
    }

    /// Neither may anything cover a part of /proc, nor may /proc come to lie where a link leads.
    fn check_target(&self, root: BorrowedFd<'_>, target: BorrowedFd<'_>, over_proc: &[&str]) -> Result<(), Fault> {
        let refused = || Fault::MountOverProc {
            destination: self.destination.clone(),
        };
        let kind = fstatfs(target).map_err(Fault::system("fstatfs"))?.f_type;
        let is_allowed = over_proc.iter().any(|place| self.destination == Path::new(place));
        if kind == PROC_MAGIC && !is_allowed {
            return Err(refused());
        }
        if let Source::Detached { of: Of::Proc, .. } = self.source {
            let name = self.destination.strip_prefix("/").unwrap_or(Path::new(""));
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(root, name, flags, Mode::empty()).map_err(|_| refused())?;
        }
        Ok(())
    }
}

fn open_entered() -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/", flags, Mode::empty()).map_err(Fault::root("open /"))
}

/// Puts a terminal at /dev/console, for programs that write there.
pub(crate) fn attach_console(root: BorrowedFd<'_>, terminal: BorrowedFd<'_>) -> Result<(), Fault> {
    let fault = |errno: Errno| Fault::Terminal {
        step: "mount it at /dev/console".to_owned(),
        errno: errno.into(),
    };
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let clone = open_tree(terminal, "", flags).map_err(fault)?;
    match open_existing(root, Path::new("/dev")) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(fault)?,
    };
    let target = open_or_create(root, Path::new("/dev/console"), Shape::File).map_err(fault)?;
    attach(clone.as_fd(), target.as_fd()).map_err(fault)
}
