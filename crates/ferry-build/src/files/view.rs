//! A read-only view of a stack of layers, or of one directory, without mounting anything.
//!
//! Paths are resolved by descriptor below each layer, symbolic links within the view; whiteouts and
//! opaque directories hide what lies below, as overlayfs does. Source: the kernel's
//! `Documentation/filesystems/overlayfs.rst`, "whiteouts and opaque directories".

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Links that one path may go through. Source: path_resolution(7), `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;

/// A view.
#[derive(Debug)]
pub(crate) struct View {
    /// The layers' directories, top first.
    layers: Vec<OwnedFd>,
    whiteouts: Whiteouts,
    place: PathBuf,
}

/// Whether character devices 0:0 and opaque marks hide what lies below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// They do: these are layers.
    Hide,
    /// They are like any other: this is a plain directory.
    Plain,
}

/// Why the view cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    /// The kernel said no.
    #[error("{} below {}: {errno}", String::from_utf8_lossy(path), place.display())]
    Kernel {
        path: Vec<u8>,
        place: PathBuf,
        errno: Errno,
    },
    /// A loop of links, or a chain that is far too long.
    #[error("{}: too many levels of symbolic links", String::from_utf8_lossy(path))]
    Links { path: Vec<u8> },
}

/// A directory of the view: its path, and the layers that it is seen in, top first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) path: Vec<u8>,
    layers: Vec<usize>,
}

/// Something in the view.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Path from the view's root, without a leading slash.
    pub(crate) path: Vec<u8>,
    pub(crate) status: Status,
    layer: usize,
    /// For a directory: where its content is.
    pub(crate) directory: Option<Directory>,
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) kind: FileType,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size_bytes: u64,
    pub(crate) mtime: i64,
    pub(crate) links: u64,
    pub(crate) inode: u64,
    pub(crate) device: (u32, u32),
}

/// Where a path leads, links followed.
#[derive(Debug, Clone)]
pub(crate) enum Resolved {
    Found(Found),
    /// It ends below `parent`, the last directory that exists, in names that do not.
    Missing {
        parent: Found,
        rest: Vec<Vec<u8>>,
    },
    /// Something that is no directory stands in the way.
    Blocked,
}

/// Extended attributes, sorted by name.
pub(crate) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Whether a link at a path's end is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

impl View {
    /// A view of `layers`, top first.
    pub(crate) fn open(layers: &[PathBuf], whiteouts: Whiteouts) -> Result<Self, ViewError> {
        let place = layers.first().cloned().unwrap_or_default();
        let layers = layers
            .iter()
            .map(|layer| {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::open(layer, flags, Mode::empty()).map_err(|errno| ViewError::Kernel {
                    path: Vec::new(),
                    place: layer.clone(),
                    errno,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            layers,
            whiteouts,
            place,
        })
    }

    /// The view's root.
    pub(crate) fn root(&self) -> Result<Found, ViewError> {
        let mut visible = Vec::new();
        let mut status = None;
        for index in 0..self.layers.len() {
            let folder = self.open_directory(index, b"")?;
            let stat = rustix::fs::fstat(&folder).map_err(self.kernel(b""))?;
            status.get_or_insert(Status::from(stat));
            visible.push(index);
            if self.is_opaque(folder.as_fd()) {
                break;
            }
        }
        Ok(Found {
            path: Vec::new(),
            status: status.unwrap_or(Status::EMPTY_ROOT),
            layer: 0,
            directory: Some(Directory {
                path: Vec::new(),
                layers: visible,
            }),
        })
    }

    /// The entry `name` of a directory, links not followed.
    pub(crate) fn child(&self, directory: &Directory, name: &[u8]) -> Result<Option<Found>, ViewError> {
        let path = join(&directory.path, name);
        let c_name = CString::new(name).map_err(|_| self.kernel(&path)(Errno::INVAL))?;
        let mut found: Option<Found> = None;
        for (at, &index) in directory.layers.iter().enumerate() {
            let folder = self.open_directory(index, &directory.path)?;
            let stat = match rustix::fs::statat(&folder, &c_name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(self.kernel(&path)(errno)),
            };
            let is_last = at + 1 == directory.layers.len();
            if !self.merge(&mut found, &path, index, Status::from(stat), is_last)? {
                break;
            }
        }
        Ok(found)
    }

    /// The entries of a directory, by name.
    pub(crate) fn entries(&self, directory: &Directory) -> Result<BTreeMap<Vec<u8>, Found>, ViewError> {
        let mut open: BTreeMap<Vec<u8>, Option<Found>> = BTreeMap::new();
        let mut closed: BTreeMap<Vec<u8>, Option<Found>> = BTreeMap::new();
        for (at, &index) in directory.layers.iter().enumerate() {
            let folder = self.open_directory(index, &directory.path)?;
            let is_last = at + 1 == directory.layers.len();
            for entry in Dir::read_from(&folder).map_err(self.kernel(&directory.path))? {
                let entry = entry.map_err(self.kernel(&directory.path))?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") || closed.contains_key(name.to_bytes()) {
                    continue;
                }
                let path = join(&directory.path, name.to_bytes());
                let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(self.kernel(&path))?;
                let mut found = open.remove(name.to_bytes()).flatten();
                let goes_on = self.merge(&mut found, &path, index, Status::from(stat), is_last)?;
                let into = if goes_on { &mut open } else { &mut closed };
                into.insert(name.to_bytes().to_vec(), found);
            }
        }
        closed.append(&mut open);
        Ok(closed
            .into_iter()
            .filter_map(|(name, found)| Some((name, found?)))
            .collect())
    }

    /// Adds what the layer `index` has at `path` to what those above have; `false` ends the search.
    fn merge(
        &self,
        found: &mut Option<Found>,
        path: &[u8],
        index: usize,
        status: Status,
        is_last: bool,
    ) -> Result<bool, ViewError> {
        if self.whiteouts == Whiteouts::Hide && status.is_whiteout() {
            return Ok(false);
        }
        if status.kind != FileType::Directory {
            // Below a directory a file is hidden.
            found.get_or_insert_with(|| Found {
                path: path.to_vec(),
                status,
                layer: index,
                directory: None,
            });
            return Ok(false);
        }
        let directory = found
            .get_or_insert_with(|| Found {
                path: path.to_vec(),
                status,
                layer: index,
                directory: Some(Directory {
                    path: path.to_vec(),
                    layers: Vec::new(),
                }),
            })
            .directory
            .as_mut();
        if let Some(directory) = directory {
            directory.layers.push(index);
        }
        // Nobody asks whether the lowest is opaque.
        Ok(is_last || !self.is_opaque(self.open_directory(index, path)?.as_fd()))
    }

    /// Where `path` leads within the view; `..` stops at its root.
    pub(crate) fn resolve(&self, path: &[u8], last: LastLink) -> Result<Resolved, ViewError> {
        let mut stack = vec![self.root()?];
        let mut waiting: Vec<Vec<u8>> = names(path).rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = waiting.pop() {
            if name == b".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let Some(here) = stack.last() else { break };
            let Some(directory) = &here.directory else {
                return Ok(Resolved::Blocked);
            };
            let Some(child) = self.child(directory, &name)? else {
                let rest = std::iter::once(name).chain(waiting.into_iter().rev());
                return Ok(Resolved::Missing {
                    parent: here.clone(),
                    rest: rest.collect(),
                });
            };
            if child.status.kind != FileType::Symlink || (waiting.is_empty() && last == LastLink::Keep) {
                stack.push(child);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(ViewError::Links { path: path.to_vec() });
            }
            let target = self.read_link(&child)?;
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            waiting.extend(names(&target).rev().map(<[u8]>::to_vec));
        }
        match stack.pop() {
            Some(found) => Ok(Resolved::Found(found)),
            None => Ok(Resolved::Found(self.root()?)),
        }
    }

    /// Opens a regular file for reading; nothing else, and never through a link.
    pub(crate) fn open_file(&self, found: &Found) -> Result<OwnedFd, ViewError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = self.beneath(found.layer, &found.path, flags)?;
        let stat = rustix::fs::fstat(&file).map_err(self.kernel(&found.path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.kernel(&found.path)(Errno::INVAL));
        }
        Ok(file)
    }

    /// What a symbolic link says.
    pub(crate) fn read_link(&self, found: &Found) -> Result<Vec<u8>, ViewError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = self.beneath(found.layer, &found.path, flags)?;
        let target = rustix::fs::readlinkat(&link, c"", Vec::new()).map_err(self.kernel(&found.path))?;
        Ok(target.into_bytes())
    }

    /// The extended attributes that belong to content: capabilities and what users set.
    pub(crate) fn attributes(&self, found: &Found) -> Result<Attributes, ViewError> {
        if !matches!(found.status.kind, FileType::RegularFile | FileType::Directory) {
            return Ok(Vec::new());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = self.beneath(found.layer, &found.path, flags)?;
        let mut names = vec![0u8; 64 << 10];
        let len = match rustix::fs::flistxattr(&file, &mut names) {
            Ok(len) => len,
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(self.kernel(&found.path)(errno)),
        };
        let mut attributes = Vec::new();
        for name in names[..len].split(|byte| *byte == 0) {
            let is_content = name == b"security.capability"
                || name.starts_with(b"system.posix_acl_")
                || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
            if !is_content {
                continue;
            }
            let mut value = vec![0u8; 64 << 10];
            let len = rustix::fs::fgetxattr(&file, name, &mut value).map_err(self.kernel(&found.path))?;
            value.truncate(len);
            attributes.push((name.to_vec(), value));
        }
        attributes.sort();
        Ok(attributes)
    }

    fn open_directory(&self, layer: usize, path: &[u8]) -> Result<OwnedFd, ViewError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.beneath(layer, path, flags)
    }

    fn beneath(&self, layer: usize, path: &[u8], flags: OFlags) -> Result<OwnedFd, ViewError> {
        let below: &[u8] = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.layers[layer], below, flags, Mode::empty(), resolve).map_err(self.kernel(path))
    }

    fn is_opaque(&self, folder: BorrowedFd<'_>) -> bool {
        let mut value = [0u8; 2];
        self.whiteouts == Whiteouts::Hide
            && rustix::fs::fgetxattr(folder, c"trusted.overlay.opaque", &mut value) == Ok(1)
            && value[0] == b'y'
    }

    fn kernel(&self, path: &[u8]) -> impl FnOnce(Errno) -> ViewError + use<> {
        let (path, place) = (path.to_vec(), self.place.clone());
        move |errno| ViewError::Kernel { path, place, errno }
    }
}

impl Found {
    /// The one layer that has this and all below it, if there is only one.
    pub(crate) fn only_layer(&self) -> Option<usize> {
        match &self.directory {
            None => Some(self.layer),
            Some(directory) => match directory.layers.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
        }
    }
}

impl Status {
    /// The root of a view without layers.
    const EMPTY_ROOT: Self = Self {
        kind: FileType::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        size_bytes: 0,
        mtime: 0,
        links: 1,
        inode: 0,
        device: (0, 0),
    };

    fn is_whiteout(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.device == (0, 0)
    }
}

impl From<Stat> for Status {
    #[allow(clippy::useless_conversion)] // the count of links has 32 bits on some CPUs
    fn from(stat: Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: stat.st_mtime,
            links: stat.st_nlink.into(),
            inode: stat.st_ino,
            device: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
        }
    }
}

/// A path below another.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}

/// The names of a path, without empty ones and `.`.
pub(crate) fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Three layers, top first, with whiteouts and opaque directories.
    fn layers() -> Option<(tempfile::TempDir, View)> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        for folder in [
            "2/d",
            "2/opaque",
            "1/d/e",
            "1/opaque",
            "0/d/e",
            "0/opaque",
            "0/gone/deep",
            "0/file",
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for (path, text) in [
            ("2/d/top", "2"),
            ("1/d/e/x", "1"),
            ("0/d/e/x", "0"),
            ("0/d/e/y", "0"),
            ("0/d/hidden", "0"),
            ("2/opaque/a", "2"),
            ("1/opaque/b", "1"),
            ("0/opaque/c", "0"),
            ("1/file", "1"),
            ("0/file/below", "0"),
        ] {
            fs::write(at(path), text).unwrap();
        }
        for path in ["1/d/hidden", "2/gone"] {
            rustix::fs::mknodat(rustix::fs::CWD, at(path), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(at("1/opaque"), c"trusted.overlay.opaque", b"y", flags).unwrap();
        symlink("/d/../d/e", at("2/abs")).unwrap();
        symlink("../../..", at("2/d/up")).unwrap();
        symlink("self", at("2/self")).unwrap();
        let view = View::open(&[at("2"), at("1"), at("0")], Whiteouts::Hide).unwrap();
        Some((place, view))
    }

    fn names_in(view: &View, path: &str) -> Vec<String> {
        let Resolved::Found(found) = view.resolve(path.as_bytes(), LastLink::Follow).unwrap() else {
            return vec!["-".to_owned()];
        };
        let Some(directory) = &found.directory else {
            return vec![format!("layer {}", found.layer)];
        };
        let entries = view.entries(directory).unwrap().into_keys();
        entries.map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn layers_merge_as_overlayfs_merges_them() {
        let Some((_place, view)) = layers() else { return };
        let check = |path: &str, expect: &[&str]| assert_eq!(names_in(&view, path), expect, "{path}");
        check("/", &["abs", "d", "file", "opaque", "self"]);
        check("/d", &["e", "top", "up"]);
        check("/d/e", &["x", "y"]);
        check("/d/e/x", &["layer 1"]);
        check("/d/hidden", &["-"]);
        check("/gone", &["-"]);
        check("/gone/deep", &["-"]);
        check("/opaque", &["a", "b"]);
        check("/file", &["layer 1"]);
        check("/file/below", &["-"]);
    }

    #[test]
    fn links_stay_within() {
        let Some((_place, view)) = layers() else { return };
        let check = |path: &str, expect: &[&str]| assert_eq!(names_in(&view, path), expect, "{path}");
        check("abs", &["x", "y"]);
        check("abs/../top", &["layer 0"]);
        check("d/up", &["abs", "d", "file", "opaque", "self"]);
        check("d/up/../../d/top", &["layer 0"]);
        check("../../../d/top", &["layer 0"]);
        assert!(matches!(
            view.resolve(b"self", LastLink::Follow),
            Err(ViewError::Links { .. })
        ));
        assert!(matches!(view.resolve(b"self", LastLink::Keep), Ok(Resolved::Found(_))));
        assert!(matches!(
            view.resolve(b"file/x", LastLink::Follow),
            Ok(Resolved::Blocked)
        ));
        let Ok(Resolved::Missing { parent, rest }) = view.resolve(b"abs/new/names", LastLink::Follow) else {
            panic!("it is missing");
        };
        assert_eq!(
            (parent.path.as_slice(), rest),
            (&b"d/e"[..], vec![b"new".to_vec(), b"names".to_vec()])
        );
    }

    #[test]
    fn a_plain_directory_hides_nothing() {
        let Some((place, _)) = layers() else { return };
        let view = View::open(&[place.path().join("1/d")], Whiteouts::Plain).unwrap();
        assert_eq!(names_in(&view, "/"), ["e", "hidden"]);
    }
}
