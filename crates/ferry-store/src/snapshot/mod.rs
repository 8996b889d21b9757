//! Writable roots on stacks of layers: what a container writes to, and what becomes a layer.

mod changes;
mod commit;
mod mount_points;
mod parents;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ferry_oci::DiffId;
use serde::{Deserialize, Serialize};

pub use self::changes::{Change, ChangeKind};
pub use self::commit::{CommitOptions, Committed};
use self::parents::TopMetadata;
use crate::disk_usage::disk_usage;
use crate::error::RecordError;
use crate::layer::stored;
use crate::record::{self, Record};
use crate::store::{file_name, folder, list, make_folder};
use crate::{Durability, Error, Store};

const RECORD: &str = "snapshot.json";
const UPPER: &str = "upper";
const WORK: &str = "work";
/// Directories that layers only imply, with the metadata of those below: see docs/decisions/0004-layers-by-diffid.md.
const PARENTS: &str = "parents";

/// Names a snapshot: 1 to 128 letters, digits, `-`, `_`, `.`, not starting with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

/// What an overlay is mounted from. The store itself never mounts.
///
/// Mount it with `redirect_dir=off`, `metacopy=off`, `index=off`, so that the upper directory alone
/// says what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Read-only layers, top first. Never empty: without layers it is one empty directory.
    pub lower: Vec<PathBuf>,
    /// What takes the changes.
    pub upper: PathBuf,
    /// Overlayfs's scratch directory, on the same file system.
    pub work: PathBuf,
}

/// A snapshot as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The layers it stands on, bottom first.
    pub layers: Vec<DiffId>,
    /// What it is mounted from.
    pub overlay: Overlay,
}

/// Access to the snapshots of a [`Store`].
#[derive(Clone, Copy)]
pub struct Snapshots<'a> {
    store: &'a Store,
}

#[derive(Debug, Serialize, Deserialize)]
struct SnapshotRecord {
    layers: Vec<DiffId>,
    /// How many of the layers, from the top, are visible; one may hide all below it.
    visible: usize,
    has_parents: bool,
    top: TopMetadata,
}

impl Record for SnapshotRecord {
    const VERSION: u32 = 1;
}

impl<'a> Snapshots<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Makes a writable root on `layers`, bottom first, which must all be unpacked here.
    ///
    /// The layers are held until the snapshot is removed. With [`Durability::Durable`] the snapshot
    /// survives a power cut; what is written into it later does as any file does.
    pub fn prepare(&self, id: &SnapshotId, layers: &[DiffId], durability: Durability) -> Result<Overlay, Error> {
        let place = self.folder(id);
        if place.exists() {
            return Err(Error::SnapshotExists(id.clone()));
        }
        let _lease = self.store.lease();
        let stack = parents::Stack::open(self.store, layers)?;
        let staging = self.store.temporary();
        make_folder(&staging, 0o700)?;
        let made = self.fill(&staging, layers, &stack, durability).and_then(|record| {
            fs::rename(&staging, &place).map_err(Error::file("create", &place))?;
            if durability == Durability::Durable {
                sync_folder(&self.store.folder(folder::SNAPSHOTS))?;
            }
            Ok(record)
        });
        match made {
            Ok(record) => Ok(self.overlay(id, &record)),
            Err(error) => {
                self.store.discard(&staging)?;
                Err(error)
            }
        }
    }

    /// The snapshot `id`.
    pub fn get(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        let record = self.record(id)?;
        Ok(Snapshot {
            id: id.clone(),
            overlay: self.overlay(id, &record),
            layers: record.layers,
        })
    }

    /// The snapshot `id`, ready to be mounted again although it was mounted `volatile` before.
    ///
    /// Overlayfs refuses that as long as its mark is in the work directory. Everything is synced and
    /// then the mark is removed; without a mark this costs nothing. Not while it is mounted.
    pub fn renew(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        let snapshot = self.get(id)?;
        // Source: overlayfs's documentation, "volatile mount".
        let mark = snapshot.overlay.work.join("work/incompat/volatile");
        if fs::symlink_metadata(&mark).is_ok() {
            self.store.sync()?;
            self.store.discard(&mark)?;
        }
        Ok(snapshot)
    }

    /// Removes the snapshot: at once by name, its files when the trash is emptied. No error if there
    /// is none. What is mounted from it stays mounted.
    pub fn remove(&self, id: &SnapshotId) -> Result<(), Error> {
        self.store.discard(&self.folder(id))
    }

    /// Bytes on disk of what was written into the snapshot, blocks of directories included, as du counts them.
    pub fn size(&self, id: &SnapshotId) -> Result<u64, Error> {
        disk_usage(&self.get(id)?.overlay.upper)
    }

    /// What was changed in the snapshot, which may be mounted and in use: sorted by path.
    pub fn changes(&self, id: &SnapshotId) -> Result<Vec<Change>, Error> {
        changes::changes(self, id)
    }

    /// All snapshots, in no order.
    pub fn list(&self) -> Result<Vec<SnapshotId>, Error> {
        let paths = list(&self.store.folder(folder::SNAPSHOTS))?;
        Ok(paths.iter().filter_map(|path| file_name(path).parse().ok()).collect())
    }

    /// Makes a layer of what changed in the snapshot, and removes the snapshot. It must not be mounted.
    ///
    /// Its files become the layer's: nothing is copied. Their times are clamped as `options` say,
    /// so that whoever uses the layer here sees what others see who pull it.
    pub fn commit(&self, id: &SnapshotId, options: &CommitOptions) -> Result<Committed, Error> {
        commit::commit(self, id, options)
    }

    /// Makes a layer of what changed in the snapshot, which stays and may be mounted and in use: its
    /// files are copied.
    pub fn capture(&self, id: &SnapshotId, options: &CommitOptions) -> Result<Committed, Error> {
        commit::capture(self, id, options)
    }

    /// Moves snapshots whose record is missing or empty to the trash: they were volatile, and a power
    /// cut took them. A damaged record is said and left, with the files of the container beside it.
    pub(crate) fn discard_broken(&self) -> Result<(), Error> {
        for path in list(&self.store.folder(folder::SNAPSHOTS))? {
            let record = path.join(RECORD);
            if !fs::metadata(&record).is_ok_and(|metadata| metadata.len() > 0) {
                tracing::warn!(path = %path.display(), "dropped a snapshot without a record");
                self.store.discard(&path)?;
            } else if let Err(error) = record::read::<SnapshotRecord>(&record) {
                tracing::error!(%error, "damaged snapshot");
            }
        }
        Ok(())
    }

    /// The layers that snapshots stand on.
    pub(crate) fn held_layers(&self) -> Result<Vec<DiffId>, Error> {
        let mut held = Vec::new();
        for id in self.list()? {
            match self.record(&id) {
                Ok(record) => held.extend(record.layers),
                // Of a damaged record nobody knows what it held. One of a newer Ferry is an error.
                Err(
                    Error::SnapshotMissing(_)
                    | Error::Record {
                        reason: RecordError::Malformed(_),
                        ..
                    },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }

    fn fill(
        &self,
        staging: &Path,
        layers: &[DiffId],
        stack: &parents::Stack,
        durability: Durability,
    ) -> Result<SnapshotRecord, Error> {
        let upper = staging.join(UPPER);
        make_folder(&upper, 0o755)?;
        make_folder(&staging.join(WORK), 0o700)?;
        let top = stack.top_metadata()?;
        top.apply(stored::open_folder(&upper)?.as_fd())?;
        let corrections = stack.corrections()?;
        let has_parents = !corrections.is_empty() || layers.is_empty();
        if has_parents {
            let parents = staging.join(PARENTS);
            make_folder(&parents, 0o755)?;
            corrections.apply(&stored::open_folder(&parents)?)?;
        }
        let record = SnapshotRecord {
            layers: layers.to_vec(),
            visible: stack.visible(),
            has_parents,
            top,
        };
        record::write(&staging.join(RECORD), &record, durability)?;
        Ok(record)
    }

    fn overlay(&self, id: &SnapshotId, record: &SnapshotRecord) -> Overlay {
        let folder = self.folder(id);
        let parents = record.has_parents.then(|| folder.join(PARENTS));
        // overlayfs takes no directory twice (ELOOP), and images do repeat layers, empty ones above all. The
        // upper one of two decides all that the lower one says, so nothing is lost without that.
        let mut seen = HashSet::new();
        let layers = record.layers.iter().rev().take(record.visible);
        let layers = layers.filter(|id| seen.insert(*id));
        let trees = layers.map(|id| stored::folder_of(self.store, id).join(stored::TREE));
        Overlay {
            lower: parents.into_iter().chain(trees).collect(),
            upper: folder.join(UPPER),
            work: folder.join(WORK),
        }
    }

    fn record(&self, id: &SnapshotId) -> Result<SnapshotRecord, Error> {
        record::read(&self.folder(id).join(RECORD))?.ok_or_else(|| Error::SnapshotMissing(id.clone()))
    }

    fn folder(&self, id: &SnapshotId) -> PathBuf {
        self.store.folder(folder::SNAPSHOTS).join(&id.0)
    }
}

impl SnapshotId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.bytes().all(is_allowed) {
            return Err(Error::SnapshotName(text.chars().take(200).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    fs::File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::file("sync", path))
}
