//! Directories that a layer implies without describing them must not override those below.
//!
//! A layer's tar may name `a/b/file` without an entry for `a`. Unpacked by itself, the layer then has a
//! directory `a` of which nobody said what owner, mode and times it has, and in an overlay it would
//! hide what a lower layer says of `a`. So each layer's record names such directories, and a snapshot
//! on a stack where it matters gets one more lower directory, on top of the layers, that holds just
//! these directories with the metadata of the highest layer that does describe them. The same goes for
//! the top itself, whose metadata overlayfs takes from the upper directory.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ferry_oci::DiffId;
use rustix::fs::{AtFlags, Dir, Mode};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::layer::diff::is_whiteout_inode;
use crate::layer::directory::{self, Metadata};
use crate::layer::stored::{self, LayerRecord};
use crate::{Error, Store};

/// The layers that a snapshot shows, top first.
pub(super) struct Stack {
    levels: Vec<Level>,
}

struct Level {
    tree: OwnedFd,
    record: Arc<LayerRecord>,
    implied: BTreeSet<Vec<u8>>,
}

/// What a layer has at a path.
enum Found {
    /// Nothing: lower layers decide.
    Missing,
    /// Something else than a directory: what lower layers have is hidden.
    Hidden,
    Directory(OwnedFd),
}

/// What the layers below one have at a path.
enum Below {
    /// No directory.
    Nothing,
    /// A directory that none of them describes.
    Implied,
    Described(Metadata),
}

/// Owner, mode, times and attributes of a snapshot's top, as the layers have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopMetadata(directory::MetadataRecord);

/// Directories to lay over the layers, parents first.
pub(super) struct Corrections(BTreeMap<Vec<u8>, Metadata>);

impl Stack {
    /// Opens `layers`, given bottom first, down to the first that hides all below it.
    pub(super) fn open(store: &Store, layers: &[DiffId]) -> Result<Self, Error> {
        let mut levels = Vec::new();
        for diff_id in layers.iter().rev() {
            if !store.layers().has(diff_id) {
                return Err(Error::LayerMissing(*diff_id));
            }
            let record = stored::cached_record(store, diff_id)?;
            let hides_rest = record.is_top_opaque;
            let folder = stored::folder_of(store, diff_id);
            levels.push(Level {
                tree: stored::open_folder(&folder.join(stored::TREE))?,
                implied: record.implied_below_top().collect(),
                record,
            });
            if hides_rest {
                break;
            }
        }
        // All must be here, also those that nothing of is seen.
        match layers.iter().find(|diff_id| !store.layers().has(diff_id)) {
            Some(missing) => Err(Error::LayerMissing(*missing)),
            None => Ok(Self { levels }),
        }
    }

    /// How many layers are seen, counted from the top.
    pub(super) fn visible(&self) -> usize {
        self.levels.len()
    }

    /// What the top of the merged view is.
    pub(super) fn top_metadata(&self) -> Result<TopMetadata, Error> {
        let described = self.levels.iter().find(|level| level.record.describes_top());
        let metadata = match described {
            Some(level) => directory::metadata(b"", level.tree.as_fd())?,
            None => directory::implied(),
        };
        Ok(TopMetadata(directory::MetadataRecord::of(&metadata)))
    }

    /// Whether any layer shows a directory at `path`, so that hiding it means something.
    pub(super) fn has_directory(&self, path: &[u8]) -> Result<bool, Error> {
        for level in &self.levels {
            match level.find(path)? {
                Found::Missing if level.hides_below(path)? => return Ok(false),
                Found::Missing => {}
                Found::Hidden => return Ok(false),
                Found::Directory(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Whether any layer shows something called `name` in the directory at `path`.
    pub(super) fn has_entry(&self, path: &[u8], name: &[u8]) -> Result<bool, Error> {
        for level in &self.levels {
            match level.find(path)? {
                Found::Hidden => return Ok(false),
                Found::Missing => {}
                Found::Directory(fd) => match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(status) => return Ok(!is_whiteout_inode(&status)),
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(directory::failed(path, errno)),
                },
            }
            if level.hides_below(path)? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The names of what the layers show in the directory at `path`.
    pub(super) fn names(&self, path: &[u8]) -> Result<BTreeSet<Vec<u8>>, Error> {
        let mut shown: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        for level in &self.levels {
            match level.find(path)? {
                Found::Hidden => break,
                Found::Missing => {}
                Found::Directory(fd) => {
                    let failed = |errno| directory::failed(path, errno);
                    for entry in Dir::read_from(&fd).map_err(failed)? {
                        let entry = entry.map_err(failed)?;
                        let status =
                            rustix::fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                        let name = entry.file_name().to_bytes();
                        if !matches!(name, b"." | b"..") {
                            shown.entry(name.to_vec()).or_insert(!is_whiteout_inode(&status));
                        }
                    }
                }
            }
            if level.hides_below(path)? {
                break;
            }
        }
        let names = shown.into_iter().filter(|(_, is_there)| *is_there);
        Ok(names.map(|(name, _)| name).collect())
    }

    /// The directories whose metadata the plain overlay of the layers would show wrongly.
    pub(super) fn corrections(&self) -> Result<Corrections, Error> {
        let mut corrections = BTreeMap::new();
        for (index, level) in self.levels.iter().enumerate() {
            let mut nothing_below: Option<&Vec<u8>> = None;
            for path in &level.implied {
                let is_pruned = nothing_below.is_some_and(|above| is_within(path, above));
                if is_pruned || corrections.contains_key(path) || self.is_covered(index, path)? {
                    continue;
                }
                match self.below(index, path)? {
                    Below::Nothing => nothing_below = Some(path),
                    Below::Implied => {}
                    Below::Described(metadata) => {
                        corrections.insert(path.clone(), metadata);
                    }
                }
            }
        }
        self.add_ancestors(&mut corrections)?;
        Ok(Corrections(corrections))
    }

    /// The way to a corrected directory must look as it does without the correction.
    fn add_ancestors(&self, corrections: &mut BTreeMap<Vec<u8>, Metadata>) -> Result<(), Error> {
        let paths: Vec<Vec<u8>> = corrections.keys().cloned().collect();
        for path in paths {
            for ancestor in prefixes(&path) {
                if ancestor.len() < path.len() && !corrections.contains_key(ancestor) {
                    let metadata = self.effective(ancestor)?;
                    corrections.insert(ancestor.to_vec(), metadata);
                }
            }
        }
        Ok(())
    }

    pub(super) fn effective(&self, path: &[u8]) -> Result<Metadata, Error> {
        for level in &self.levels {
            if let Found::Directory(fd) = level.find(path)? {
                return directory::metadata(path, fd.as_fd());
            }
        }
        Ok(directory::implied())
    }

    /// Whether a layer above `index` has something at `path`.
    fn is_covered(&self, index: usize, path: &[u8]) -> Result<bool, Error> {
        for level in &self.levels[..index] {
            if !matches!(level.find(path)?, Found::Missing) || level.hides_below(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn below(&self, index: usize, path: &[u8]) -> Result<Below, Error> {
        let mut below = Below::Nothing;
        let mut above = &self.levels[index];
        for level in &self.levels[index + 1..] {
            if above.hides_below(path)? {
                break;
            }
            match level.find(path)? {
                Found::Missing => {}
                Found::Hidden => break,
                Found::Directory(_) if level.implied.contains(path) => below = Below::Implied,
                Found::Directory(fd) => {
                    return directory::metadata(path, fd.as_fd()).map(Below::Described);
                }
            }
            above = level;
        }
        Ok(below)
    }
}

impl Level {
    fn find(&self, path: &[u8]) -> Result<Found, Error> {
        let named: &[u8] = if path.is_empty() { b"." } else { path };
        match directory::open_beneath(self.tree.as_fd(), named) {
            Ok(fd) => Ok(Found::Directory(fd)),
            Err(Errno::NOENT) => Ok(Found::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Found::Hidden),
            Err(errno) => Err(directory::failed(path, errno)),
        }
    }

    /// Whether the directory at `path` or one above it is opaque.
    fn hides_below(&self, path: &[u8]) -> Result<bool, Error> {
        for prefix in prefixes(path) {
            match self.find(prefix)? {
                Found::Directory(fd) if directory::is_opaque(fd.as_fd()) => return Ok(true),
                Found::Directory(_) => {}
                Found::Missing | Found::Hidden => return Ok(false),
            }
        }
        Ok(false)
    }
}

impl TopMetadata {
    /// Gives it to the upper directory.
    pub(super) fn apply(&self, upper: BorrowedFd<'_>) -> Result<(), Error> {
        directory::set_metadata(b"", upper, &self.0.metadata())
    }

    /// Whether `upper` has another owner, mode or attributes by now. Its times change with whatever
    /// is made in it, and say nothing.
    pub(super) fn differs(&self, upper: BorrowedFd<'_>) -> Result<bool, Error> {
        let (before, now) = (self.0.metadata(), directory::metadata(b"", upper)?);
        Ok((before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid) || before.xattrs != now.xattrs)
    }
}

impl Corrections {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the directories below `parents`.
    pub(super) fn apply(&self, parents: &OwnedFd) -> Result<(), Error> {
        for path in self.0.keys() {
            // Parents come first in the order of the map, and nothing here is a link.
            rustix::fs::mkdirat(parents, path.as_slice(), Mode::RWXU)
                .map_err(|errno| directory::failed(path, errno))?;
        }
        for (path, metadata) in self.0.iter().rev() {
            let fd = directory::open_beneath(parents.as_fd(), path).map_err(|errno| directory::failed(path, errno))?;
            directory::set_metadata(path, fd.as_fd(), metadata)?;
        }
        Ok(())
    }
}

fn is_within(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with(b"/"))
}

/// `a`, `a/b`, `a/b/c` for `a/b/c`.
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let ends = slashes.map(|(index, _)| index);
    ends.chain(std::iter::once(path.len())).map(|end| &path[..end])
}
