//! From a snapshot's changes to a layer.

use std::fs;
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

use ferry_oci::DiffId;

use super::parents::Stack;
use super::{SnapshotId, Snapshots};
use crate::layer::diff::{self, DiffOptions, Hashing, Lower, Naming, Settle, Top, Written};
use crate::layer::stored::{self, LayerRecord, Source, Staging};
use crate::layer::unpack_written;
use crate::{Error, Timestamp};

/// How a layer is made of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Modification times later than this become this, for the same digest on any day; `None` keeps
    /// them. Fractions of seconds always go.
    pub epoch: Option<Timestamp>,
}

/// The layer that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// Entries of its tar; 0 if nothing had changed.
    pub entries: u64,
    /// Bytes of its files' contents.
    pub size_bytes: u64,
}

/// The layers that a snapshot stands on, asked whether hiding a directory means anything.
struct Below(Stack);

impl Lower for Below {
    fn has_directory(&self, path: &[u8]) -> Result<bool, Error> {
        self.0.has_directory(path)
    }
}

pub(super) fn commit(snapshots: &Snapshots<'_>, id: &SnapshotId, options: &CommitOptions) -> Result<Committed, Error> {
    let store = snapshots.store;
    let record = snapshots.record(id)?;
    let upper_path = snapshots.overlay(id, &record).upper;
    let upper = stored::open_folder(&upper_path)?;
    let below = Below(Stack::open(store, &record.layers)?);
    let options = DiffOptions {
        clamp: options.epoch,
        settle: Settle::Apply,
        top: top(&record.top, upper.as_fd())?,
        lower: Some(&below),
        naming: Naming::Layer,
    };
    let mut hashing = BufWriter::with_capacity(256 << 10, Hashing::new());
    let written = diff::write(upper.as_fd(), &mut hashing, &options)?;
    hashing.flush().map_err(Error::Output)?;
    let diff_id = DiffId(hashing.get_ref().clone().finish());
    if !store.layers().has(&diff_id) {
        let staging = Staging::without_tree(store)?;
        fs::rename(&upper_path, staging.tree()).map_err(Error::file("move", &upper_path))?;
        staging.publish(&diff_id, &layer_record(written, options.top))?;
    }
    snapshots.remove(id)?;
    Ok(committed(diff_id, written))
}

pub(super) fn capture(snapshots: &Snapshots<'_>, id: &SnapshotId, options: &CommitOptions) -> Result<Committed, Error> {
    let store = snapshots.store;
    let record = snapshots.record(id)?;
    let upper = stored::open_folder(&snapshots.overlay(id, &record).upper)?;
    let below = Below(Stack::open(store, &record.layers)?);
    let options = DiffOptions {
        clamp: options.epoch,
        settle: Settle::Leave,
        top: top(&record.top, upper.as_fd())?,
        lower: Some(&below),
        naming: Naming::Layer,
    };
    let staging = Staging::new(store)?;
    let (diff_id, written) = unpack_written(&staging, |out| diff::write(upper.as_fd(), out, &options))?;
    staging.publish(&diff_id, &layer_record(written, options.top))?;
    Ok(committed(diff_id, written))
}

fn top(before: &super::parents::TopMetadata, upper: std::os::fd::BorrowedFd<'_>) -> Result<Top, Error> {
    Ok(if before.differs(upper)? { Top::Emit } else { Top::Omit })
}

fn layer_record(written: Written, top: Top) -> LayerRecord {
    LayerRecord {
        size_bytes: written.size_bytes,
        entries: written.entries,
        implied: Vec::new(),
        is_top_opaque: false,
        source: Source::Tree {
            describes_top: top == Top::Emit,
        },
    }
}

fn committed(diff_id: DiffId, written: Written) -> Committed {
    Committed {
        diff_id,
        entries: written.entries,
        size_bytes: written.size_bytes,
    }
}
