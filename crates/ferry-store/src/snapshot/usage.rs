//! How much room a snapshot's own changes take.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{SnapshotId, Snapshots};
use crate::Error;
use crate::layer::stored;

/// Directories that are open at a time. What lies deeper is not counted.
const MAX_DEPTH: usize = 256;

/// See [`Snapshots::size`].
pub(super) fn size(snapshots: &Snapshots<'_>, id: &SnapshotId) -> Result<u64, Error> {
    let upper = snapshots.get(id)?.overlay.upper;
    count(stored::open_folder(&upper)?).map_err(Error::file("measure", &upper))
}

/// Adds up the blocks below `top`, itself included. What goes away meanwhile does not count.
fn count(top: OwnedFd) -> Result<u64, Errno> {
    let mut counter = Counter::default();
    counter.add(&rustix::fs::fstat(&top)?);
    let mut stack = vec![Dir::new(top)?];
    loop {
        let depth = stack.len();
        let Some(folder) = stack.last_mut() else {
            return Ok(counter.bytes);
        };
        let Some(entry) = folder.read() else {
            stack.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let folder = folder.fd()?;
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        counter.add(&stat);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && depth < MAX_DEPTH {
            match open_folder(folder, name) {
                Ok(below) => stack.push(Dir::new(below)?),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

fn open_folder(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Counts what has several names once.
#[derive(Default)]
struct Counter {
    bytes: u64,
    seen: HashSet<u64>,
}

impl Counter {
    fn add(&mut self, stat: &Stat) {
        if stat.st_nlink < 2
            || FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            || self.seen.insert(stat.st_ino)
        {
            // In units of 512 bytes, whatever the file system's blocks are: stat(3type).
            self.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
    }
}
