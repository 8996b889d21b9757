//! Reading and writing the kernel's small control files, each in one call.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// More than any control file of one group holds, unless it lists a great many processes.
const MAX_BYTES: usize = 16 << 20;

/// A whole control file, by absolute path.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    open(CWD, path, OFlags::RDONLY)
        .and_then(|fd| read_all(&fd))
        .map_err(|errno| failed("read", path, errno))
}

/// A whole control file, below a directory.
pub(super) fn read_at(directory: BorrowedFd<'_>, path: &str) -> Result<String, Errno> {
    read_all(&open(directory, path, OFlags::RDONLY)?)
}

/// Writes a control file below a directory. The kernel takes a value whole or not at all.
pub(super) fn write_at(directory: BorrowedFd<'_>, path: &str, value: &str) -> Result<(), Errno> {
    write(&open(directory, path, OFlags::WRONLY)?, value)
}

/// Opens a control file below a directory for several writes.
pub(super) fn open_for_writing(directory: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    open(directory, path, OFlags::WRONLY)
}

/// One value to an open control file.
pub(super) fn write(fd: impl AsFd, value: &str) -> Result<(), Errno> {
    match rustix::io::write(fd, value.as_bytes())? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// The error for a file.
pub(super) fn failed(operation: &str, path: &Path, errno: Errno) -> Error {
    Error::File {
        operation: operation.to_owned(),
        path: path.to_path_buf(),
        errno,
    }
}

fn open<P: rustix::path::Arg>(directory: BorrowedFd<'_>, path: P, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        directory,
        path,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )
}

fn read_all(fd: &OwnedFd) -> Result<String, Errno> {
    let mut bytes = Vec::with_capacity(4096);
    while rustix::io::read(fd, spare_capacity(&mut bytes))? > 0 {
        if bytes.len() > MAX_BYTES {
            return Err(Errno::FBIG);
        }
        bytes.reserve(4096);
    }
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}
