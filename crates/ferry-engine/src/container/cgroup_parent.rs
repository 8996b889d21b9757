//! Control groups of a person's choice (`--cgroup-parent`) below which containers get theirs: made when the first
//! container wants one, and removed after the last as far as they were made here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferry_runtime::cgroup::{Layout, Parent, ParentPath};
use ferry_store::record::{self, Durability, Record};
use serde::{Deserialize, Serialize};

use super::Error;

/// All that are in use, and what was made for them.
#[derive(Debug)]
pub(crate) struct CgroupParents {
    layout: Layout,
    /// Tells the next engine what this one made, if it should be killed.
    record: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    used: HashMap<String, Used>,
    made: Made,
}

#[derive(Debug)]
struct Used {
    parent: Parent,
    containers: usize,
}

/// Folders below the mount points of control groups that were not there before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Made {
    folders: Vec<PathBuf>,
}

impl Record for Made {
    const VERSION: u32 = 1;
}

impl CgroupParents {
    /// With what an engine before noted in the folder `exec_root`.
    pub(crate) fn open(layout: Layout, exec_root: &Path) -> Self {
        let record = exec_root.join("cgroup-parents.json");
        let made = record::read(&record).unwrap_or_else(|error| {
            tracing::warn!(%error, "control groups that were made for containers may stay");
            None
        });
        Self {
            layout,
            record,
            inner: Mutex::new(Inner {
                used: HashMap::new(),
                made: made.unwrap_or_default(),
            }),
        }
    }

    /// Makes `path` where it is missing, for one container more.
    pub(crate) fn take(&self, path: &ParentPath) -> Result<(), Error> {
        let mut inner = self.lock();
        if let Some(used) = inner.used.get_mut(path.as_str()) {
            used.containers += 1;
            return Ok(());
        }
        let missing = self.folders(path).into_iter().filter(|folder| !folder.exists());
        let before = inner.made.folders.len();
        inner.made.folders.extend(missing);
        if inner.made.folders.len() > before {
            record::write(&self.record, &inner.made, Durability::Volatile)?;
        }
        match Parent::open(&self.layout, path) {
            Ok(parent) => {
                let used = Used { parent, containers: 1 };
                inner.used.insert(path.as_str().to_owned(), used);
                Ok(())
            }
            Err(error) => {
                self.remove_unused(&mut inner);
                Err(ferry_runtime::Error::from(error).into())
            }
        }
    }

    /// The group at `path`, which a container uses.
    pub(crate) fn get(&self, path: &ParentPath) -> Option<Parent> {
        self.lock().used.get(path.as_str()).map(|used| used.parent.clone())
    }

    /// A container needs `path` no more.
    pub(crate) fn release(&self, path: &ParentPath) {
        let mut inner = self.lock();
        if let Some(used) = inner.used.get_mut(path.as_str()) {
            used.containers -= 1;
            if used.containers == 0 {
                inner.used.remove(path.as_str());
                self.remove_unused(&mut inner);
            }
        }
    }

    /// Removes what an engine before made and nobody uses any more.
    pub(crate) fn tidy(&self) {
        let mut inner = self.lock();
        if !inner.made.folders.is_empty() {
            self.remove_unused(&mut inner);
        }
    }

    /// What others use meanwhile the kernel does not remove, and it is tried again another time.
    fn remove_unused(&self, inner: &mut Inner) {
        let used: Vec<PathBuf> = inner
            .used
            .values()
            .flat_map(|used| self.folders(used.parent.path()))
            .collect();
        let mut folders = std::mem::take(&mut inner.made.folders);
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        folders.retain(|folder| used.contains(folder) || is_left(folder));
        inner.made.folders = folders;
        let noted = if inner.made.folders.is_empty() {
            crate::folder::remove_file(&self.record);
            Ok(())
        } else {
            record::write(&self.record, &inner.made, Durability::Volatile)
        };
        if let Err(error) = noted {
            tracing::warn!(%error, "control groups that were made for containers may stay");
        }
    }

    /// The folders that `path` means, those above first.
    fn folders(&self, path: &ParentPath) -> Vec<PathBuf> {
        let mounts = self.layout.hierarchies().iter().map(|hierarchy| &hierarchy.mount_point);
        mounts
            .flat_map(|mount| {
                let below = Path::new(path.as_str())
                    .ancestors()
                    .filter(|part| *part != Path::new(""));
                let mut folders: Vec<PathBuf> = below.map(|part| mount.join(part)).collect();
                folders.reverse();
                folders
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_left(folder: &Path) -> bool {
    match std::fs::remove_dir(folder) {
        Ok(()) => false,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}
