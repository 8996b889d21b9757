//! The contexts that are kept, by key.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ferry_oci::Digest;

use super::record::Record;
use super::tree::{self, Tree};
use super::{ContextError, Receiving};

/// Contexts kept for later builds; the one that was longest not used goes first.
const MAX_KEPT: usize = 32;

/// Names one context among a client's: what is received under the same key is compared with what came before.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ContextKey(String);

/// The contexts that are kept; cheap to clone.
#[derive(Clone, Debug)]
pub struct Contexts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    newest: Mutex<HashMap<ContextKey, Kept>>,
    counter: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    tree: Arc<Tree>,
    used: SystemTime,
}

impl ContextKey {
    /// The key of the directory `name` of a client that calls itself `shared_key`.
    pub fn new(shared_key: &str, name: &str) -> Self {
        Self(Digest::of(format!("{shared_key}\0{name}").as_bytes()).hex())
    }

    /// The key of contexts that are not kept; no digest is spelled like it.
    fn once() -> Self {
        Self("once".to_owned())
    }
}

impl Contexts {
    /// Opens the contexts below `root`, which is made if missing. What nobody will ask for again is removed.
    pub fn open(root: &Path) -> Result<Self, ContextError> {
        create_private(root)?;
        let contexts = Self {
            shared: Arc::new(Shared {
                root: root.to_owned(),
                newest: Mutex::new(HashMap::new()),
                counter: AtomicU64::new(0),
            }),
        };
        contexts.adopt()?;
        Ok(contexts)
    }

    /// Begins to receive the context `key`, to be compared with what came before under this key.
    pub fn receive(&self, key: &ContextKey) -> Receiving {
        let previous = self.lock().get_mut(key).map(|kept| {
            kept.used = SystemTime::now();
            Arc::clone(&kept.tree)
        });
        Receiving::begin(self.clone(), key.clone(), previous)
    }

    /// Begins to receive a context that nothing came before and that is gone after its build.
    pub fn receive_once(&self) -> Receiving {
        Receiving::begin(self.clone(), ContextKey::once(), None)
    }

    /// Where they are.
    pub(super) fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Forgets all contexts; those in use go when their builds end, the others before this returns.
    pub fn clear(&self) {
        let forgotten: Vec<Kept> = self.lock().drain().map(|(_, kept)| kept).collect();
        for kept in forgotten {
            kept.tree.supersede();
            if let Some(tree) = Arc::into_inner(kept.tree) {
                tree.remove();
            }
        }
    }

    /// The directories of the contexts that are kept, each by its key, with when it was last asked for.
    pub(crate) fn kept(&self) -> Vec<(Digest, PathBuf, SystemTime)> {
        let newest = self.lock();
        let kept = newest.iter().filter_map(|(key, kept)| {
            let key = format!("sha256:{}", key.0).parse().ok()?;
            Some((key, kept.tree.path().to_owned(), kept.used))
        });
        kept.collect()
    }

    /// A path for a new directory of `key`, which does not exist yet.
    pub(super) fn new_generation(&self, key: &ContextKey) -> Result<PathBuf, ContextError> {
        let dir = self.directory(key);
        create_private(&dir)?;
        loop {
            let number = self.shared.counter.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{}-{number}", std::process::id()));
            if !path.exists() {
                return Ok(path);
            }
        }
    }

    /// Makes `tree` the newest of `key`.
    pub(super) fn install(&self, key: &ContextKey, tree: Tree) -> Result<Arc<Tree>, ContextError> {
        let tree = Arc::new(tree);
        if *key == ContextKey::once() {
            tree.supersede();
            return Ok(tree);
        }
        let generation = tree
            .path()
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let directory = self.directory(key);
        let record = Record::new(generation, tree.received_ns(), tree.entries().to_vec()).write(&directory)?;
        let kept = Kept {
            tree: Arc::clone(&tree),
            used: SystemTime::now(),
        };
        let mut newest = self.lock();
        record.put(&directory)?;
        if let Some(old) = newest.insert(key.clone(), kept) {
            old.tree.supersede();
        }
        while newest.len() > MAX_KEPT {
            let oldest = newest
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| key.clone());
            if let Some(old) = oldest.and_then(|key| newest.remove(&key)) {
                old.tree.supersede();
            }
        }
        drop(newest);
        Ok(tree)
    }

    /// Takes up what an earlier engine of this boot left, and removes the rest.
    fn adopt(&self) -> Result<(), ContextError> {
        let root = &self.shared.root;
        let listing = std::fs::read_dir(root).map_err(ContextError::io(root))?;
        for dir in listing.flatten().map(|entry| entry.path()) {
            let name = dir
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            match Record::read(&dir) {
                Some(record) if dir.join(&record.generation).is_dir() => {
                    remove_others(&dir, &record.generation);
                    let path = dir.join(&record.generation);
                    let kept = Kept {
                        used: modified(&dir),
                        tree: Arc::new(Tree::new(path, record.entries, record.received_ns)),
                    };
                    self.lock().insert(ContextKey(name), kept);
                }
                _ => tree::discard(dir),
            }
        }
        Ok(())
    }

    fn directory(&self, key: &ContextKey) -> PathBuf {
        self.shared.root.join(&key.0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContextKey, Kept>> {
        self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_others(dir: &Path, generation: &str) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != generation && !Record::owns(&name) {
            tree::discard(entry.path());
        }
    }
}

fn create_private(path: &Path) -> Result<(), ContextError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(ContextError::io(path))
}

fn modified(path: &Path) -> SystemTime {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
