//! Deleting trees that anybody may have filled: by descriptor, never following a link or a mount.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Error;

/// Lets one thread at a time delete, without the others waiting for it.
#[derive(Default)]
pub(crate) struct Emptier {
    at_work: Mutex<()>,
    is_wanted: AtomicBool,
}

impl Emptier {
    /// Deletes everything in `folder`, unless another thread does, which then looks once more.
    pub(crate) fn run(&self, folder: &Path) -> Result<(), Error> {
        self.is_wanted.store(true, Ordering::SeqCst);
        while self.is_wanted.load(Ordering::SeqCst) {
            // Held by another thread: it asks again after it let go.
            let _turn = match self.at_work.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(()),
            };
            self.is_wanted.store(false, Ordering::SeqCst);
            empty(folder)?;
        }
        Ok(())
    }

    /// Deletes everything in `folder`, after whoever is at it.
    pub(crate) fn run_in_turn(&self, folder: &Path) -> Result<(), Error> {
        let _turn = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        empty(folder)
    }
}

/// Deletes everything in `folder`; what resists is logged and stays.
fn empty(folder: &Path) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder_fd = rustix::fs::open(folder, flags, Mode::empty()).map_err(Error::file("open", folder))?;
    let entries = Dir::read_from(&folder_fd).map_err(Error::file("list", folder))?;
    for entry in entries {
        let entry = entry.map_err(Error::file("list", folder))?;
        if is_dot(entry.file_name()) {
            continue;
        }
        if let Err(errno) = remove_tree(folder_fd.as_fd(), entry.file_name()) {
            tracing::warn!(name = %entry.file_name().to_string_lossy(), %errno, "cannot empty the trash");
        }
    }
    Ok(())
}

/// Removes `name` in `parent` with all below it. Open descriptors grow with the depth of the tree
/// only up to [`MAX_OPEN`]: what lies deeper is first moved up.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let top = open_folder(parent, name)?;
    let mut stack = vec![Level::new(top, name)?];
    let mut lifted = 0;
    while let Some(level) = stack.last_mut() {
        match level.next_folder()? {
            Some(child) if stack.len() < MAX_OPEN => {
                let fd = open_folder(level_fd(&stack), &child)?;
                stack.push(Level::new(fd, &child)?);
            }
            Some(child) => {
                lift(&stack, &child)?;
                lifted += 1;
            }
            None => {
                let done = stack.pop().map(|level| level.name).unwrap_or_default();
                let above = stack.last().map_or(parent, |level| level.fd.as_fd());
                match rustix::fs::unlinkat(above, done.as_c_str(), AtFlags::REMOVEDIR) {
                    // What was lifted here may have come too late to be listed: list again.
                    Err(Errno::NOTEMPTY) if stack.is_empty() && lifted > 0 => {
                        lifted = 0;
                        stack.push(Level::new(open_folder(parent, &done)?, &done)?);
                    }
                    result => result?,
                }
            }
        }
    }
    Ok(())
}

/// Levels of a tree that are open at a time.
const MAX_OPEN: usize = 64;

struct Level {
    fd: OwnedFd,
    entries: Dir,
    name: std::ffi::CString,
}

impl Level {
    fn new(fd: OwnedFd, name: &CStr) -> Result<Self, Errno> {
        let entries = Dir::read_from(&fd)?;
        Ok(Self {
            fd,
            entries,
            name: name.to_owned(),
        })
    }

    /// Unlinks what is no folder, up to the next folder.
    fn next_folder(&mut self) -> Result<Option<std::ffi::CString>, Errno> {
        while let Some(entry) = self.entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if is_dot(name) {
                continue;
            }
            if entry.file_type() == FileType::Directory {
                return Ok(Some(name.to_owned()));
            }
            match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }
}

fn level_fd(stack: &[Level]) -> BorrowedFd<'_> {
    stack[stack.len() - 1].fd.as_fd()
}

/// Moves a folder that lies too deep to the top of the tree, where it is met again.
fn lift(stack: &[Level], name: &CStr) -> Result<(), Errno> {
    let deepest = &stack[stack.len() - 1];
    for attempt in 0_u64.. {
        let lifted = std::ffi::CString::new(format!(".deep-{attempt}")).unwrap_or_default();
        let renamed = rustix::fs::renameat_with(
            &deepest.fd,
            name,
            &stack[0].fd,
            lifted.as_c_str(),
            rustix::fs::RenameFlags::NOREPLACE,
        );
        match renamed {
            Err(Errno::EXIST) => {}
            result => return result,
        }
    }
    Ok(())
}

fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    )
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_not_followed_and_deep_trees_go() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "kept").unwrap();
        let trash = folder.path().join("trash");
        fs::create_dir_all(trash.join("a/b/c")).unwrap();
        symlink(&outside, trash.join("a/b/link")).unwrap();
        symlink(&outside, trash.join("link")).unwrap();
        let mut deep = trash.join("deep");
        for _ in 0..300 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        let emptier = Emptier::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| emptier.run(&trash).unwrap());
            }
        });
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"kept");
    }
}
