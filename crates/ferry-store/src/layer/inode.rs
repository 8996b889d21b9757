//! Owner, mode, times and extended attributes, set through descriptors.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::tree::{kernel, refused};
use crate::tar::read::{Metadata, Mtime};
use crate::{EntryError, Error};

/// The attribute that makes a directory hide those below it. Source: overlayfs's documentation,
/// "whiteouts and opaque directories".
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// A name for the kernel; a NUL within it is refused long before.
pub(super) fn c_name(name: &[u8]) -> Result<CString, Errno> {
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// Marks an open directory as opaque.
pub(super) fn set_opaque(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

/// Sets the permission bits of an open file.
pub(super) fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Gives an open file or directory all its metadata. The order matters: chown(2) clears set-user-id
/// and file capabilities, and everything changes the times.
pub(super) fn set_open(file: BorrowedFd<'_>, path: &[u8], metadata: &Metadata) -> Result<(), Error> {
    let (uid, gid) = owner(metadata);
    rustix::fs::fchown(file, uid, gid).map_err(kernel(path, "set the owner"))?;
    set_owned(file, path, metadata)
}

/// [`set_open`] for a file that has its owner already.
pub(super) fn set_owned(file: BorrowedFd<'_>, path: &[u8], metadata: &Metadata) -> Result<(), Error> {
    set_mode(file, metadata.mode).map_err(kernel(path, "set the mode"))?;
    for (name, value) in &metadata.xattrs {
        let name = checked_xattr(path, name)?;
        let set = rustix::fs::fsetxattr(file, &name, value, XattrFlags::empty());
        tolerate_unsupported(path, &name, set)?;
    }
    rustix::fs::futimens(file, &times(metadata.mtime)).map_err(kernel(path, "set the time"))
}

/// Gives what cannot be opened without side effects — links, devices, pipes — its metadata.
pub(super) fn set_at(
    folder: BorrowedFd<'_>,
    name: &CString,
    path: &[u8],
    metadata: &Metadata,
    kind: Permissions,
) -> Result<(), Error> {
    let (uid, gid) = owner(metadata);
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(folder, name, uid, gid, flags).map_err(kernel(path, "set the owner"))?;
    if kind == Permissions::Settable {
        set_mode_at(folder, name, metadata.mode).map_err(kernel(path, "set the mode"))?;
    }
    for (attribute, value) in &metadata.xattrs {
        let attribute = checked_xattr(path, attribute)?;
        let by_descriptor = xattr_path(folder, name);
        let set = rustix::fs::lsetxattr(by_descriptor, &attribute, value, XattrFlags::empty());
        tolerate_unsupported(path, &attribute, set)?;
    }
    rustix::fs::utimensat(folder, name, &times(metadata.mtime), flags).map_err(kernel(path, "set the time"))
}

/// fchmodat(2) follows links, of which one may have taken the name of what was just made: a container writes here
/// too. A link to a descriptor leads to its file and no further, and the mode of a link cannot be set.
fn set_mode_at(folder: BorrowedFd<'_>, name: &CString, mode: u32) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(same, Mode::from_raw_mode(mode))
}

/// Whether an inode has permission bits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permissions {
    Settable,
    /// Symbolic links have none.
    Absent,
}

/// A path that reaches `name` through the open directory and not through any other: the calls for
/// attributes of links have no `at` form before Linux 6.13.
pub(super) fn xattr_path(folder: BorrowedFd<'_>, name: &CString) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    path
}

/// Whether an attribute would change how overlayfs reads the layer.
pub(super) fn steers_overlay(name: &[u8]) -> bool {
    [b"trusted.overlay.".as_slice(), b"user.overlay."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || matches!(name, b"trusted.overlay" | b"user.overlay")
}

/// Refuses the attributes of an entry that no layer may carry.
pub(super) fn check_xattrs(path: &[u8], metadata: &Metadata) -> Result<(), Error> {
    for (name, _) in &metadata.xattrs {
        checked_xattr(path, name)?;
    }
    Ok(())
}

fn checked_xattr(path: &[u8], name: &[u8]) -> Result<CString, Error> {
    if steers_overlay(name) {
        let name = String::from_utf8_lossy(name).into_owned();
        return Err(refused(path, EntryError::OverlayAttribute(name)));
    }
    CString::new(name).map_err(|_| refused(path, EntryError::Name))
}

/// A file system without some kind of attribute, such as SELinux labels, loses it, as with Docker.
fn tolerate_unsupported(path: &[u8], name: &CString, result: Result<(), Errno>) -> Result<(), Error> {
    match result {
        Ok(()) => Ok(()),
        Err(Errno::NOTSUP) => {
            tracing::debug!(attribute = ?name, "attribute is not supported here");
            Ok(())
        }
        Err(errno) => Err(refused(
            path,
            EntryError::Attribute {
                name: name.to_string_lossy().into_owned(),
                source: errno.into(),
            },
        )),
    }
}

fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))
}

/// Both times are the modification time: an access time would be of no use and not reproducible.
fn times(mtime: Mtime) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
