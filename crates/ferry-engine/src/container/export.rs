//! Writes a container's file system as a tar.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use ferry_store::{Lease, archive};

use super::Error;
use crate::Engine;

/// A container's file system, ready to be written.
#[derive(Debug)]
pub struct Export {
    root: OwnedFd,
    _lease: Lease,
}

impl Engine {
    /// Opens a container's file system as its image and what it wrote make it, without what is mounted in
    /// it; whether it runs makes no difference. Docker Engine API `ContainerExport`.
    pub async fn export_container(&self, wanted: &str) -> Result<Export, Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        let opened = container.clone();
        let open = move || -> Result<Export, Error> {
            let lease = engine.store.lease();
            let overlay = engine.store.snapshots().get(&opened.snapshot_id()?)?.overlay;
            Ok(Export {
                root: ferry_runtime::open_layers(&overlay.lower, &overlay.upper)?,
                _lease: lease,
            })
        };
        let export = tokio::task::spawn_blocking(open).await??;
        self.events
            .send("container", "export", container.id.as_str(), container.attributes());
        Ok(export)
    }
}

impl Export {
    /// Writes the tar. Blocking. After an error, what was written is to be thrown away.
    pub fn write(&self, out: impl Write) -> Result<(), Error> {
        Ok(archive::write_tree(self.root.as_fd(), out)?)
    }
}
