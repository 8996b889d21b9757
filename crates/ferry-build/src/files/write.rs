//! Writes a layout into the upper directory of a snapshot.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::layout::{Laid, LaidKind, Layout, split};
use super::selection::Content;
use super::view::ViewError;

/// Why a layout could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFault {
    #[error("write {path} below {}: {errno}", place.display())]
    Kernel { path: String, place: PathBuf, errno: Errno },
    #[error("write {path}: {source}")]
    Content { path: String, source: std::io::Error },
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Writes every entry of `layout` below the empty directory `upper`.
pub(crate) fn write(layout: &Layout<'_>, upper: &Path) -> Result<(), WriteFault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(upper, flags, Mode::empty()).map_err(|errno| WriteFault::Kernel {
        path: String::new(),
        place: upper.to_owned(),
        errno,
    })?;
    let mut writer = Writer {
        root,
        upper,
        folder: None,
        blocks: Blocks::Shareable,
    };
    for (path, laid) in layout.entries() {
        writer.entry(path, laid)?;
    }
    // What was put into a directory changed its time.
    for (path, laid) in layout.entries().iter().rev() {
        if matches!(laid.kind, LaidKind::Directory) {
            let folder = writer.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            rustix::fs::futimens(&folder, &times(laid)).map_err(writer.kernel(path))?;
        }
    }
    Ok(())
}

struct Writer<'a> {
    root: OwnedFd,
    upper: &'a Path,
    /// The folder of the last entry: most entries have the same as the one before.
    folder: Option<(Vec<u8>, Rc<OwnedFd>)>,
    blocks: Blocks,
}

/// Whether the file system can give two files the same blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocks {
    Shareable,
    /// It said no once.
    Single,
}

impl Writer<'_> {
    fn entry(&mut self, path: &[u8], laid: &Laid) -> Result<(), WriteFault> {
        let (folder, name) = split(path);
        let folder = self.folder(folder)?;
        let name = CString::new(name).map_err(|_| self.kernel(path)(Errno::INVAL))?;
        match &laid.kind {
            LaidKind::Directory => {
                rustix::fs::mkdirat(&folder, &name, Mode::RWXU).map_err(self.kernel(path))?;
                let made = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
                self.describe(path, &made, laid)
            }
            LaidKind::File { content, .. } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file =
                    rustix::fs::openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR).map_err(self.kernel(path))?;
                let file = self.fill(path, file.into(), content)?.into();
                self.describe(path, &file, laid)
            }
            LaidKind::Link { target } => {
                let target = CString::new(target.as_slice()).map_err(|_| self.kernel(path)(Errno::INVAL))?;
                rustix::fs::symlinkat(&target, &folder, &name).map_err(self.kernel(path))?;
                self.describe_named(path, &folder, &name, laid, None)
            }
            LaidKind::Node {
                kind: FileType::Socket, ..
            } => Ok(()),
            LaidKind::Node { kind, device } => {
                let device = rustix::fs::makedev(device.0, device.1);
                rustix::fs::mknodat(&folder, &name, *kind, Mode::RUSR | Mode::WUSR, device)
                    .map_err(self.kernel(path))?;
                self.describe_named(path, &folder, &name, laid, Some(laid.mode))
            }
            LaidKind::SameAs { path: first } => {
                let (first_folder, first_name) = split(first);
                let first_folder = self.open(first_folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
                rustix::fs::linkat(&first_folder, first_name, &folder, &name, AtFlags::empty())
                    .map_err(self.kernel(path))
            }
        }
    }

    fn folder(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, WriteFault> {
        if let Some((last, folder)) = &self.folder
            && last == path
        {
            return Ok(folder.clone());
        }
        let folder = Rc::new(self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?);
        self.folder = Some((path.to_vec(), folder.clone()));
        Ok(folder)
    }

    fn fill(&mut self, path: &[u8], mut file: File, content: &Content) -> Result<File, WriteFault> {
        let failed = |source| WriteFault::Content {
            path: String::from_utf8_lossy(path).into_owned(),
            source,
        };
        match content {
            Content::Inline(bytes) => file.write_all(bytes).map_err(failed)?,
            Content::In { view, found } => {
                let mut from = File::from(view.open_file(found)?);
                // The kernel shares the blocks, or copies them without a detour.
                if self.blocks == Blocks::Single || rustix::fs::ioctl_ficlone(&file, &from).is_err() {
                    self.blocks = Blocks::Single;
                    std::io::copy(&mut from, &mut file).map_err(failed)?;
                }
            }
        }
        Ok(file)
    }

    /// Owner before mode: a change of owner clears set-user-ID.
    fn describe(&self, path: &[u8], file: &OwnedFd, laid: &Laid) -> Result<(), WriteFault> {
        let (uid, gid) = (Uid::from_raw(laid.owner.uid), Gid::from_raw(laid.owner.gid));
        rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(self.kernel(path))?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(laid.mode)).map_err(self.kernel(path))?;
        for (name, value) in &laid.attributes {
            match rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(errno) => return Err(self.kernel(path)(errno)),
            }
        }
        rustix::fs::futimens(file, &times(laid)).map_err(self.kernel(path))
    }

    fn describe_named(
        &self,
        path: &[u8],
        folder: &OwnedFd,
        name: &CString,
        laid: &Laid,
        mode: Option<u32>,
    ) -> Result<(), WriteFault> {
        let (uid, gid) = (Uid::from_raw(laid.owner.uid), Gid::from_raw(laid.owner.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(folder, name, Some(uid), Some(gid), flags).map_err(self.kernel(path))?;
        if let Some(mode) = mode {
            // It was just made here and is no link.
            rustix::fs::chmodat(folder, name, Mode::from_raw_mode(mode), AtFlags::empty())
                .map_err(self.kernel(path))?;
        }
        rustix::fs::utimensat(folder, name, &times(laid), flags).map_err(self.kernel(path))
    }

    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, WriteFault> {
        let below: &[u8] = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(
            self.root.as_fd(),
            below,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
        .map_err(self.kernel(path))
    }

    fn kernel(&self, path: &[u8]) -> impl FnOnce(Errno) -> WriteFault + use<> {
        let (path, place) = (String::from_utf8_lossy(path).into_owned(), self.upper.to_owned());
        move |errno| WriteFault::Kernel { path, place, errno }
    }
}

fn times(laid: &Laid) -> Timestamps {
    let time = Timespec {
        tv_sec: laid.mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
