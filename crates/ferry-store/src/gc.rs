//! Garbage collection: what no name, snapshot, lease or caller reaches goes to the trash.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::PoisonError;

use ferry_oci::{DiffId, Digest};

use crate::image::reachable;
use crate::layer::stored;
use crate::lease::Key;
use crate::{Error, Store};

/// What the caller holds besides images and snapshots: containers, the build cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roots {
    /// Indexes and manifests, held with everything that they hold: images that containers run
    /// although their names are gone.
    pub targets: Vec<ferry_oci::Descriptor>,
    /// Single blobs.
    pub blobs: Vec<Digest>,
    /// Layers.
    pub layers: Vec<DiffId>,
}

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Blobs that went.
    pub blobs: Vec<Digest>,
    /// Layers that went.
    pub layers: Vec<DiffId>,
    /// The sum of their sizes; free once the trash is emptied.
    pub size_bytes: u64,
}

/// See [`Store::gc`].
pub(crate) fn collect(store: &Store, roots: &Roots) -> Result<Reclaimed, Error> {
    let sweep = &store.inner().sweep;
    let _one_at_a_time = sweep.lock().unwrap_or_else(PoisonError::into_inner);
    // From here on, whatever is looked up or added is protected: nobody builds on what goes away.
    let _lease = store.lease();
    let held = mark(store, roots)?;
    let mut reclaimed = Reclaimed::default();
    for digest in store.content().list()? {
        let path = store.content().path(&digest);
        let size_bytes = path.metadata().map_or(0, |metadata| metadata.len());
        if remove(store, &held, Key::Blob(digest), path)? {
            reclaimed.blobs.push(digest);
            reclaimed.size_bytes += size_bytes;
        }
    }
    for diff_id in store.layers().list()? {
        let size_bytes = stored::read_record(store, &diff_id).map_or(0, |record| record.size_bytes);
        let path = stored::folder_of(store, &diff_id);
        if remove(store, &held, Key::Layer(diff_id), path)? {
            reclaimed.layers.push(diff_id);
            reclaimed.size_bytes += size_bytes;
        }
    }
    Ok(reclaimed)
}

fn mark(store: &Store, roots: &Roots) -> Result<HashSet<Key>, Error> {
    let mut held = HashSet::new();
    let images = store.images().list();
    let targets = images.iter().map(|image| &image.target);
    for target in targets.chain(&roots.targets) {
        held.extend(reachable(store, target)?);
    }
    held.extend(roots.blobs.iter().copied().map(Key::Blob));
    held.extend(roots.layers.iter().copied().map(Key::Layer));
    held.extend(store.snapshots().held_layers()?.into_iter().map(Key::Layer));
    Ok(held)
}

/// Removes `key`, which is at `path`, unless it is held or protected.
fn remove(store: &Store, held: &HashSet<Key>, key: Key, path: PathBuf) -> Result<bool, Error> {
    if held.contains(&key) {
        return Ok(false);
    }
    let protection = store.inner().protection.lock();
    if protection.is_protected(&key) {
        return Ok(false);
    }
    store.discard(&path)?;
    drop(protection);
    Ok(true)
}
