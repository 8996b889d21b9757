//! Extended attributes of a tree that becomes a layer: which are kept, and which are overlayfs's own.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::inode::{OPAQUE, steers_overlay, xattr_path};
use super::tree::{kernel, refused};
use crate::{EntryError, Error};

/// Largest list of names and largest value. Source: xattr(7).
const MAX_BYTES: usize = 64 << 10;

/// What attributes are read from.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// What must not be opened: a link, device or pipe in an open folder.
    Named(BorrowedFd<'a>, &'a CString),
}

/// The attributes of a file, sorted by what they are to a layer.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// What the layer carries, sorted by name.
    pub(super) kept: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it is an opaque directory.
    pub(super) is_opaque: bool,
    /// Overlayfs's own, of no meaning elsewhere.
    pub(super) bookkeeping: Vec<CString>,
}

/// Reads the attributes of `target`; `path` is for messages.
pub(super) fn read(path: &[u8], target: Target<'_>) -> Result<Attributes, Error> {
    let mut attributes = Attributes::default();
    let list = match list(target) {
        Ok(list) => list,
        Err(Errno::NOTSUP) => return Ok(attributes),
        Err(errno) => return Err(kernel(path, "list the attributes of")(errno)),
    };
    for name in list.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let bytes = name.to_bytes();
        if bytes == OPAQUE.as_bytes() {
            let value = get(target, name).map_err(kernel(path, "read an attribute of"))?;
            attributes.is_opaque |= value == b"y";
        } else if changes_meaning(bytes) {
            let name = name.to_string_lossy().into_owned();
            return Err(refused(path, EntryError::OverlayAttribute(name)));
        } else if steers_overlay(bytes) {
            attributes.bookkeeping.push(name.to_owned());
        } else if is_portable(bytes) {
            let value = get(target, name).map_err(kernel(path, "read an attribute of"))?;
            attributes.kept.push((bytes.to_vec(), value));
        }
    }
    attributes.kept.sort();
    Ok(attributes)
}

/// Removes an attribute.
pub(super) fn remove(target: Target<'_>, name: &CStr) -> Result<(), Errno> {
    match target {
        Target::Open(file) => rustix::fs::fremovexattr(file, name),
        Target::Named(folder, file) => rustix::fs::lremovexattr(xattr_path(folder, file), name),
    }
}

/// Attributes with which the file's content or place is somewhere else: such a tree cannot be a layer.
/// Ferry mounts overlays so that they do not arise.
fn changes_meaning(name: &[u8]) -> bool {
    matches!(name, b"trusted.overlay.redirect" | b"trusted.overlay.metacopy")
}

/// Whether an attribute is the file's own and not the host's: labels of SELinux, IMA, Smack are not.
fn is_portable(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || matches!(
            name,
            b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default"
        )
}

fn list(target: Target<'_>) -> Result<Vec<u8>, Errno> {
    // Most files have none: ask with a small buffer first.
    let mut names = Vec::with_capacity(256);
    match list_into(target, &mut names) {
        Err(Errno::RANGE) => {
            names.reserve(MAX_BYTES);
            list_into(target, &mut names)?;
        }
        result => result?,
    }
    Ok(names)
}

fn list_into(target: Target<'_>, names: &mut Vec<u8>) -> Result<(), Errno> {
    match target {
        Target::Open(file) => rustix::fs::flistxattr(file, spare_capacity(names)).map(drop),
        Target::Named(folder, file) => {
            rustix::fs::llistxattr(xattr_path(folder, file), spare_capacity(names)).map(drop)
        }
    }
}

fn get(target: Target<'_>, name: &CStr) -> Result<Vec<u8>, Errno> {
    let mut value = Vec::with_capacity(MAX_BYTES);
    match target {
        Target::Open(file) => {
            rustix::fs::fgetxattr(file, name, spare_capacity(&mut value))?;
        }
        Target::Named(folder, file) => {
            rustix::fs::lgetxattr(xattr_path(folder, file), name, spare_capacity(&mut value))?;
        }
    }
    Ok(value)
}
