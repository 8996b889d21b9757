//! Paths that must not be seen or written: covered by an empty file or folder, or made read-only.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use ferry_sys::mount::{Attributes, READ_ONLY, Reach, set_attributes};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, major, minor, openat2},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string,
        fsmount, fsopen, move_mount, open_tree,
    },
};

use super::path::open_existing;
use crate::Fault;

/// A mount that can be put over any number of paths.
#[derive(Debug)]
pub(super) struct Cover {
    mount: OwnedFd,
    used: Use,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Unattached,
    Attached,
}

/// What paths are covered with: one for files, one for folders.
#[derive(Debug)]
pub(super) struct Covers {
    file: Cover,
    folder: Cover,
}

impl Covers {
    /// Opens the container's own /dev/null, which must be that device, and an empty read-only folder.
    ///
    /// Never the host's: whoever is root inside may change the mode of what he sees.
    pub(super) fn open(root: BorrowedFd<'_>) -> Result<Covers, Fault> {
        Ok(Covers {
            file: Cover::new(clone_null(root)?),
            folder: Cover::new(empty_folder()?),
        })
    }

    /// Covers what is at `path`; what is not there needs no cover.
    pub(super) fn put(&mut self, root: BorrowedFd<'_>, path: &Path) -> Result<(), Fault> {
        let fault = |errno: Errno| Fault::Protect {
            protection: "mask".to_owned(),
            path: path.to_owned(),
            errno: errno.into(),
        };
        let target = match open_existing(root, path) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(errno) => return Err(fault(errno)),
        };
        let kind = FileType::from_raw_mode(fstat(&target).map_err(fault)?.st_mode);
        let cover = if kind.is_dir() {
            &mut self.folder
        } else {
            &mut self.file
        };
        cover.put(target.as_fd()).map_err(fault)
    }
}

impl Cover {
    fn new(mount: OwnedFd) -> Cover {
        Cover {
            mount,
            used: Use::Unattached,
        }
    }

    /// The first target gets the mount itself; once that is attached it can be cloned for others.
    fn put(&mut self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        match self.used {
            Use::Unattached => {
                attach(self.mount.as_fd(), target)?;
                self.used = Use::Attached;
                Ok(())
            }
            Use::Attached => attach(clone(self.mount.as_fd())?.as_fd(), target),
        }
    }
}

/// Makes what is at `path` read-only, with all that is mounted below; what is not there is left.
pub(super) fn forbid_writes(root: BorrowedFd<'_>, path: &Path) -> Result<(), Fault> {
    let fault = |errno: crate::Errno| Fault::Protect {
        protection: "make read-only".to_owned(),
        path: path.to_owned(),
        errno,
    };
    let target = match open_existing(root, path) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(errno) => return Err(fault(errno.into())),
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&target, "", flags).map_err(|errno| fault(errno.into()))?;
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(tree.as_fd(), attributes, Reach::Tree).map_err(|error| fault(error.into()))?;
    attach(tree.as_fd(), target.as_fd()).map_err(|errno| fault(errno.into()))
}

/// Makes the mount that lies at `path` read-only, not what is mounted below.
pub(super) fn forbid_writes_to_mount(root: BorrowedFd<'_>, path: &Path) -> Result<(), Fault> {
    let fault = |errno: crate::Errno| Fault::Protect {
        protection: "make read-only".to_owned(),
        path: path.to_owned(),
        errno,
    };
    let target = open_existing(root, path).map_err(|errno| fault(errno.into()))?;
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(target.as_fd(), attributes, Reach::Mount).map_err(|error| fault(error.into()))
}

/// Puts a detached mount onto what a descriptor stands for.
pub(super) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

fn clone(mount: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(mount, "", flags)
}

fn clone_null(root: BorrowedFd<'_>) -> Result<OwnedFd, Fault> {
    let null = open_null(root, OFlags::PATH)?;
    clone(null.as_fd()).map_err(Fault::system("clone /dev/null for masks"))
}

/// The container's /dev/null, if it is that device.
pub(crate) fn open_null(root: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Fault> {
    const NULL: (u32, u32) = (1, 3);
    let fault = |errno: Errno| Fault::Device {
        path: "/dev/null".into(),
        errno: errno.into(),
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let open = |flags| openat2(root, "dev/null", flags | OFlags::CLOEXEC, Mode::empty(), resolve).map_err(fault);
    let check = |null: OwnedFd| {
        let stat = fstat(&null).map_err(fault)?;
        let is_null = FileType::from_raw_mode(stat.st_mode).is_char_device()
            && (major(stat.st_rdev), minor(stat.st_rdev)) == NULL;
        if is_null { Ok(null) } else { Err(fault(Errno::NODEV)) }
    };
    // First without opening what it is, for opening a device can have effects.
    let null = check(open(OFlags::PATH)?)?;
    if flags.contains(OFlags::PATH) {
        Ok(null)
    } else {
        check(open(flags)?)
    }
}

fn empty_folder() -> Result<OwnedFd, Fault> {
    let make = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in [("source", "tmpfs"), ("mode", "755"), ("nr_inodes", "1")] {
            fsconfig_set_string(context.as_fd(), key, value)?;
        }
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().map_err(Fault::system::<Errno>("mount tmpfs for masks"))
}
