//! Writes a directory of differences as a layer's tar: the same tree gives the same bytes.
//!
//! Within a directory come first `.wh..wh..opq`, then whiteouts, then everything else, each sorted by
//! the bytes of its name; a directory's content follows it at once. Times are whole seconds, at most
//! the clamp. What the order of inodes, the umask, the locale or the host decides is left out: access
//! and change times, user and group names, SELinux labels, sockets, and overlayfs's bookkeeping.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::inode;
use super::tree::{beneath, join, kernel, refused, split};
use super::xattr;
use crate::tar::write::{self as tar_write, Entry};
use crate::{EntryError, Error, Timestamp};

/// What becomes of the tree itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settle {
    /// It is only read.
    Leave,
    /// It is made to be what unpacking the tar would give: times clamped, sockets and overlayfs's
    /// bookkeeping removed.
    Apply,
}

/// Whether the top itself gets an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    /// It is as in the layers below.
    Omit,
    /// Its owner, mode or attributes changed.
    Emit,
}

/// What the names in a tree mean, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming<'a> {
    /// The tree is a layer: devices 0:0 hide what lies below, names as those of whiteouts are refused.
    Layer,
    /// The files are anybody's, who may change them meanwhile: a name is a name, and the top has this one. What
    /// goes away before it was written is left out.
    Files(&'a [u8]),
}

/// Names of files with several that are remembered where a container decides how many there are; files beyond
/// these are written anew under each name.
const MAX_LINKED: usize = 1 << 20;

/// What lies below the tree.
pub(crate) trait Lower {
    /// Whether a directory is seen at `path`.
    fn has_directory(&self, path: &[u8]) -> Result<bool, Error>;
}

#[derive(Clone, Copy)]
pub(crate) struct DiffOptions<'a> {
    /// Later modification times become this one.
    pub(crate) clamp: Option<Timestamp>,
    pub(crate) settle: Settle,
    pub(crate) top: Top,
    /// With it, directories that hide nothing are not marked as opaque: overlayfs marks some new
    /// directories to save itself a look below, which depends on how it was mounted.
    pub(crate) lower: Option<&'a dyn Lower>,
    pub(crate) naming: Naming<'a>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) entries: u64,
    /// Bytes of the files' contents.
    pub(crate) size_bytes: u64,
}

/// Writes the tree below `top` to `out`.
pub(crate) fn write(top: BorrowedFd<'_>, out: &mut impl Write, options: &DiffOptions<'_>) -> Result<Written, Error> {
    let mut walk = Walk::new(top, out, options);
    walk.run()?;
    tar_write::end(walk.out).map_err(Error::Output)?;
    Ok(walk.written)
}

/// Writes what is called `name` in the open `folder` and is no directory.
pub(crate) fn write_one(
    folder: BorrowedFd<'_>,
    name: &[u8],
    out: &mut impl Write,
    options: &DiffOptions<'_>,
) -> Result<(), Error> {
    let mut walk = Walk::new(folder, out, options);
    if walk.entry(Vec::new(), folder, name)?.is_some() {
        return Err(kernel(name, "write what became a directory meanwhile")(Errno::ISDIR));
    }
    tar_write::end(walk.out).map_err(Error::Output)
}

struct Walk<'a, W> {
    top: BorrowedFd<'a>,
    out: &'a mut W,
    options: &'a DiffOptions<'a>,
    /// First path of each file that has several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    written: Written,
}

/// A directory on the way: its open descriptor would count against the process's limit in a deep
/// tree, so it is opened anew after each directory within it.
struct Level {
    path: Vec<u8>,
    /// Names that are still to come, last first.
    names: Vec<Vec<u8>>,
    times: Timestamps,
}

impl<'a, W: Write> Walk<'a, W> {
    fn new(top: BorrowedFd<'a>, out: &'a mut W, options: &'a DiffOptions<'a>) -> Self {
        Self {
            top,
            out,
            options,
            links: HashMap::new(),
            buffer: vec![0; 256 << 10],
            written: Written::default(),
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        let top = self.open(b"", OFlags::RDONLY | OFlags::DIRECTORY)?;
        let status = rustix::fs::fstat(&top).map_err(kernel(b"", "stat"))?;
        let mut levels = vec![self.directory(Vec::new(), &top, &status)?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                let Some(Level { path, times, .. }) = levels.pop() else {
                    break;
                };
                if self.options.settle == Settle::Apply {
                    // After its content, whose settling may have changed it.
                    let directory = self.open(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                    rustix::fs::futimens(&directory, &times).map_err(kernel(&path, "set the time"))?;
                }
                continue;
            };
            let path = join(&level.path, &name);
            let entries = self.written.entries;
            let written = self
                .open(&level.path, OFlags::PATH | OFlags::DIRECTORY)
                .and_then(|folder| self.entry(path, folder.as_fd(), &name));
            match written {
                Ok(below) => levels.extend(below),
                Err(error) if entries == self.written.entries && self.may_miss(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether what failed is that an entry is no longer there, and that may be.
    fn may_miss(&self, error: &Error) -> bool {
        const GONE: [Errno; 4] = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::STALE];
        let Error::Entry {
            reason: EntryError::Kernel { source, .. },
            ..
        } = error
        else {
            return false;
        };
        self.is_files() && Errno::from_io_error(source).is_some_and(|errno| GONE.contains(&errno))
    }

    fn is_files(&self) -> bool {
        matches!(self.options.naming, Naming::Files(_))
    }

    /// How `path` is called in the archive.
    fn named<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        match self.options.naming {
            Naming::Layer | Naming::Files(b"") => Cow::Borrowed(path),
            Naming::Files(b"/") => [b"/", path].concat().into(),
            Naming::Files(top) if path.is_empty() => top.to_vec().into(),
            Naming::Files(top) => join(top, path).into(),
        }
    }

    /// Writes the entry `path`, named `name` in the open `folder`; returns a directory's content.
    fn entry(&mut self, path: Vec<u8>, folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Level>, Error> {
        let c_name = inode::c_name(name).map_err(kernel(&path, "name"))?;
        let status = rustix::fs::statat(folder, &c_name, AtFlags::SYMLINK_NOFOLLOW).map_err(kernel(&path, "stat"))?;
        let kind = FileType::from_raw_mode(status.st_mode);
        if name.starts_with(b".wh.") && !self.is_files() {
            return Err(refused(&path, EntryError::WhiteoutName));
        }
        match kind {
            FileType::Directory => {
                let directory = self.open(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                return self.directory(path, &directory, &status).map(Some);
            }
            _ if is_whiteout_inode(&status) && !self.is_files() => self.whiteout(&path)?,
            FileType::RegularFile => self.file(&path, folder, &c_name, &status)?,
            FileType::Symlink => self.symlink(&path, folder, &c_name, &status)?,
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                self.node(&path, folder, &c_name, &status, kind)?;
            }
            // Nobody listens behind a socket of a layer; Docker leaves them out as well.
            _ if self.options.settle == Settle::Apply => {
                rustix::fs::unlinkat(folder, &c_name, AtFlags::empty()).map_err(kernel(&path, "remove"))?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn directory(&mut self, path: Vec<u8>, directory: &OwnedFd, status: &Stat) -> Result<Level, Error> {
        let attributes = self.attributes(&path, xattr::Target::Open(directory.as_fd()))?;
        if !path.is_empty() || self.options.top == Top::Emit {
            let mut name = self.named(&path).into_owned();
            if name.is_empty() {
                name.push(b'.');
            }
            if !name.ends_with(b"/") {
                name.push(b'/');
            }
            let entry = self.described(&name, b'5', status, &attributes.kept);
            self.header(&entry)?;
        }
        if attributes.is_opaque && !self.is_files() && self.hides(&path, directory.as_fd())? {
            self.whiteout_entry(&join(&path, b".wh..wh..opq"))?;
        }
        Ok(Level {
            names: sorted_names(&path, directory)?,
            times: self.settled_times(status),
            path,
        })
    }

    /// Whether the opaque directory at `path` hides anything; if not, its mark is removed.
    fn hides(&self, path: &[u8], directory: BorrowedFd<'_>) -> Result<bool, Error> {
        match self.options.lower {
            Some(lower) if !lower.has_directory(path)? => {
                if self.options.settle == Settle::Apply {
                    rustix::fs::fremovexattr(directory, inode::OPAQUE)
                        .map_err(kernel(path, "clear an attribute of"))?;
                }
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn whiteout(&mut self, path: &[u8]) -> Result<(), Error> {
        let (folder, name) = split(path);
        self.whiteout_entry(&join(folder, &[b".wh.", name].concat()))
    }

    fn whiteout_entry(&mut self, name: &[u8]) -> Result<(), Error> {
        self.header(&Entry {
            name,
            type_flag: b'0',
            ..Entry::default()
        })
    }

    fn file(&mut self, path: &[u8], folder: BorrowedFd<'_>, name: &CString, status: &Stat) -> Result<(), Error> {
        let shown = self.named(path);
        if status.st_nlink > 1 {
            let inode = (status.st_dev, status.st_ino);
            if let Some(first) = self.links.get(&inode).cloned() {
                let entry = Entry {
                    link: &first,
                    ..self.described(&shown, b'1', status, &[])
                };
                return self.header(&entry);
            }
            if !self.is_files() || self.links.len() < MAX_LINKED {
                self.links.insert(inode, shown.to_vec());
            }
        }
        let file = open_regular(folder, name).map_err(kernel(path, "open"))?;
        let attributes = self.attributes(path, xattr::Target::Open(file.as_fd()))?;
        let size_bytes = u64::try_from(status.st_size).unwrap_or(0);
        let entry = Entry {
            size_bytes,
            ..self.described(&shown, b'0', status, &attributes.kept)
        };
        self.header(&entry)?;
        self.copy(path, &file, size_bytes)?;
        self.written.size_bytes += size_bytes;
        if self.options.settle == Settle::Apply {
            rustix::fs::futimens(&file, &self.settled_times(status)).map_err(kernel(path, "set the time"))?;
        }
        Ok(())
    }

    fn symlink(&mut self, path: &[u8], folder: BorrowedFd<'_>, name: &CString, status: &Stat) -> Result<(), Error> {
        let target = rustix::fs::readlinkat(folder, name, Vec::new()).map_err(kernel(path, "read"))?;
        let shown = self.named(path);
        let attributes = self.attributes(path, xattr::Target::Named(folder, name))?;
        let entry = Entry {
            link: target.to_bytes(),
            mode: 0o777,
            ..self.described(&shown, b'2', status, &attributes.kept)
        };
        self.header(&entry)?;
        self.settle_named(path, folder, name, status)
    }

    fn node(
        &mut self,
        path: &[u8],
        folder: BorrowedFd<'_>,
        name: &CString,
        status: &Stat,
        kind: FileType,
    ) -> Result<(), Error> {
        let attributes = self.attributes(path, xattr::Target::Named(folder, name))?;
        let shown = self.named(path);
        let (type_flag, device) = match kind {
            FileType::Fifo => (b'6', (0, 0)),
            FileType::BlockDevice => (b'4', device_of(status)),
            _ => (b'3', device_of(status)),
        };
        let entry = Entry {
            device,
            ..self.described(&shown, type_flag, status, &attributes.kept)
        };
        self.header(&entry)?;
        self.settle_named(path, folder, name, status)
    }

    fn described<'e>(
        &self,
        name: &'e [u8],
        type_flag: u8,
        status: &Stat,
        xattrs: &'e [(Vec<u8>, Vec<u8>)],
    ) -> Entry<'e> {
        Entry {
            name,
            type_flag,
            mode: status.st_mode & 0o7777,
            uid: status.st_uid,
            gid: status.st_gid,
            mtime_seconds: self.clamped(status),
            xattrs,
            ..Entry::default()
        }
    }

    fn header(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.written.entries += 1;
        tar_write::header(self.out, entry).map_err(Error::Output)
    }

    /// Copies exactly `size_bytes`: a file that is cut short meanwhile is an error.
    fn copy(&mut self, path: &[u8], file: &OwnedFd, size_bytes: u64) -> Result<(), Error> {
        let mut left = size_bytes;
        while left > 0 {
            let len = left.min(self.buffer.len() as u64) as usize;
            let read = rustix::io::read(file, &mut self.buffer[..len]).map_err(kernel(path, "read"))?;
            if read == 0 {
                return Err(kernel(path, "read all of a changing file")(Errno::IO));
            }
            self.out.write_all(&self.buffer[..read]).map_err(Error::Output)?;
            left -= read as u64;
        }
        tar_write::pad(self.out, size_bytes).map_err(Error::Output)
    }

    fn attributes(&self, path: &[u8], target: xattr::Target<'_>) -> Result<xattr::Attributes, Error> {
        let attributes = xattr::read(path, target)?;
        if self.options.settle == Settle::Apply {
            for name in &attributes.bookkeeping {
                xattr::remove(target, name).map_err(kernel(path, "clear an attribute of"))?;
            }
        }
        Ok(attributes)
    }

    fn settle_named(&self, path: &[u8], folder: BorrowedFd<'_>, name: &CString, status: &Stat) -> Result<(), Error> {
        if self.options.settle == Settle::Leave {
            return Ok(());
        }
        let times = self.settled_times(status);
        rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(kernel(path, "set the time"))
    }

    fn clamped(&self, status: &Stat) -> i64 {
        match self.options.clamp {
            Some(Timestamp(clamp)) => status.st_mtime.min(clamp),
            None => status.st_mtime,
        }
    }

    fn settled_times(&self, status: &Stat) -> Timestamps {
        let time = Timespec {
            tv_sec: self.clamped(status),
            tv_nsec: 0,
        };
        Timestamps {
            last_access: time,
            last_modification: time,
        }
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Error> {
        let below: &[u8] = if path.is_empty() { b"." } else { path };
        beneath(self.top, below, flags).map_err(kernel(path, "open"))
    }
}

/// Opens a regular file, and nothing else: in a container that runs, the file may have become a device
/// since it was looked at, and opening a device does things.
fn open_regular(folder: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let status = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Errno::STALE);
    }
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(same, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Names in a directory, whiteouts first, in reverse of the order in which they are written.
fn sorted_names(path: &[u8], directory: &OwnedFd) -> Result<Vec<Vec<u8>>, Error> {
    let listing = Dir::read_from(directory).map_err(kernel(path, "list"))?;
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(kernel(path, "list"))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let may_be_whiteout = matches!(entry.file_type(), FileType::CharacterDevice | FileType::Unknown);
        let is_whiteout = may_be_whiteout
            && rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|status| is_whiteout_inode(&status));
        names.push((!is_whiteout, name.to_bytes().to_vec()));
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

pub(crate) fn is_whiteout_inode(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0
}

fn device_of(status: &Stat) -> (u32, u32) {
    (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev))
}

/// Takes the digest of a tar without keeping it.
#[derive(Clone)]
pub(crate) struct Hashing {
    hasher: ferry_oci::Hasher,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        Self {
            hasher: ferry_oci::Hasher::new(),
        }
    }

    pub(crate) fn finish(self) -> ferry_oci::Digest {
        self.hasher.finish()
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
