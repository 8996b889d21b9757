//! The files of one reception, in a directory that does not change once it is complete.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};

use super::{ContextError, ContextPath, Entry, EntryKind};

/// The files of one reception.
///
/// Its directory goes when the last user is gone and a newer tree has taken its place.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    entries: Vec<Entry>,
    received_ns: i64,
    superseded: AtomicBool,
}

impl Tree {
    /// A tree whose directory is complete.
    pub(super) fn new(path: PathBuf, entries: Vec<Entry>, received_ns: i64) -> Self {
        Self {
            path,
            entries,
            received_ns,
            superseded: AtomicBool::new(false),
        }
    }

    /// The directory that holds the files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of the file at `path`, or `None` where there is none.
    ///
    /// Links are followed within the tree alone. What is no regular file, or longer than `limit_bytes`, is an error.
    pub fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, ContextError> {
        let root = open_directory(&self.path)?;
        let shown = self.path.join(path);
        let opened = rustix::fs::openat2(
            &root,
            path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        match opened {
            Ok(fd) => read_regular(fd.into(), limit_bytes)
                .map(Some)
                .map_err(ContextError::io(shown)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(ContextError::io(shown)(errno.into())),
        }
    }

    /// When its reception began, in nanoseconds since 1970.
    pub(super) fn received_ns(&self) -> i64 {
        self.received_ns
    }

    /// Removes its directory, as its last user.
    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a build context");
        }
    }

    /// Says that nobody will ask for this tree again.
    pub(super) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.superseded.load(Ordering::Acquire) {
            discard(self.path.clone());
        }
    }
}

/// Removes a directory in the background: the last user of a tree may be an async task, and a tree may be large.
pub(super) fn discard(path: PathBuf) {
    let removal = move || {
        if let Err(error) = std::fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove an old build context");
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("context-removal".to_owned())
        .spawn(removal)
    {
        tracing::warn!(%error, "cannot start the removal of an old build context");
    }
}

/// Fills an empty directory with a context's files, all by descriptor: no path is ever resolved through a link.
pub(super) struct Planting<'a> {
    root: PathBuf,
    root_fd: OwnedFd,
    /// Directory of the entry before: entries of one directory come one after another.
    parent: Option<(String, OwnedFd)>,
    /// Where unchanged files are.
    previous: Option<BorrowedFd<'a>>,
    /// Where files that were sent are, by number.
    staging: Option<BorrowedFd<'a>>,
    /// Directories get their own modes last: until then we must be able to write to them.
    directories: Vec<(ContextPath, u32)>,
}

/// Where a file's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// In the tree before, under the same path.
    Previous,
    /// In the staging directory, under its number.
    Staged(u32),
}

impl<'a> Planting<'a> {
    /// Begins in the new directory `root`.
    pub(super) fn begin(
        root: &Path,
        previous: Option<BorrowedFd<'a>>,
        staging: Option<BorrowedFd<'a>>,
    ) -> Result<Self, ContextError> {
        rustix::fs::mkdir(root, Mode::RWXU).map_err(|errno| ContextError::io(root)(errno.into()))?;
        Ok(Self {
            root: root.to_owned(),
            root_fd: open_directory(root)?,
            parent: None,
            previous,
            staging,
            directories: Vec::new(),
        })
    }

    /// Makes one entry; `content` says where a file's content is.
    pub(super) fn plant(&mut self, entry: &Entry, content: Source) -> Result<(), ContextError> {
        let path = entry.path.clone();
        let shown = self.root.join(path.as_str());
        self.make(entry, content)
            .map_err(|errno| ContextError::io(shown)(errno.into()))?;
        if entry.kind == EntryKind::Directory {
            self.directories.push((path, entry.mode));
        }
        Ok(())
    }

    /// Gives directories their modes, innermost first.
    pub(super) fn finish(self) -> Result<(), ContextError> {
        for (path, mode) in self.directories.iter().rev() {
            open_beneath(self.root_fd.as_fd(), path.as_str())
                .and_then(|fd| rustix::fs::fchmod(fd, Mode::from_raw_mode(*mode)))
                .map_err(|errno| ContextError::io(self.root.join(path.as_str()))(errno.into()))?;
        }
        Ok(())
    }

    fn make(&mut self, entry: &Entry, content: Source) -> rustix::io::Result<()> {
        let (parent, name) = entry.path.split();
        let mode = Mode::from_raw_mode(entry.mode);
        if self.parent.as_ref().is_none_or(|(path, _)| path != parent) {
            let fd = open_beneath(self.root_fd.as_fd(), parent)?;
            self.parent = Some((parent.to_owned(), fd));
        }
        let dir = self.parent.as_ref().map_or(self.root_fd.as_fd(), |(_, fd)| fd.as_fd());
        match &entry.kind {
            EntryKind::Directory => rustix::fs::mkdirat(dir, name, Mode::RWXU),
            EntryKind::SymbolicLink { target } => rustix::fs::symlinkat(target, dir, name),
            EntryKind::Fifo => {
                rustix::fs::mknodat(dir, name, rustix::fs::FileType::Fifo, Mode::RUSR, 0)?;
                rustix::fs::chmodat(dir, name, mode, AtFlags::empty())
            }
            EntryKind::HardLink { target } => link(self.root_fd.as_fd(), target, dir, name),
            EntryKind::File { .. } => match content {
                Source::Previous => {
                    let previous = self.previous.ok_or(rustix::io::Errno::NOENT)?;
                    link(previous, &entry.path, dir, name)
                }
                Source::Staged(number) => {
                    let staging = self.staging.ok_or(rustix::io::Errno::NOENT)?;
                    rustix::fs::renameat(staging, number.to_string(), dir, name)
                }
            },
        }
    }
}

fn read_regular(file: File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut content = Vec::new();
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Opens a directory of our own by its path on the host.
pub(super) fn open_directory(path: &Path) -> Result<OwnedFd, ContextError> {
    rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| ContextError::io(path)(errno.into()))
}

/// Opens a directory below `root` without following any link (openat2(2)); the empty path is `root` itself.
fn open_beneath(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat2(
        root,
        if path.is_empty() { "." } else { path },
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

/// Links the file `path` of `root` as `name` in `dir`.
fn link(root: BorrowedFd<'_>, path: &ContextPath, dir: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let (parent, file) = path.split();
    let parent = open_beneath(root, parent)?;
    rustix::fs::linkat(parent, file, dir, name, AtFlags::empty())
}
