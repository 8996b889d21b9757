//! The files of a result, for clients that want no image.

use std::io::Write;
use std::path::PathBuf;

use ferry_build::{BuildResult, StepFailure};
use ferry_oci::DiffId;
use ferry_store::{Lease, Store};

use crate::Engine;

/// The files of a result; with several platforms, each in a folder of its own. Kept as long as this lives.
#[derive(Debug)]
pub struct BuiltFiles {
    store: Store,
    layer: DiffId,
    _lease: Lease,
}

impl Engine {
    /// Brings the files of `result` together.
    pub async fn built_files(&self, result: &BuildResult) -> Result<BuiltFiles, StepFailure> {
        let store = self.store.clone();
        let lease = store.lease();
        let images = result.images.clone();
        let flattened = tokio::task::spawn_blocking({
            let store = store.clone();
            move || ferry_build::flatten(&store, &images)
        });
        let layer = flattened
            .await
            .map_err(|error| ferry_build::PortError::new(ferry_build::ErrorClass::Internal, error))??;
        Ok(BuiltFiles {
            store,
            layer,
            _lease: lease,
        })
    }
}

impl BuiltFiles {
    /// Writes them as a tar. Blocks.
    pub fn write_tar(&self, out: impl Write) -> Result<(), ferry_store::Error> {
        self.store.layers().write_tar(&self.layer, out)
    }

    /// The directory that holds them; it is only to be read.
    pub fn directory(&self) -> Result<PathBuf, ferry_store::Error> {
        self.store.layers().path(&self.layer)
    }
}
