//! Directories of stored layers: opened from the layer's top, their metadata read, copied and recorded.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::tree::{self, kernel};
use super::{inode, path_text, xattr};
use crate::Error;
pub(crate) use crate::tar::read::Metadata;
use crate::tar::read::Mtime;

/// [`Metadata`] as a record holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetadataRecord {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime_seconds: i64,
    mtime_nanoseconds: u32,
    /// Names and values, written by [`path_text`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<(String, String)>,
}

impl MetadataRecord {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let text = |(name, value): &(Vec<u8>, Vec<u8>)| (path_text::write(name), path_text::write(value));
        Self {
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime_seconds: metadata.mtime.seconds,
            mtime_nanoseconds: metadata.mtime.nanoseconds,
            xattrs: metadata.xattrs.iter().map(text).collect(),
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        let bytes = |(name, value): &(String, String)| (path_text::read(name), path_text::read(value));
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Mtime {
                seconds: self.mtime_seconds,
                nanoseconds: self.mtime_nanoseconds,
            },
            xattrs: self.xattrs.iter().map(bytes).collect(),
        }
    }
}

/// What a directory that nothing describes has.
pub(crate) fn implied() -> Metadata {
    tree::implied_metadata()
}

/// Opens the directory at `path`, of which no component may be a link, below `top`.
pub(crate) fn open_beneath(top: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    tree::beneath(top, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// The metadata of an open directory; `path` is for messages.
pub(crate) fn metadata(path: &[u8], directory: BorrowedFd<'_>) -> Result<Metadata, Error> {
    let status = rustix::fs::fstat(directory).map_err(kernel(path, "stat"))?;
    Ok(Metadata {
        mode: status.st_mode & 0o7777,
        uid: status.st_uid,
        gid: status.st_gid,
        mtime: Mtime {
            seconds: status.st_mtime,
            nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0),
        },
        xattrs: xattr::read(path, xattr::Target::Open(directory))?.kept,
    })
}

/// Gives an open directory all of `metadata`.
pub(crate) fn set_metadata(path: &[u8], directory: BorrowedFd<'_>, metadata: &Metadata) -> Result<(), Error> {
    inode::set_open(directory, path, metadata)
}

/// Whether an open directory hides those below it.
pub(crate) fn is_opaque(directory: BorrowedFd<'_>) -> bool {
    let mut value = Vec::with_capacity(2);
    rustix::fs::fgetxattr(directory, inode::OPAQUE, spare_capacity(&mut value)).is_ok() && value == b"y"
}

/// A failure of the kernel at `path` within a layer.
pub(crate) fn failed(path: &[u8], errno: Errno) -> Error {
    kernel(path, "open")(errno)
}
