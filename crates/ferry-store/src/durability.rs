//! What a power cut would take: blobs and layers that no `syncfs` has covered yet.
//!
//! A blob or layer gets a marker in `pending/` before it gets its name, and loses it after the next
//! `syncfs`. Journalling file systems keep the order of renames, so after a power cut whatever may
//! be hollow still has its marker, and goes. A crash of the process alone harms nothing: the kernel
//! still has the bytes, which the unchanged boot and mount tell.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, StatxFlags};
use serde::{Deserialize, Serialize};

use crate::lease::Key;
use crate::record::{self, Record};
use crate::store::{file_name, folder, list};
use crate::{Durability, Error};

/// `STATX_MNT_ID_UNIQUE` of statx(2), Linux 6.8: an id that is not used again until the next boot.
const MOUNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// The names that a power cut would make unsafe.
pub(crate) struct Pending {
    folder: PathBuf,
    /// Marker name → the order in which it was made.
    markers: Mutex<Markers>,
}

#[derive(Default)]
struct Markers {
    order: u64,
    by_name: HashMap<String, u64>,
}

/// Which boot and mount the markers belong to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    boot_id: String,
    mount_id: u64,
}

impl Record for Epoch {
    const VERSION: u32 = 1;
}

impl Pending {
    /// Drops what an earlier boot or mount left unsynced, and remembers the rest.
    pub(crate) fn open(root: &Path, root_fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let epoch_path = root.join("epoch.json");
        let epoch = current_epoch(root, root_fd)?;
        // An unreadable record is treated as another boot's: dropping what nothing refers to is safe.
        let is_same = record::read(&epoch_path).ok().flatten().as_ref() == Some(&epoch);
        let pending = Self {
            folder: root.join(folder::PENDING),
            markers: Mutex::default(),
        };
        for path in list(&pending.folder)? {
            if is_same {
                pending.remember(file_name(&path));
            } else {
                drop_marked(root, &path)?;
            }
        }
        if !is_same {
            record::write(&epoch_path, &epoch, Durability::Durable)?;
        }
        Ok(pending)
    }

    /// Marks a blob or layer that is about to get its name.
    pub(crate) fn mark(&self, key: Key) -> Result<(), Error> {
        let name = marker_name(key);
        let path = self.folder.join(&name);
        self.remember(&name);
        File::create(&path).map_err(Error::file("create", &path))?;
        Ok(())
    }

    /// Whether any of `keys` is not synced yet.
    pub(crate) fn has_any(&self, keys: &[Key]) -> bool {
        let markers = self.lock();
        keys.iter().any(|key| markers.by_name.contains_key(&marker_name(*key)))
    }

    /// Syncs the file system and clears the markers that were there before.
    pub(crate) fn sync(&self, root_fd: BorrowedFd<'_>) -> Result<(), Error> {
        let before = self.lock().by_name.clone();
        rustix::fs::syncfs(root_fd).map_err(Error::file("sync", &self.folder))?;
        for (name, order) in before {
            let mut markers = self.lock();
            // Marked again meanwhile: removed and written anew, perhaps after the sync.
            if markers.by_name.get(&name) == Some(&order) {
                markers.by_name.remove(&name);
                remove_marker(&self.folder.join(&name))?;
            }
        }
        Ok(())
    }

    fn remember(&self, name: &str) {
        let mut markers = self.lock();
        markers.order += 1;
        let order = markers.order;
        markers.by_name.insert(name.to_owned(), order);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Markers> {
        self.markers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn marker_name(key: Key) -> String {
    match key {
        Key::Blob(digest) => format!("blob-{}", digest.hex()),
        Key::Layer(diff_id) => format!("layer-{}", diff_id.0.hex()),
    }
}

fn drop_marked(root: &Path, marker: &Path) -> Result<(), Error> {
    let grave = root.join(folder::TRASH);
    if let Some((kind, hex)) = file_name(marker).split_once('-') {
        let place = match kind {
            "blob" => root.join(folder::BLOBS).join(hex),
            _ => root.join(folder::LAYERS).join(hex),
        };
        tracing::warn!(path = %place.display(), "dropped: written before a power cut and never synced");
        match fs::rename(&place, grave.join(file_name(marker))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", place)(error));
            }
            _ => {}
        }
    }
    remove_marker(marker)
}

fn remove_marker(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

fn current_epoch(root: &Path, root_fd: BorrowedFd<'_>) -> Result<Epoch, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let boot_id = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let status =
        rustix::fs::statx(root_fd, c"", AtFlags::EMPTY_PATH, MOUNT_ID_UNIQUE).map_err(Error::file("stat", root))?;
    Ok(Epoch {
        boot_id: boot_id.trim().to_owned(),
        mount_id: status.stx_mnt_id,
    })
}
