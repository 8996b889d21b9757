//! The root as a detached mount: an overlay of layers, or a folder as it is.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use ferry_sys::mount::{Attributes, Propagation, READ_ONLY, Reach, set_attributes};
use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, open_tree,
    },
};

use crate::{Fault, Overlay, Root};

/// Whether the container may write to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Opens the root; still writable, for mount points are made in it.
pub(super) fn open(root: &Root) -> Result<(OwnedFd, Access), Fault> {
    match root {
        Root::Overlay(overlay) => {
            let mount = mount_overlay(overlay)?;
            Ok((
                mount,
                if overlay.read_only {
                    Access::ReadOnly
                } else {
                    Access::ReadWrite
                },
            ))
        }
        Root::Directory { path, read_only } => {
            let mount = clone_folder(path)?;
            Ok((
                mount,
                if *read_only {
                    Access::ReadOnly
                } else {
                    Access::ReadWrite
                },
            ))
        }
    }
}

/// Makes the root's mount read-only.
pub(super) fn forbid_writes(root: std::os::fd::BorrowedFd<'_>) -> Result<(), Fault> {
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(root, attributes, Reach::Mount).map_err(Fault::root("read-only"))
}

/// Mounts without attaching: nothing shows on the host, and it is gone with its last user.
/// Source: Linux Documentation/filesystems/overlayfs.rst.
fn mount_overlay(overlay: &Overlay) -> Result<OwnedFd, Fault> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(Fault::root("fsopen overlay"))?;
    let set = |key: &str, value: &Path| {
        fsconfig_set_string(context.as_fd(), key, value)
            .map_err(Fault::root(format!("overlay {key} {}", value.display())))
    };
    set("source", Path::new("overlay"))?;
    for lower in &overlay.lower {
        set("lowerdir+", lower)?;
    }
    set("upperdir", &overlay.upper)?;
    set("workdir", &overlay.work)?;
    // One layer format for every kernel: nothing that another mount of these folders would need.
    for (key, value) in [
        ("index", "off"),
        ("metacopy", "off"),
        ("redirect_dir", "off"),
        ("xino", "off"),
    ] {
        set(key, Path::new(value))?;
    }
    if overlay.volatile {
        fsconfig_set_flag(context.as_fd(), "volatile").map_err(Fault::root("overlay volatile"))?;
    }
    fsconfig_create(context.as_fd()).map_err(|errno| overlay_fault(overlay, errno))?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(Fault::root("fsmount overlay"))
}

fn overlay_fault(overlay: &Overlay, errno: Errno) -> Fault {
    Fault::Root {
        what: format!("overlay on {}", overlay.upper.display()),
        errno: errno.into(),
    }
}

fn clone_folder(path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags).map_err(Fault::root(format!("folder {}", path.display())))?;
    let private = Attributes {
        propagation: Some(Propagation::Private),
        ..Attributes::default()
    };
    set_attributes(tree.as_fd(), private, Reach::Tree)
        .map_err(Fault::root(format!("folder {}: private", path.display())))?;
    Ok(tree)
}
