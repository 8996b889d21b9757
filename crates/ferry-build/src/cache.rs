//! The build cache: what a step with a given key gave, one record a key, below the store's root.
//!
//! A record is found by what went into a step, never by when or where it ran. It is worth something
//! only while the layer it names is there; otherwise it is a miss. Records are written as steps end and
//! not synced: a layer that a power cut takes is dropped by the store, and its record then misses.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ferry_oci::{DiffId, Digest};
use ferry_store::record::{self, Record};
use ferry_store::{Durability, Error, Store};
use serde::{Deserialize, Serialize};

/// Where the builder keeps what is its own, below the store's root.
const FOLDER: &str = "build";
const RECORDS: &str = "build/cache";
/// Content of `RUN --mount=type=cache`.
pub(crate) const MOUNTS: &str = "build/mounts";
/// What follows a cache mount's name in that of the file which steps lock while they have it.
pub(crate) const IN_USE: &str = "in-use";
/// Scripts and unpacked archives of running steps.
pub(crate) const TEMPORARY: &str = "build/tmp";

/// The build cache of a store.
#[derive(Clone)]
pub struct BuildCache {
    store: Store,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// What went into the step.
    pub key: Digest,
    /// The layer it made; `None` for a step that changed nothing.
    pub layer: Option<DiffId>,
    /// The step's name at that time.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
}

/// What steps keep in a `RUN --mount=type=cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedMount {
    /// The digest of its id.
    pub key: Digest,
    /// Where it is.
    pub path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredEntry {
    layer: Option<DiffId>,
    name: String,
    created_seconds: u64,
}

impl Record for StoredEntry {
    const VERSION: u32 = 1;
}

impl BuildCache {
    /// The cache of `store`.
    pub fn open(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// Removes what steps of an earlier engine left half-done: snapshots, scripts, unpacked archives.
    /// To be called once, before the first build.
    pub fn recover(&self) -> Result<(), Error> {
        for id in self.store.snapshots().list()? {
            if id.as_str().starts_with(SNAPSHOT_PREFIX) {
                self.store.snapshots().remove(&id)?;
            }
        }
        self.remove_private_mounts()?;
        let temporary = self.store.root().join(TEMPORARY);
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &temporary)(error)),
            _ => Ok(()),
        }
    }

    /// Caches that a step had to itself, since another had the one of that name: no step finds them again.
    fn remove_private_mounts(&self) -> Result<(), Error> {
        for path in list(&self.store.root().join(MOUNTS))? {
            if path.is_dir() && !path.with_extension(IN_USE).exists() {
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// All records, in no order. Unreadable ones are skipped.
    pub fn entries(&self) -> Result<Vec<CacheEntry>, Error> {
        let mut entries = Vec::new();
        for folder in list(&self.store.root().join(RECORDS))? {
            for path in list(&folder)? {
                let key = path
                    .file_stem()
                    .and_then(|name| format!("sha256:{}", name.to_string_lossy()).parse().ok());
                if let (Some(key), Ok(Some(stored))) = (key, record::read::<StoredEntry>(&path)) {
                    entries.push(CacheEntry {
                        key,
                        layer: stored.layer,
                        name: stored.name,
                        created: UNIX_EPOCH + std::time::Duration::from_secs(stored.created_seconds),
                    });
                }
            }
        }
        Ok(entries)
    }

    /// The cache mounts that hold something, in no order.
    pub fn mounts(&self) -> Result<Vec<CachedMount>, Error> {
        let places = list(&self.store.root().join(MOUNTS))?.into_iter();
        let mounts = places.filter(|path| path.is_dir()).filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let key = format!("sha256:{name}").parse().ok()?;
            Some(CachedMount { key, path })
        });
        Ok(mounts.collect())
    }

    /// The layers that records name: roots of the store's garbage collection, as long as they are kept.
    pub fn layers(&self) -> Result<Vec<DiffId>, Error> {
        let mut layers: Vec<DiffId> = self.entries()?.into_iter().filter_map(|entry| entry.layer).collect();
        layers.sort_unstable();
        layers.dedup();
        Ok(layers)
    }

    /// Forgets a record. No error if there is none.
    pub fn remove(&self, key: &Digest) -> Result<(), Error> {
        record::remove(&self.path(key), Durability::Volatile)
    }

    /// Forgets all records, and what cache mounts hold that no step has mounted.
    pub fn clear(&self) -> Result<(), Error> {
        // One by one: builds that run go on writing theirs.
        for folder in list(&self.store.root().join(RECORDS))? {
            for path in list(&folder)? {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(failed("remove", &path)(error));
                    }
                    _ => {}
                }
            }
        }
        for lock in list(&self.store.root().join(MOUNTS))? {
            if lock.extension().is_some_and(|extension| extension == IN_USE) {
                clear_mount(&lock)?;
            }
        }
        Ok(())
    }

    /// The layer of `key`, if the record is there and the layer is too.
    fn get(&self, key: &Digest) -> Option<Option<DiffId>> {
        let stored: StoredEntry = record::read(&self.path(key)).ok().flatten()?;
        match stored.layer {
            Some(layer) if !self.store.layers().has(&layer) => None,
            layer => Some(layer),
        }
    }

    fn put(&self, key: &Digest, name: &str, layer: Option<DiffId>) -> Result<(), Error> {
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            make_folders(&self.store, folder)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let stored = StoredEntry {
            layer,
            name: name.to_owned(),
            created_seconds: now.map_or(0, |now| now.as_secs()),
        };
        record::write(&path, &stored, Durability::Volatile)
    }

    fn path(&self, key: &Digest) -> PathBuf {
        let hex = key.hex();
        let folder = self.store.root().join(RECORDS).join(&hex[..2]);
        folder.join(format!("{hex}.json"))
    }
}

/// Snapshots of steps have names that begin so.
pub(crate) const SNAPSHOT_PREFIX: &str = "build-";

/// The cache as one build sees it: what the build itself made counts whatever the policy.
pub(crate) struct SessionCache {
    durable: BuildCache,
    made: Mutex<HashMap<Digest, Option<DiffId>>>,
    /// Held while the layer of a key is being made, so that equal steps of several platforms make it once.
    making: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

impl SessionCache {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            durable: BuildCache::open(store),
            made: Mutex::default(),
            making: Mutex::default(),
        }
    }

    /// What the step with this key gave.
    pub(crate) fn get(&self, key: &Digest, policy: crate::plan::CachePolicy) -> Option<Option<DiffId>> {
        if let Some(made) = self.lock().get(key) {
            return Some(*made);
        }
        match policy {
            crate::plan::CachePolicy::Use => self.durable.get(key),
            crate::plan::CachePolicy::Ignore => None,
        }
    }

    /// Notes what a step gave. That a record cannot be written costs a later build time, nothing else.
    pub(crate) fn put(&self, key: Digest, name: &str, layer: Option<DiffId>) {
        self.lock().insert(key, layer);
        if let Err(error) = self.durable.put(&key, name, layer) {
            tracing::warn!(%error, %key, "could not write a build cache record");
        }
    }

    /// The lock to hold while making what `key` stands for.
    pub(crate) fn making(&self, key: &Digest) -> Arc<Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.entry(*key).or_default().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Option<DiffId>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what the cache mount behind `lock` holds, unless a step has it. The lock stays: somebody may wait for it.
fn clear_mount(lock: &Path) -> Result<(), Error> {
    let file = fs::File::open(lock).map_err(failed("open", lock))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
        Err(errno) => return Err(failed("lock", lock)(errno.into())),
    }
    let place = lock.with_extension("");
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &place)(error)),
        _ => Ok(()),
    }
}

/// Makes `folder`, below the store's root, and its parents, for the engine's eyes only.
pub(crate) fn make_folders(store: &Store, folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    debug_assert!(folder.starts_with(store.root().join(FOLDER)));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("create", folder))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    listing
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed("list", folder)))
        .collect()
}

/// A failure of `action` on the builder's own file at `path`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn clearing_leaves_a_cache_mount_that_is_in_use() {
        let root = tempfile::tempdir().unwrap();
        let Ok(store) = Store::open(root.path()) else {
            println!("skipped: needs a folder that a store can be in");
            return;
        };
        let folder = root.path().join(MOUNTS);
        let keys: Vec<String> = ["used", "idle"].map(|id| Digest::of(id.as_bytes()).hex()).into();
        for key in &keys {
            fs::create_dir_all(folder.join(key)).unwrap();
            fs::write(folder.join(key).with_extension(IN_USE), "").unwrap();
        }
        let lock = fs::File::open(folder.join(&keys[0]).with_extension(IN_USE)).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        let cache = BuildCache::open(&store);
        let left = || -> Vec<String> { cache.mounts().unwrap().iter().map(|mount| mount.key.hex()).collect() };
        cache.clear().unwrap();
        assert_eq!(left(), keys[..1]);
        drop(lock);
        cache.clear().unwrap();
        assert!(left().is_empty());
        // What a step had to itself has no lock, and goes when the engine starts again.
        fs::create_dir_all(folder.join("0123")).unwrap();
        cache.recover().unwrap();
        assert!(!folder.join("0123").exists());
    }
}
