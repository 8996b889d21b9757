//! Making a detached mount the root of the calling process' mount namespace.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount},
    process::{chdir, chroot, fchdir, pivot_root},
};

use crate::Fault;

/// Enters the root; nothing of the host's tree is left in the namespace afterwards.
///
/// The caller is alone in a mount namespace of its own.
pub(super) fn enter(root: BorrowedFd<'_>) -> Result<(), Fault> {
    make_private()?;
    let old = open_old()?;
    // On top of the host's root: a place that always exists and that nobody sees.
    move_mount(root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(Fault::root("attach"))?;
    replace(root, &old)
}

/// As [`enter`], for a root that is attached somewhere already, in a namespace that is private.
pub(super) fn enter_attached(root: BorrowedFd<'_>) -> Result<(), Fault> {
    let old = open_old()?;
    replace(root, &old)
}

/// Makes the root the caller's alone: its mount namespace keeps the one it has.
pub(super) fn change_root(root: BorrowedFd<'_>) -> Result<(), Fault> {
    fchdir(root).map_err(Fault::root("enter"))?;
    chroot(".").map_err(Fault::root("chroot"))?;
    chdir("/").map_err(Fault::root("chdir /"))
}

/// Lets no mount of this namespace reach another, nor the other way.
pub(super) fn make_private() -> Result<(), Fault> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(Fault::root("make / private"))
}

fn open_old() -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/", flags, Mode::empty()).map_err(Fault::root("open the host's /"))
}

fn replace(root: BorrowedFd<'_>, old: &OwnedFd) -> Result<(), Fault> {
    fchdir(root).map_err(Fault::root("enter"))?;
    // The old root lands on top of the new one, where it is unmounted. Source: pivot_root(2).
    match pivot_root(".", ".") {
        Ok(()) => {
            fchdir(old).map_err(Fault::root("step back"))?;
            unmount(".", UnmountFlags::DETACH).map_err(Fault::root("leave the host's tree"))?;
        }
        // The host runs from its initramfs, which can be covered and not be replaced.
        Err(Errno::INVAL) => chroot(".").map_err(Fault::root("chroot"))?,
        Err(errno) => return Err(Fault::root("pivot_root")(errno)),
    }
    chdir("/").map_err(Fault::root("chdir /"))
}
