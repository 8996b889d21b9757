//! Snapshots of steps: made for one step, gone with it.

use ferry_oci::DiffId;
use ferry_store::{CommitOptions, Durability, Overlay, SnapshotId, Store, Timestamp};

use crate::cache::SNAPSHOT_PREFIX;
use crate::files::{View, Whiteouts};
use crate::{StepFailure, unique};

/// A snapshot that is removed when it is dropped, unless it became a layer.
pub(super) struct StepSnapshot {
    store: Store,
    id: SnapshotId,
    pub(super) overlay: Overlay,
    is_live: bool,
}

impl StepSnapshot {
    /// A writable root on `layers`, bottom first.
    pub(super) fn prepare(store: &Store, layers: &[DiffId]) -> Result<Self, StepFailure> {
        let id: SnapshotId = format!("{SNAPSHOT_PREFIX}{}", unique::name()).parse()?;
        // It is gone after a crash anyway.
        let overlay = store.snapshots().prepare(&id, layers, Durability::Volatile)?;
        Ok(Self {
            store: store.clone(),
            id,
            overlay,
            is_live: true,
        })
    }

    /// Its name.
    pub(super) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// What lies below it.
    pub(super) fn lower(&self) -> Result<View, StepFailure> {
        Ok(View::open(&self.overlay.lower, Whiteouts::Hide)?)
    }

    /// Makes a layer of what changed, with times of at most `epoch`.
    pub(super) fn commit(mut self, epoch: i64) -> Result<DiffId, StepFailure> {
        let options = CommitOptions {
            epoch: Some(Timestamp(epoch)),
        };
        let committed = self.store.snapshots().commit(&self.id, &options)?;
        self.is_live = false;
        Ok(committed.diff_id)
    }
}

impl Drop for StepSnapshot {
    fn drop(&mut self) {
        if self.is_live
            && let Err(error) = self.store.snapshots().remove(&self.id)
        {
            tracing::warn!(%error, snapshot = %self.id, "could not remove a step's snapshot");
        }
    }
}
