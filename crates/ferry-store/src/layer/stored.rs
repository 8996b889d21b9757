//! How a layer lies on disk: `layers/<DiffID>/{fs, layer.json, compressed.json, mount-points}`, and how it gets there.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use ferry_oci::{Descriptor, DiffId};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::diff::Top;
use super::path_text;
use super::unpack::Unpacked;
use crate::lease::Key;
use crate::record::{self, Record};
use crate::store::{folder, make_folder};
use crate::{Durability, Error, Store, trash};

/// The differences themselves, as overlayfs reads them.
pub(crate) const TREE: &str = "fs";
/// Records that are remembered.
const MAX_CACHED: usize = 4096;
const RECORD: &str = "layer.json";
const COMPRESSED: &str = "compressed.json";

/// What is known of a layer, written once, with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// Bytes of the files' contents.
    pub(crate) size_bytes: u64,
    /// Entries of its tar.
    pub(crate) entries: u64,
    /// Directories that only the names of other entries implied: theirs is not the word on owner, mode
    /// and times if a lower layer has them. Written by [`path_text`]; the top is the empty path.
    pub(crate) implied: Vec<String>,
    /// Whether it hides everything below it, which overlayfs has no attribute for.
    pub(crate) is_top_opaque: bool,
    /// Where the tar comes from.
    pub(crate) source: Source,
}

/// What a layer's tar can be made from again, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The compressed blob that it was unpacked from.
    Blob(Box<Descriptor>),
    /// The tree: Ferry made the layer from it.
    Tree {
        /// Whether the tar describes the top.
        describes_top: bool,
    },
}

/// The compressed form that Ferry made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompressedRecord {
    pub(crate) descriptor: Descriptor,
}

impl Record for LayerRecord {
    const VERSION: u32 = 1;
}

impl Record for CompressedRecord {
    const VERSION: u32 = 1;
}

impl LayerRecord {
    pub(crate) fn of_unpacked(unpacked: &Unpacked, source: Source) -> Self {
        Self {
            size_bytes: unpacked.size_bytes,
            entries: unpacked.entries,
            implied: unpacked.implied.iter().map(|path| path_text::write(path)).collect(),
            is_top_opaque: unpacked.is_top_opaque,
            source,
        }
    }

    /// Directories that are implied, without the top.
    pub(crate) fn implied_below_top(&self) -> impl Iterator<Item = Vec<u8>> {
        let below = self.implied.iter().filter(|path| !path.is_empty());
        below.map(|path| path_text::read(path))
    }

    /// Whether the layer says what the top's owner, mode and times are.
    pub(crate) fn describes_top(&self) -> bool {
        match &self.source {
            Source::Blob(_) => !self.implied.iter().any(String::is_empty),
            Source::Tree { describes_top } => *describes_top,
        }
    }

    /// What [`super::diff::write`] is told about the top to make the tar again.
    pub(crate) fn top(&self) -> Top {
        if self.describes_top() { Top::Emit } else { Top::Omit }
    }
}

/// The folder of a layer, whether it exists or not.
pub(crate) fn folder_of(store: &Store, diff_id: &DiffId) -> PathBuf {
    store.folder(folder::LAYERS).join(diff_id.0.hex())
}

pub(crate) fn read_record(store: &Store, diff_id: &DiffId) -> Result<LayerRecord, Error> {
    record::read(&folder_of(store, diff_id).join(RECORD))?.ok_or(Error::LayerMissing(*diff_id))
}

/// [`read_record`], remembered: a layer's record never changes.
pub(crate) fn cached_record(store: &Store, diff_id: &DiffId) -> Result<Arc<LayerRecord>, Error> {
    let cache = &store.inner().layer_records;
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(record) = lock().get(diff_id) {
        return Ok(Arc::clone(record));
    }
    let record = Arc::new(read_record(store, diff_id)?);
    let mut records = lock();
    if records.len() >= MAX_CACHED {
        records.clear();
    }
    records.insert(*diff_id, Arc::clone(&record));
    Ok(record)
}

pub(crate) fn read_compressed(store: &Store, diff_id: &DiffId) -> Result<Option<Descriptor>, Error> {
    let path = folder_of(store, diff_id).join(COMPRESSED);
    Ok(record::read::<CompressedRecord>(&path)?.map(|record| record.descriptor))
}

/// Remembers the compressed form that Ferry made of a stored layer.
pub(crate) fn write_compressed(store: &Store, diff_id: &DiffId, descriptor: &Descriptor) -> Result<(), Error> {
    let path = folder_of(store, diff_id).join(COMPRESSED);
    let record = CompressedRecord {
        descriptor: descriptor.clone(),
    };
    record::write(&path, &record, Durability::Volatile)
}

/// Opens a directory of the store's own.
pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(Error::file("open", path))
}

/// A layer that is being made, in `tmp/`. Dropped without [`Staging::publish`], it leaves nothing.
pub(crate) struct Staging {
    store: Store,
    path: PathBuf,
}

impl Staging {
    /// With an empty tree.
    pub(crate) fn new(store: &Store) -> Result<Self, Error> {
        let staging = Self::without_tree(store)?;
        make_folder(&staging.tree(), 0o755)?;
        Ok(staging)
    }

    /// To which a tree is to be moved.
    pub(crate) fn without_tree(store: &Store) -> Result<Self, Error> {
        let staging = Self {
            store: store.clone(),
            path: store.temporary(),
        };
        make_folder(&staging.path, 0o700)?;
        Ok(staging)
    }

    /// Where its tree is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    pub(crate) fn open_tree(&self) -> Result<OwnedFd, Error> {
        open_folder(&self.tree())
    }

    /// Makes the layer visible. If another thread was faster, its layer stays and this one goes.
    pub(crate) fn publish(self, diff_id: &DiffId, record: &LayerRecord) -> Result<(), Error> {
        record::write(&self.path.join(RECORD), record, Durability::Volatile)?;
        let place = folder_of(&self.store, diff_id);
        let mut protection = self.store.inner().protection.lock();
        if !place.exists() {
            self.store.inner().pending.mark(Key::Layer(*diff_id))?;
            fs::rename(&self.path, &place).map_err(Error::file("create", &place))?;
        }
        protection.touch(Key::Layer(*diff_id));
        drop(protection);
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let removed = open_folder(&self.store.folder(folder::TMP)).ok().and_then(|tmp| {
            let name = std::ffi::CString::new(self.path.file_name()?.as_encoded_bytes()).ok()?;
            trash::remove_tree(tmp.as_fd(), &name).ok()
        });
        if removed.is_none() {
            tracing::warn!(path = %self.path.display(), "cannot remove an unfinished layer");
        }
    }
}
