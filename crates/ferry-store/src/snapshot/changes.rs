//! Lists what a container changed: the upper directory against the layers below it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

use super::parents::Stack;
use super::{SnapshotId, Snapshots};
use crate::Error;
use crate::layer::diff::is_whiteout_inode;
use crate::layer::directory;
use crate::layer::stored;
use crate::layer::tree::{beneath, join, kernel};

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The layers have it, and it is different now, or something in it is.
    Modified,
    /// No layer has it.
    Added,
    /// The layers have it, and it is gone, with all that was in it.
    Deleted,
}

/// A path that is not as in the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path, absolute.
    pub path: Vec<u8>,
    /// What became of it.
    pub kind: ChangeKind,
}

/// Sorted by path. What goes away while it is looked at is left out.
pub(super) fn changes(snapshots: &Snapshots<'_>, id: &SnapshotId) -> Result<Vec<Change>, Error> {
    let record = snapshots.record(id)?;
    let upper = stored::open_folder(&snapshots.overlay(id, &record).upper)?;
    let below = Stack::open(snapshots.store, &record.layers)?;
    let mut changes = Vec::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let itself: &[u8] = if path.is_empty() { b"." } else { &path };
        let directory = match beneath(upper.as_fd(), itself, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            opened => opened.map_err(kernel(&path, "open"))?,
        };
        let mut change = |path: &[u8], kind| {
            let path = [b"/", path].concat();
            changes.push(Change { path, kind });
        };
        let mut seen = BTreeSet::new();
        for entry in Dir::read_from(&directory).map_err(kernel(&path, "list"))? {
            let entry = entry.map_err(kernel(&path, "list"))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let child = join(&path, name.to_bytes());
            let status = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                found => found.map_err(kernel(&child, "stat"))?,
            };
            seen.insert(name.to_bytes().to_vec());
            if is_whiteout_inode(&status) {
                change(&child, ChangeKind::Deleted);
                continue;
            }
            let was_there = below.has_entry(&path, name.to_bytes())?;
            let kind = if was_there {
                ChangeKind::Modified
            } else {
                ChangeKind::Added
            };
            change(&child, kind);
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                pending.push(child);
            }
        }
        // Of a directory that was made anew nothing shows through.
        if directory::is_opaque(directory.as_fd()) {
            for name in below.names(&path)?.difference(&seen) {
                change(&join(&path, name), ChangeKind::Deleted);
            }
        }
    }
    changes.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}
