//! A directory tree that is being filled from a tar: every path is resolved by descriptor, within it.
//!
//! Nothing here follows a symbolic link of the host. Links inside the tree are resolved inside it, as
//! if its top were `/`: one component after the other, by `readlinkat(2)`. Directories are opened
//! relative to the top by `openat2(2)` with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, and a few are
//! kept open, because entries come folder by folder.
//!
//! Metadata of directories is applied at the end, so that filling them does not change their times,
//! and their group, ACL or missing permissions do not change what is created in them.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::extract::Replacing;
use super::inode;
use super::limits::Limits;
use crate::tar::read::Metadata;
use crate::{EntryError, Error, trash};

/// Directories that are kept open.
const MAX_OPEN: usize = 64;
/// Raw parent names whose resolution is remembered.
const MAX_RESOLVED: usize = 4096;
/// Links that may be followed for one name. Source: path_resolution(7).
const MAX_LINKS: u32 = 40;

/// The path of a directory within the tree: components joined by `/`, no links, empty for the top.
pub(crate) type CanonicalPath = Vec<u8>;

/// What a tree does with a directory that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Nothing was there before: what comes is a layer of its own.
    Fresh,
    /// The tree is laid upon files that belong to somebody else.
    Existing,
}

/// What something makes room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    Directory,
    Other,
}

/// A directory that was made here.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    /// `None` as long as no entry described it: it was implied by something below it.
    pub(super) metadata: Option<Metadata>,
    /// Whether it hides what lower layers have at its place.
    pub(super) opaque: bool,
}

pub(super) struct Tree<'a> {
    top: Rc<OwnedFd>,
    ground: Ground,
    replacing: Replacing,
    limits: &'a Limits,
    open: HashMap<CanonicalPath, Rc<OwnedFd>>,
    resolved: HashMap<Vec<u8>, CanonicalPath>,
    made: BTreeMap<CanonicalPath, Made>,
    made_bytes: usize,
}

/// The place of an entry: the directory that holds it, and its name there.
pub(super) struct Place {
    pub(super) folder: CanonicalPath,
    pub(super) fd: Rc<OwnedFd>,
    pub(super) name: Vec<u8>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(top: OwnedFd, ground: Ground, limits: &'a Limits) -> Self {
        let mut made = BTreeMap::new();
        if ground == Ground::Fresh {
            made.insert(Vec::new(), Made::default());
        }
        Self {
            top: Rc::new(top),
            ground,
            replacing: Replacing::Anything,
            limits,
            open: HashMap::new(),
            resolved: HashMap::new(),
            made,
            made_bytes: 0,
        }
    }

    /// The same tree, in which less may make room for what comes.
    pub(super) fn replacing(self, replacing: Replacing) -> Self {
        Self { replacing, ..self }
    }

    /// Where the cleaned path `path` lies, making the directories above it that are missing.
    pub(super) fn place(&mut self, path: &[u8]) -> Result<Place, Error> {
        let (parent, name) = split(path);
        let folder = match self.resolved.get(parent) {
            Some(folder) => folder.clone(),
            None => self.resolve(path, parent)?,
        };
        let fd = self.fd(&folder).map_err(kernel(path, "open its folder"))?;
        Ok(Place {
            folder,
            fd,
            name: name.to_vec(),
        })
    }

    /// Like [`Tree::place`], but nothing is made: `None` if a directory above it is missing.
    pub(super) fn existing_place(&mut self, path: &[u8]) -> Result<Option<Place>, Error> {
        let (parent, name) = split(path);
        let Some(folder) = self.walk(path, parent, Missing::Report)? else {
            return Ok(None);
        };
        let fd = self.fd(&folder).map_err(kernel(path, "open its folder"))?;
        Ok(Some(Place {
            folder,
            fd,
            name: name.to_vec(),
        }))
    }

    /// Makes or finds the directory that an entry describes, and remembers its metadata.
    pub(super) fn put_directory(&mut self, path: &[u8], metadata: Metadata) -> Result<(), Error> {
        let mut canonical = CanonicalPath::new();
        if !path.is_empty() {
            let place = self.place(path)?;
            canonical = join(&place.folder, &place.name);
            if !self.made.contains_key(&canonical) {
                self.make_directory(path, &place, &canonical)?;
            }
        }
        self.remember(canonical, |made| made.metadata = Some(metadata))
    }

    /// Marks a directory as hiding what lower layers have there.
    pub(super) fn set_opaque(&mut self, folder: &CanonicalPath) -> Result<(), Error> {
        self.remember(folder.clone(), |made| made.opaque = true)
    }

    /// Whether `place` is a directory that was made here.
    pub(super) fn is_made(&self, place: &Place) -> bool {
        self.made.contains_key(&join(&place.folder, &place.name))
    }

    /// Removes whatever is at `place`, where `path` leads, so that something else can come there.
    pub(super) fn clear(&mut self, path: &[u8], place: &Place, comes: Comes) -> Result<(), Error> {
        if self.replacing == Replacing::SameKind {
            let is_directory = matches!(self.look(place).map_err(kernel(path, "look at"))?, Found::Directory);
            let (existing, new) = match comes {
                Comes::Directory => ("non-directory", "directory"),
                Comes::Other => ("directory", "non-directory"),
            };
            if is_directory != (comes == Comes::Directory) {
                return Err(Error::Overwrite {
                    existing,
                    path: String::from_utf8_lossy(path).into_owned(),
                    new,
                });
            }
        }
        let name = inode::c_name(&place.name).map_err(kernel(path, "name"))?;
        trash::remove_tree(place.fd.as_fd(), &name).map_err(kernel(path, "replace"))?;
        let canonical = join(&place.folder, &place.name);
        self.forget(&canonical);
        Ok(())
    }

    /// Applies the directories' metadata, and returns those that no entry described.
    pub(super) fn finish(mut self) -> Result<Finished, Error> {
        let made = std::mem::take(&mut self.made);
        let mut implied = Vec::new();
        // Deepest first: what is done to a directory needs the way to it open.
        for (path, directory) in made.into_iter().rev() {
            let fd = self.open_for_reading(&path).map_err(kernel(&path, "open"))?;
            if directory.opaque {
                inode::set_opaque(fd.as_fd()).map_err(kernel(&path, "mark as opaque"))?;
            }
            match (&directory.metadata, self.ground) {
                (Some(metadata), _) => inode::set_open(fd.as_fd(), &path, metadata)?,
                (None, Ground::Fresh) => {
                    inode::set_open(fd.as_fd(), &path, &implied_metadata())?;
                }
                (None, Ground::Existing) => {
                    inode::set_mode(fd.as_fd(), implied_metadata().mode).map_err(kernel(&path, "set the mode"))?;
                }
            }
            if directory.metadata.is_none() {
                implied.push(path.clone());
            }
            if path.is_empty() {
                return Ok(Finished {
                    implied,
                    is_top_opaque: directory.opaque,
                });
            }
        }
        Ok(Finished {
            implied,
            is_top_opaque: false,
        })
    }

    fn resolve(&mut self, path: &[u8], parent: &[u8]) -> Result<CanonicalPath, Error> {
        let folder = self.walk(path, parent, Missing::Make)?.unwrap_or_default();
        if self.resolved.len() >= MAX_RESOLVED {
            self.resolved.clear();
        }
        self.resolved.insert(parent.to_vec(), folder.clone());
        Ok(folder)
    }

    /// Follows `parent` from the top, link by link. `path` is only for messages.
    fn walk(&mut self, path: &[u8], parent: &[u8], missing: Missing) -> Result<Option<CanonicalPath>, Error> {
        let mut at = CanonicalPath::new();
        let mut todo: Vec<Vec<u8>> = components(parent);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                at = split(&at).0.to_vec();
                continue;
            }
            let next = join(&at, &name);
            if self.made.contains_key(&next) {
                at = next;
                continue;
            }
            let place = Place {
                fd: self.fd(&at).map_err(kernel(path, "open its folder"))?,
                folder: at.clone(),
                name,
            };
            match self.look(&place).map_err(kernel(path, "look above it"))? {
                Found::Directory => at = next,
                Found::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(refused(path, EntryError::LinkLoop));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    todo.extend(components(&target));
                }
                Found::Other => {
                    let parent = String::from_utf8_lossy(&next).into_owned();
                    return Err(refused(path, EntryError::ParentNotDirectory(parent)));
                }
                Found::Nothing | Found::Whiteout if missing == Missing::Report => return Ok(None),
                Found::Nothing | Found::Whiteout => {
                    self.make_directory(path, &place, &next)?;
                    at = next;
                }
            }
            self.check_depth(path, &at)?;
        }
        Ok(Some(at))
    }

    fn look(&self, place: &Place) -> Result<Found, Errno> {
        let name = inode::c_name(&place.name)?;
        let status = match rustix::fs::statat(&*place.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(errno) => return Err(errno),
        };
        Ok(match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&*place.fd, &name, Vec::new())?;
                Found::Link(target.into_bytes())
            }
            FileType::CharacterDevice if status.st_rdev == 0 => Found::Whiteout,
            _ => Found::Other,
        })
    }

    /// Makes a directory at `place`, in the place of whatever else is there. What stood there before,
    /// a whiteout or a file, had replaced what lower layers have, so the directory must hide it too.
    fn make_directory(&mut self, path: &[u8], place: &Place, canonical: &CanonicalPath) -> Result<(), Error> {
        let name = inode::c_name(&place.name).map_err(kernel(path, "make a folder"))?;
        let make = || rustix::fs::mkdirat(&*place.fd, &name, Mode::RWXU);
        let mut replaced = false;
        let made = match make() {
            Err(Errno::EXIST) => match self.look(place).map_err(kernel(path, "look at"))? {
                Found::Directory => return Ok(()),
                _ => {
                    replaced = true;
                    self.clear(path, place, Comes::Directory)?;
                    make()
                }
            },
            result => result,
        };
        made.map_err(kernel(path, "make a folder"))?;
        let hides = replaced && self.ground == Ground::Fresh;
        self.remember(canonical.clone(), |made| made.opaque = hides)
    }

    fn remember(&mut self, path: CanonicalPath, change: impl FnOnce(&mut Made)) -> Result<(), Error> {
        if !self.made.contains_key(&path) {
            self.made_bytes += path.len() + size_of::<Made>();
            if self.made_bytes > self.limits.directory_bytes {
                return Err(Error::Limit {
                    what: "bytes of directory names",
                    limit: self.limits.directory_bytes as u64,
                });
            }
        }
        change(self.made.entry(path).or_default());
        Ok(())
    }

    /// Forgets the directory at `path` and all below it, which are no longer there.
    fn forget(&mut self, path: &CanonicalPath) {
        // Links that led through it, or that it was one, resolve anew.
        self.resolved.clear();
        if self.made.remove(path).is_none() && self.ground == Ground::Fresh {
            return;
        }
        let below = join(path, b"");
        self.open.retain(|open, _| open != path && !open.starts_with(&below));
        let gone: Vec<_> = self
            .made
            .range(below.clone()..)
            .take_while(|(made, _)| made.starts_with(&below))
            .map(|(made, _)| made.clone())
            .collect();
        for made in gone {
            self.made.remove(&made);
        }
    }

    fn fd(&mut self, folder: &CanonicalPath) -> Result<Rc<OwnedFd>, Errno> {
        if folder.is_empty() {
            return Ok(self.top.clone());
        }
        if let Some(fd) = self.open.get(folder) {
            return Ok(fd.clone());
        }
        let fd = Rc::new(beneath(self.top.as_fd(), folder, OFlags::PATH | OFlags::DIRECTORY)?);
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        self.open.insert(folder.clone(), fd.clone());
        Ok(fd)
    }

    fn open_for_reading(&self, folder: &CanonicalPath) -> Result<OwnedFd, Errno> {
        let path: &[u8] = if folder.is_empty() { b"." } else { folder };
        beneath(self.top.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn check_depth(&self, path: &[u8], at: &CanonicalPath) -> Result<(), Error> {
        check_path(path, at, self.limits)
    }
}

/// What is left when a tree is complete.
pub(super) struct Finished {
    /// Directories that no entry described, deepest first; the top is the empty path.
    pub(super) implied: Vec<CanonicalPath>,
    /// Whether the layer hides everything below it.
    pub(super) is_top_opaque: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Report,
}

enum Found {
    Nothing,
    Whiteout,
    Directory,
    Link(Vec<u8>),
    Other,
}

/// What a directory that no entry describes gets: as Docker and containerd make them, but of a
/// constant time.
pub(super) fn implied_metadata() -> Metadata {
    Metadata {
        mode: 0o755,
        ..Metadata::default()
    }
}

/// Opens `path`, which has no links, below `top`.
pub(crate) fn beneath(top: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        top,
        path,
        flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

/// The name of an entry, cleaned as Go's `path.Clean` does and taken relative to the layer's top.
pub(super) fn clean(name: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    if name.is_empty() || name.contains(&0) {
        return Err(refused(name, EntryError::Name));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if parts.pop().is_none() {
                    return Err(refused(name, EntryError::Escapes));
                }
            }
            part => parts.push(part),
        }
    }
    let path = parts.join(&b'/');
    check_path(name, &path, limits)?;
    Ok(path)
}

fn check_path(name: &[u8], path: &[u8], limits: &Limits) -> Result<(), Error> {
    let too_long = |limit, unit| Err(refused(name, EntryError::PathTooLong { limit, unit }));
    if path.len() > limits.path_bytes {
        return too_long(limits.path_bytes, "bytes");
    }
    if path.iter().filter(|byte| **byte == b'/').count() >= limits.path_depth {
        return too_long(limits.path_depth, "folders");
    }
    Ok(())
}

/// An entry that is refused for `reason`.
pub(super) fn refused(path: &[u8], reason: EntryError) -> Error {
    const SHOWN: usize = 300;
    Error::Entry {
        path: String::from_utf8_lossy(&path[..path.len().min(SHOWN)]).into_owned(),
        reason,
    }
}

/// An entry that the kernel refused.
pub(crate) fn kernel(path: &[u8], action: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| {
        refused(
            path,
            EntryError::Kernel {
                action,
                source: errno.into(),
            },
        )
    }
}

/// Folder and last name of a cleaned path.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

pub(crate) fn join(folder: &[u8], name: &[u8]) -> CanonicalPath {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, name].join(&b'/')
    }
}

/// The components of a path that is to be followed, last first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
