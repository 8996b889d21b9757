//! A layer as it will be: every path with its metadata and content, decided before anything is written.
//!
//! Destinations are resolved within what lies below and what the same instruction has laid out already,
//! as BuildKit resolves them within the mounted root. Since the layout says all that enters the layer,
//! its digest is a cache key by content alone: equal layouts are equal layers, on whatever base.

use std::collections::BTreeMap;
use std::collections::HashMap;

use ferry_oci::Digest;
use rustix::fs::FileType;

use super::owner::Owner;
use super::selection::{Content, ItemKind, Metadata, Selected, SelectedItem};
use super::view::{Attributes, Directory, View, ViewError, join, names};
use crate::key::KeyHasher;
use crate::mode::{ModeChange, ModeOf};

/// Mode of directories that a destination needs and nobody described.
const NEW_DIRECTORY_MODE: u32 = 0o755;
/// Directories within directories: as many as a layer may have.
const MAX_DEPTH: usize = 512;
/// Links that one path may go through. Source: path_resolution(7), `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;

/// A layer in the making.
pub(crate) struct Layout<'a> {
    lower: &'a View,
    /// Later times become this one; what has no time gets it.
    epoch: i64,
    entries: BTreeMap<Vec<u8>, Laid>,
    directories_below: HashMap<Vec<u8>, Option<Directory>>,
}

/// One path of the layer.
#[derive(Debug, Clone)]
pub(crate) struct Laid {
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) mtime: i64,
    pub(crate) attributes: Attributes,
    pub(crate) kind: LaidKind,
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub(crate) enum LaidKind {
    Directory,
    File {
        content: Content,
        digest: Digest,
    },
    Link {
        target: Vec<u8>,
    },
    Node {
        kind: FileType,
        device: (u32, u32),
    },
    /// Another name of a path before it.
    SameAs {
        path: Vec<u8>,
    },
}

/// How sources come to stand at the destination.
#[derive(Debug, Clone)]
pub(crate) struct Placement<'a> {
    /// Absolute; a trailing slash means a directory.
    pub(crate) destination: &'a str,
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: Option<&'a ModeChange>,
    /// Whether there are several sources, which need a directory.
    pub(crate) sources: Count,
}

/// How many sources there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    One,
    Several,
}

/// Why something cannot stand where it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutFault {
    #[error("cannot copy to non-directory: /{path}")]
    NotADirectory { path: String },
    #[error("cannot replace to directory /{path} with file")]
    IsADirectory { path: String },
    #[error("when using COPY with more than one source file, the destination must be a directory and end with a /")]
    SeveralSources,
    #[error("/{path}…: directories are nested more than {MAX_DEPTH} deep")]
    TooDeep { path: String },
    #[error("/{path}: too many levels of symbolic links")]
    Links { path: String },
    #[error(transparent)]
    View(#[from] ViewError),
}

/// What is at a path now.
enum Existing {
    Nothing,
    Directory,
    Link(Vec<u8>),
    Other,
}

/// A path without links.
struct Place {
    path: Vec<u8>,
    kind: PlaceKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PlaceKind {
    Missing,
    Directory,
    Other,
}

impl<'a> Layout<'a> {
    /// An empty layer over `lower`.
    pub(crate) fn new(lower: &'a View, epoch: i64) -> Self {
        Self {
            lower,
            epoch,
            entries: BTreeMap::new(),
            directories_below: HashMap::new(),
        }
    }

    /// The paths, parents before children.
    pub(crate) fn entries(&self) -> &BTreeMap<Vec<u8>, Laid> {
        &self.entries
    }

    /// A digest over all that the layer will hold.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = KeyHasher::new("layout");
        for (path, laid) in &self.entries {
            hasher.bytes(path);
            laid.feed(&mut hasher);
        }
        hasher.finish()
    }

    /// Makes the directory `path` and its parents, where missing.
    pub(crate) fn make_directory(&mut self, path: &str) -> Result<(), LayoutFault> {
        self.ensure(path.as_bytes(), Owner::ROOT).map(|_| ())
    }

    /// Puts `source` at its destination.
    pub(crate) fn place(&mut self, source: &Selected, placement: &Placement<'_>) -> Result<(), LayoutFault> {
        let Some(first) = source.items.first() else {
            return Ok(());
        };
        let created = placement.owner.unwrap_or(Owner::ROOT);
        let destination = placement.destination.as_bytes();
        if let Some(parents) = &source.parents {
            return self.place_with_parents(source, parents, placement);
        }
        let parent = match placement.destination.rsplit_once('/') {
            Some((parent, "")) => parent,
            Some((parent, _)) => parent,
            None => "",
        };
        let named_directory = placement.destination.ends_with('/');
        self.ensure(
            if named_directory {
                destination
            } else {
                parent.as_bytes()
            },
            created,
        )?;
        let mut place = self.resolve(destination)?;
        let is_directory = matches!(first.kind, ItemKind::Directory);
        if is_directory {
            match place.kind {
                PlaceKind::Other => return Err(not_a_directory(&place.path)),
                PlaceKind::Missing => place.path = self.ensure(&place.path, created)?,
                PlaceKind::Directory => self.copy_up(&place.path)?,
            }
        } else if place.kind == PlaceKind::Directory {
            place.path = join(&place.path, &source.name);
        } else if placement.sources == Count::Several {
            return Err(LayoutFault::SeveralSources);
        }
        if !is_directory {
            let (folder, _) = split(&place.path);
            let folder = folder.to_vec();
            self.ensure(&folder, created)?;
        }
        let items = if is_directory {
            &source.items[1..]
        } else {
            &source.items[..]
        };
        self.insert_all(&place.path, items, placement)
    }

    /// `--parents`: the source's own directories stand below the destination, which is a directory.
    fn place_with_parents(
        &mut self,
        source: &Selected,
        parents: &[(Vec<u8>, Metadata)],
        placement: &Placement<'_>,
    ) -> Result<(), LayoutFault> {
        let created = placement.owner.unwrap_or(Owner::ROOT);
        let root = self.ensure(placement.destination.as_bytes(), created)?;
        let mut folder = Vec::new();
        for (path, metadata) in parents {
            let item = SelectedItem {
                path: Vec::new(),
                metadata: metadata.clone(),
                kind: ItemKind::Directory,
            };
            self.insert(join(&root, path), &root, &item, placement)?;
            folder.clone_from(path);
        }
        let folder = if folder.is_empty() { root } else { join(&root, &folder) };
        if source.name.is_empty() {
            // The whole of the source: it stands at the destination itself.
            return self.insert_all(&folder, &source.items[1..], placement);
        }
        let base = join(&folder, &source.name);
        self.insert_all(&base, &source.items, placement)
    }

    fn insert_all(
        &mut self,
        base: &[u8],
        items: &[SelectedItem],
        placement: &Placement<'_>,
    ) -> Result<(), LayoutFault> {
        for item in items {
            let path = match item.path.as_slice() {
                b"" => base.to_vec(),
                below => join(base, below),
            };
            self.insert(path, base, item, placement)?;
        }
        Ok(())
    }

    /// Puts one item at `path`, a path without links.
    fn insert(
        &mut self,
        path: Vec<u8>,
        base: &[u8],
        item: &SelectedItem,
        placement: &Placement<'_>,
    ) -> Result<(), LayoutFault> {
        let is_directory = matches!(item.kind, ItemKind::Directory);
        match (self.existing(&path)?, is_directory) {
            (Existing::Link(_) | Existing::Other, true) => return Err(not_a_directory(&path)),
            (Existing::Directory, false) => {
                let path = shown(&path);
                return Err(LayoutFault::IsADirectory { path });
            }
            _ => {}
        }
        self.copy_up_parents(&path)?;
        let metadata = &item.metadata;
        let kind = match &item.kind {
            ItemKind::Directory => LaidKind::Directory,
            ItemKind::File { content, digest, .. } => LaidKind::File {
                content: content.clone(),
                digest: *digest,
            },
            ItemKind::Link { target } => LaidKind::Link { target: target.clone() },
            ItemKind::Node { kind, device } => LaidKind::Node {
                kind: *kind,
                device: *device,
            },
            ItemKind::SameAs { path } => LaidKind::SameAs { path: join(base, path) },
        };
        let mode = match (&kind, placement.mode) {
            (LaidKind::Link { .. }, _) => 0o777,
            (LaidKind::Directory, Some(change)) => change.apply(metadata.mode, ModeOf::Directory),
            (_, Some(change)) => change.apply(metadata.mode, ModeOf::File),
            (_, None) => metadata.mode,
        };
        let laid = Laid {
            mode,
            owner: placement.owner.unwrap_or(Owner {
                uid: metadata.uid,
                gid: metadata.gid,
            }),
            mtime: self.clamped(metadata.mtime),
            attributes: metadata.attributes.clone(),
            kind,
        };
        self.entries.insert(path, laid);
        Ok(())
    }

    /// Follows `path`, makes what is missing of it as directories, and returns it without links.
    fn ensure(&mut self, path: &[u8], owner: Owner) -> Result<Vec<u8>, LayoutFault> {
        let place = self.resolve(path)?;
        match place.kind {
            PlaceKind::Other => Err(not_a_directory(&place.path)),
            PlaceKind::Directory => Ok(place.path),
            PlaceKind::Missing => {
                let mut made = Vec::new();
                for name in names(&place.path) {
                    made = join(&made, name);
                    if let Existing::Nothing = self.existing(&made)? {
                        self.copy_up_parents(&made)?;
                        let laid = self.new_directory(owner);
                        self.entries.insert(made.clone(), laid);
                    }
                }
                Ok(place.path)
            }
        }
    }

    fn new_directory(&self, owner: Owner) -> Laid {
        Laid {
            mode: NEW_DIRECTORY_MODE,
            owner,
            mtime: self.epoch,
            attributes: Vec::new(),
            kind: LaidKind::Directory,
        }
    }

    /// Gives the layer the directories above `path` as they are below, which it needs to reach it.
    fn copy_up_parents(&mut self, path: &[u8]) -> Result<(), LayoutFault> {
        let (folder, _) = split(path);
        if folder.is_empty() || self.entries.contains_key(folder) {
            return Ok(());
        }
        self.copy_up(folder)
    }

    /// Gives the layer the directory `path`, and those above it, as they are below.
    fn copy_up(&mut self, path: &[u8]) -> Result<(), LayoutFault> {
        let mut here = Vec::new();
        for name in names(path) {
            let folder = here;
            here = join(&folder, name);
            if self.entries.contains_key(&here) {
                continue;
            }
            let found = match self.directory_below(&folder)? {
                Some(directory) => self.lower.child(&directory, name)?,
                None => None,
            };
            let laid = match found {
                Some(found) => Laid {
                    mode: found.status.mode,
                    owner: Owner {
                        uid: found.status.uid,
                        gid: found.status.gid,
                    },
                    mtime: self.epoch,
                    attributes: self.lower.attributes(&found)?,
                    kind: LaidKind::Directory,
                },
                None => self.new_directory(Owner::ROOT),
            };
            self.entries.insert(here.clone(), laid);
        }
        Ok(())
    }

    /// Follows links in `path`, the last one included, within the layer and what lies below it.
    fn resolve(&mut self, path: &[u8]) -> Result<Place, LayoutFault> {
        let mut here: Vec<Vec<u8>> = Vec::new();
        let mut waiting: Vec<Vec<u8>> = names(path).rev().map(<[u8]>::to_vec).collect();
        let mut kind = PlaceKind::Directory;
        let mut links = 0;
        while let Some(name) = waiting.pop() {
            if name == b".." {
                here.pop();
                // What is above something reached is a directory, or is missing like it.
                continue;
            }
            if kind == PlaceKind::Other {
                return Err(not_a_directory(&here.join(&b'/')));
            }
            here.push(name);
            if here.len() > MAX_DEPTH {
                let path = shown(&here[..8].join(&b'/'));
                return Err(LayoutFault::TooDeep { path });
            }
            let path_here = here.join(&b'/');
            match self.existing(&path_here)? {
                Existing::Nothing => kind = PlaceKind::Missing,
                Existing::Directory => kind = PlaceKind::Directory,
                Existing::Other => kind = PlaceKind::Other,
                Existing::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        let path = shown(path);
                        return Err(LayoutFault::Links { path });
                    }
                    here.pop();
                    if target.starts_with(b"/") {
                        here.clear();
                    }
                    kind = PlaceKind::Directory;
                    waiting.extend(names(&target).rev().map(<[u8]>::to_vec));
                }
            }
        }
        let path = here.join(&b'/');
        if !path.is_empty() && kind != PlaceKind::Missing {
            // `..` may have led back from something missing or from a file.
            kind = match self.existing(&path)? {
                Existing::Nothing => PlaceKind::Missing,
                Existing::Directory => PlaceKind::Directory,
                Existing::Other | Existing::Link(_) => PlaceKind::Other,
            };
        }
        if path.is_empty() {
            kind = PlaceKind::Directory;
        }
        Ok(Place { path, kind })
    }

    /// What stands at `path`, whose parents have no links.
    fn existing(&mut self, path: &[u8]) -> Result<Existing, LayoutFault> {
        if let Some(laid) = self.entries.get(path) {
            return Ok(match &laid.kind {
                LaidKind::Directory => Existing::Directory,
                LaidKind::Link { target } => Existing::Link(target.clone()),
                _ => Existing::Other,
            });
        }
        let (folder, name) = split(path);
        let Some(directory) = self.directory_below(folder)? else {
            return Ok(Existing::Nothing);
        };
        let Some(found) = self.lower.child(&directory, name)? else {
            return Ok(Existing::Nothing);
        };
        Ok(match found.status.kind {
            FileType::Directory => {
                self.directories_below.insert(path.to_vec(), found.directory);
                Existing::Directory
            }
            FileType::Symlink => Existing::Link(self.lower.read_link(&found)?),
            _ => Existing::Other,
        })
    }

    /// The directory `path` as it is below; `None` where there is none.
    fn directory_below(&mut self, path: &[u8]) -> Result<Option<Directory>, LayoutFault> {
        if let Some(known) = self.directories_below.get(path) {
            return Ok(known.clone());
        }
        let mut directory = self.lower.root()?.directory;
        let mut here = Vec::new();
        for name in names(path) {
            here = join(&here, name);
            directory = match (self.directories_below.get(&here), directory) {
                (Some(known), _) => known.clone(),
                (None, Some(above)) => self.lower.child(&above, name)?.and_then(|found| found.directory),
                (None, None) => None,
            };
            self.directories_below.insert(here.clone(), directory.clone());
        }
        Ok(directory)
    }

    fn clamped(&self, mtime: Option<i64>) -> i64 {
        mtime.map_or(self.epoch, |mtime| mtime.min(self.epoch))
    }
}

impl Laid {
    fn feed(&self, hasher: &mut KeyHasher) {
        Metadata {
            mode: self.mode,
            uid: self.owner.uid,
            gid: self.owner.gid,
            mtime: Some(self.mtime),
            attributes: self.attributes.clone(),
        }
        .feed(hasher);
        match &self.kind {
            LaidKind::Directory => hasher.text("directory"),
            LaidKind::File { digest, .. } => {
                hasher.text("file");
                hasher.text(&digest.to_string());
            }
            LaidKind::Link { target } => {
                hasher.text("link");
                hasher.bytes(target);
            }
            LaidKind::Node { kind, device } => {
                hasher.text(&format!("node {kind:?} {} {}", device.0, device.1));
            }
            LaidKind::SameAs { path } => {
                hasher.text("same");
                hasher.bytes(path);
            }
        }
    }
}

/// A path's folder and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn not_a_directory(path: &[u8]) -> LayoutFault {
    LayoutFault::NotADirectory { path: shown(path) }
}
