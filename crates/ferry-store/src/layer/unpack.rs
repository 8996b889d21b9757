//! Unpacks a layer's tar into a directory: the one function that pull, build, load and import call.
//!
//! Source: OCI image-spec `layer.md`. A whiteout `.wh.x` becomes overlayfs's character device 0:0, an
//! opaque whiteout the attribute `trusted.overlay.opaque`. Whiteouts speak of lower layers only: what
//! the same layer holds at that place stays, whatever the order of the entries.

use std::ffi::CString;
use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::extract::Extraction;
use super::inode::{self, Permissions};
use super::limits::Limits;
use super::tree::{self, Comes, Ground, Place, Tree, kernel, refused};
use crate::tar::read::{Header, Kind, Metadata, TarReader};
use crate::{EntryError, Error};

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// Other names with this prefix are bookkeeping of aufs, which Docker's layers once leaked.
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// What `.wh.` in a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// The tar is a layer: they hide what lower layers have.
    Overlay,
    /// The tar is an archive of files, unpacked upon others (ADD): they are names like any other.
    Literal,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Entries of the tar.
    pub entries: u64,
    /// Bytes of the files' contents.
    pub size_bytes: u64,
    /// Directories that only the names of other entries implied, in no order; the top is empty.
    pub(crate) implied: Vec<Vec<u8>>,
    /// Whether everything in lower layers is hidden.
    pub(crate) is_top_opaque: bool,
}

/// Unpacks the uncompressed `tar` into the directory `top`, with owners, modes, times to the
/// nanosecond, attributes and devices as its entries say.
///
/// With [`Whiteouts::Overlay`] `top` must be an empty directory of the caller's alone; otherwise what
/// is there already stays, unless an entry replaces it. Names never lead out of `top`. After an error
/// `top` holds what came before it and is to be thrown away.
pub fn unpack(tar: impl BufRead, top: OwnedFd, whiteouts: Whiteouts, limits: &Limits) -> Result<Unpacked, Error> {
    let ground = match whiteouts {
        Whiteouts::Overlay => Ground::Fresh,
        Whiteouts::Literal => Ground::Existing,
    };
    let unpacker = Unpacker {
        tree: Tree::new(top, ground, limits),
        whiteouts,
        extraction: None,
        limits,
        unpacked: Unpacked::default(),
        own: Ownership::of_process(),
    };
    unpacker.all(tar)
}

/// Unpacks the uncompressed `tar` upon the files below the directory `top`, as `extraction` says.
///
/// Whoever else writes there meanwhile, by links and renames too, nothing outside of `top` is changed. After an
/// error what came before it stays.
pub fn extract(tar: impl BufRead, top: OwnedFd, extraction: &Extraction, limits: &Limits) -> Result<(), Error> {
    let extraction = Extraction {
        folder: match extraction.folder.as_slice() {
            b"" => Vec::new(),
            folder => tree::clean(folder, limits)?,
        },
        ..extraction.clone()
    };
    let unpacker = Unpacker {
        tree: Tree::new(top, Ground::Existing, limits).replacing(extraction.replacing),
        whiteouts: Whiteouts::Literal,
        extraction: Some(extraction),
        limits,
        unpacked: Unpacked::default(),
        own: Ownership::of_process(),
    };
    unpacker.all(tar).map(drop)
}

struct Unpacker<'a> {
    tree: Tree<'a>,
    whiteouts: Whiteouts,
    extraction: Option<Extraction>,
    limits: &'a Limits,
    unpacked: Unpacked,
    own: Ownership,
}

/// The owner that new files get by themselves, which then need no chown(2).
struct Ownership {
    uid: u32,
    gid: u32,
}

impl Ownership {
    fn of_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

impl Unpacker<'_> {
    fn all(mut self, tar: impl BufRead) -> Result<Unpacked, Error> {
        let mut tar = TarReader::new(tar);
        while let Some(header) = tar.next()? {
            self.entry(&mut tar, header)?;
        }
        tar.drain()?;
        let finished = self.tree.finish()?;
        Ok(Unpacked {
            implied: finished.implied,
            is_top_opaque: finished.is_top_opaque,
            ..self.unpacked
        })
    }

    fn entry<R: BufRead>(&mut self, tar: &mut TarReader<R>, mut header: Header) -> Result<(), Error> {
        self.unpacked.entries += 1;
        if self.unpacked.entries > self.limits.entries {
            return Err(Error::Limit {
                what: "entries",
                limit: self.limits.entries,
            });
        }
        let Some(path) = self.place(&header.name)? else {
            return Ok(());
        };
        if let Some(extraction) = &self.extraction {
            extraction.adapt(&mut header.metadata);
        }
        if self.whiteouts == Whiteouts::Overlay && self.whiteout(&path)? {
            return Ok(());
        }
        inode::check_xattrs(&path, &header.metadata)?;
        match header.kind {
            Kind::Directory => self.tree.put_directory(&path, header.metadata),
            _ if path.is_empty() => Err(refused(&header.name, EntryError::Name)),
            Kind::File => self.file(tar, &path, &header),
            Kind::HardLink => self.hard_link(&path, &header),
            Kind::Symlink => self.symlink(&path, &header),
            Kind::Char => self.node(&path, &header, FileType::CharacterDevice),
            Kind::Block => self.node(&path, &header, FileType::BlockDevice),
            Kind::Fifo => self.node(&path, &header, FileType::Fifo),
        }
    }

    /// Where a name of the archive lies below the top; `None` for what is passed over.
    fn place(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match &self.extraction {
            Some(extraction) => extraction.place(name, self.limits),
            None => tree::clean(name, self.limits).map(Some),
        }
    }

    /// Handles `path` if it is a whiteout's; refuses it if a folder above it has such a name.
    fn whiteout(&mut self, path: &[u8]) -> Result<bool, Error> {
        let (folder, name) = tree::split(path);
        if folder
            .split(|byte| *byte == b'/')
            .any(|part| part.starts_with(WHITEOUT_PREFIX))
        {
            return Err(refused(path, EntryError::WhiteoutParent));
        }
        let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) else {
            return Ok(false);
        };
        if name == OPAQUE_WHITEOUT {
            let place = self.tree.place(path)?;
            self.tree.set_opaque(&place.folder)?;
        } else if !name.starts_with(AUFS_PREFIX) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(refused(path, EntryError::Name));
            }
            self.hide(path, hidden)?;
        }
        Ok(true)
    }

    /// Hides `hidden` of lower layers, beside `path`.
    fn hide(&mut self, path: &[u8], hidden: &[u8]) -> Result<(), Error> {
        let place = Place {
            name: hidden.to_vec(),
            ..self.tree.place(path)?
        };
        let name = c_name(path, &place)?;
        let made = rustix::fs::mknodat(&*place.fd, &name, FileType::CharacterDevice, Mode::empty(), 0);
        match made {
            // The same layer has it: then only what lies below is hidden.
            Err(Errno::EXIST) if self.tree.is_made(&place) => {
                self.tree.set_opaque(&tree::join(&place.folder, &place.name))
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(kernel(path, "make a whiteout")(errno)),
        }
    }

    fn file<R: BufRead>(&mut self, tar: &mut TarReader<R>, path: &[u8], header: &Header) -> Result<(), Error> {
        self.unpacked.size_bytes = self.unpacked.size_bytes.saturating_add(header.size_bytes);
        if self.unpacked.size_bytes > self.limits.unpacked_bytes {
            return Err(Error::Limit {
                what: "unpacked bytes",
                limit: self.limits.unpacked_bytes,
            });
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (_, file) = self.create(path, "create", |place, name| {
            rustix::fs::openat(&*place.fd, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        loop {
            let piece = tar.data()?;
            if piece.is_empty() {
                break;
            }
            let len = rustix::io::write(&file, piece).map_err(kernel(path, "write"))?;
            tar.consume(len);
        }
        self.set_file(&file, path, &header.metadata)
    }

    /// [`inode::set_open`] for a file that was just made, without the calls that change nothing.
    fn set_file(&self, file: &OwnedFd, path: &[u8], metadata: &Metadata) -> Result<(), Error> {
        if metadata.uid == self.own.uid && metadata.gid == self.own.gid {
            inode::set_owned(file.as_fd(), path, metadata)
        } else {
            inode::set_open(file.as_fd(), path, metadata)
        }
    }

    fn symlink(&mut self, path: &[u8], header: &Header) -> Result<(), Error> {
        let target = CString::new(header.link.as_slice()).map_err(|_| refused(path, EntryError::Name))?;
        let (place, ()) = self.create(path, "make a link", |place, name| {
            rustix::fs::symlinkat(&target, &*place.fd, name)
        })?;
        self.set_at(path, &place, &header.metadata, Permissions::Absent)
    }

    fn node(&mut self, path: &[u8], header: &Header, kind: FileType) -> Result<(), Error> {
        let (major, minor) = header.device;
        if kind == FileType::CharacterDevice && header.device == (0, 0) {
            return Err(refused(path, EntryError::WhiteoutDevice));
        }
        let device = rustix::fs::makedev(major, minor);
        let (place, ()) = self.create(path, "make a node", |place, name| {
            rustix::fs::mknodat(&*place.fd, name, kind, Mode::empty(), device)
        })?;
        self.set_at(path, &place, &header.metadata, Permissions::Settable)
    }

    fn hard_link(&mut self, path: &[u8], header: &Header) -> Result<(), Error> {
        let missing = || {
            let link = String::from_utf8_lossy(&header.link).into_owned();
            refused(path, EntryError::LinkTarget(link))
        };
        let target = self.place(&header.link).map_err(|_| missing())?;
        let target = target.filter(|target| !target.is_empty()).ok_or_else(missing)?;
        let target = self.tree.existing_place(&target)?.ok_or_else(missing)?;
        let target_name = c_name(path, &target)?;
        let status = rustix::fs::statat(&*target.fd, &target_name, AtFlags::SYMLINK_NOFOLLOW);
        let is_whiteout = |status: &rustix::fs::Stat| {
            FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0
        };
        match status {
            Ok(status) if !is_whiteout(&status) => {}
            Ok(_) | Err(Errno::NOENT) => return Err(missing()),
            Err(errno) => return Err(kernel(path, "look at its target")(errno)),
        }
        let link = self.tree.place(path)?;
        if link.folder == target.folder && link.name == target.name {
            return Ok(());
        }
        // Without AT_SYMLINK_FOLLOW a link is linked itself, not what it points at.
        self.create(path, "make a hard link", |place, name| {
            let flags = AtFlags::empty();
            rustix::fs::linkat(&*target.fd, &target_name, &*place.fd, name, flags)
        })?;
        Ok(())
    }

    /// Makes something at `path`, in the place of what is there.
    fn create<T>(
        &mut self,
        path: &[u8],
        action: &'static str,
        make: impl Fn(&Place, &CString) -> Result<T, Errno>,
    ) -> Result<(Place, T), Error> {
        let place = self.tree.place(path)?;
        let name = c_name(path, &place)?;
        let made = match make(&place, &name) {
            Err(Errno::EXIST) => {
                self.tree.clear(path, &place, Comes::Other)?;
                make(&place, &name)
            }
            result => result,
        };
        Ok((place, made.map_err(kernel(path, action))?))
    }

    fn set_at(&self, path: &[u8], place: &Place, metadata: &Metadata, permissions: Permissions) -> Result<(), Error> {
        let name = c_name(path, place)?;
        inode::set_at(place.fd.as_fd(), &name, path, metadata, permissions)
    }
}

fn c_name(path: &[u8], place: &Place) -> Result<CString, Error> {
    inode::c_name(&place.name).map_err(kernel(path, "name"))
}
