//! Attributes of mounts and trees of mounts: mount_setattr(2), which rustix lacks.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// Changes of a mount's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// MOUNT_ATTR_* bits to set.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear.
    pub clear: u64,
    /// How mount events travel, if that is to change.
    pub propagation: Option<Propagation>,
}

/// How mount events travel between mounts. Source: mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From the peer only.
    Slave,
    /// Both ways.
    Shared,
    /// Not at all, and it cannot be bound.
    Unbindable,
}

/// Whether a change is for one mount or for those below it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The mount itself.
    Mount,
    /// The mount and all below it.
    Tree,
}

/// MOUNT_ATTR_RDONLY.
pub const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// MOUNT_ATTR_NOSUID.
pub const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// MOUNT_ATTR_NODEV.
pub const NO_DEV: u64 = libc::MOUNT_ATTR_NODEV;
/// MOUNT_ATTR_NOEXEC.
pub const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
/// The bits that say how access times are kept; to be cleared when one of them is set.
pub const ACCESS_TIME: u64 = libc::MOUNT_ATTR__ATIME;
/// MOUNT_ATTR_RELATIME.
pub const RELATIME: u64 = libc::MOUNT_ATTR_RELATIME;
/// MOUNT_ATTR_NOATIME.
pub const NO_ATIME: u64 = libc::MOUNT_ATTR_NOATIME;
/// MOUNT_ATTR_STRICTATIME.
pub const STRICT_ATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
/// MOUNT_ATTR_NODIRATIME.
pub const NO_DIR_ATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
/// MOUNT_ATTR_NOSYMFOLLOW.
pub const NO_SYMLINK_FOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;

/// Changes the mount that a descriptor stands for. Source: mount_setattr(2).
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: Attributes, reach: Reach) -> io::Result<()> {
    // SAFETY: `mount_attr` is a plain structure of integers, for which zeroes are a value.
    let mut attr: libc::mount_attr = unsafe { mem::zeroed() };
    attr.attr_set = attributes.set;
    attr.attr_clr = attributes.clear;
    attr.propagation = match attributes.propagation {
        None => 0,
        Some(Propagation::Private) => libc::MS_PRIVATE,
        Some(Propagation::Slave) => libc::MS_SLAVE,
        Some(Propagation::Shared) => libc::MS_SHARED,
        Some(Propagation::Unbindable) => libc::MS_UNBINDABLE,
    };
    change(mount, &attr, reach)
}

/// Makes a detached mount show the ids of its files as `user_namespace` maps them.
/// Source: mount_setattr(2), MOUNT_ATTR_IDMAP.
pub fn map_ids(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>, reach: Reach) -> io::Result<()> {
    // SAFETY: `mount_attr` is a plain structure of integers, for which zeroes are a value.
    let mut attr: libc::mount_attr = unsafe { mem::zeroed() };
    attr.attr_set = libc::MOUNT_ATTR_IDMAP;
    attr.userns_fd = user_namespace.as_raw_fd() as u64;
    change(mount, &attr, reach)
}

fn change(mount: BorrowedFd<'_>, attr: &libc::mount_attr, reach: Reach) -> io::Result<()> {
    let recursive = match reach {
        Reach::Mount => 0,
        Reach::Tree => libc::AT_RECURSIVE,
    };
    // SAFETY: the path is an empty C string, `attr` lives through the call and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            ptr::from_ref(attr),
            size_of_val(attr),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
