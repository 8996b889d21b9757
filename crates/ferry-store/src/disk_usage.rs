//! How much room a directory takes, as du counts it.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::Error;
use crate::layer::stored;

/// Directories that are open at a time. What lies deeper is not counted.
const MAX_DEPTH: usize = 256;

/// Bytes on disk of what is below `folder`, blocks of directories included. No link is followed.
pub fn disk_usage(folder: &Path) -> Result<u64, Error> {
    count(stored::open_folder(folder)?).map_err(Error::file("measure", folder))
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn blocks_are_counted_once_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        fs::create_dir_all(place.join("a/b")).unwrap();
        let empty = disk_usage(&place).unwrap();
        fs::write(place.join("a/b/file"), vec![1; 100_000]).unwrap();
        let full = disk_usage(&place).unwrap();
        assert!((100_000..110_000).contains(&(full - empty)), "{empty} {full}");
        fs::hard_link(place.join("a/b/file"), place.join("again")).unwrap();
        fs::write(folder.path().join("outside"), vec![1; 100_000]).unwrap();
        symlink("../outside", place.join("link")).unwrap();
        symlink("..", place.join("up")).unwrap();
        assert!(disk_usage(&place).unwrap() - full < 10_000);
        assert!(disk_usage(&folder.path().join("absent")).is_err());
    }
}
