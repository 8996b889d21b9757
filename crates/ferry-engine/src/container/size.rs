//! How much room a container takes.

use std::sync::Arc;

use super::{Container, Error};
use crate::Engine;

/// What a container takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerSize {
    /// What it wrote, as du counts it.
    pub writable_bytes: u64,
    /// The same with the unpacked layers of its image.
    pub whole_bytes: u64,
}

impl Engine {
    /// Looks through the files of `containers`. One that goes away meanwhile takes nothing.
    pub async fn container_sizes(&self, containers: Vec<Arc<Container>>) -> Result<Vec<ContainerSize>, Error> {
        let engine = self.clone();
        let look = move || containers.iter().map(|container| engine.size_of(container)).collect();
        tokio::task::spawn_blocking(look).await?
    }

    /// Blocking.
    pub(crate) fn size_of(&self, container: &Container) -> Result<ContainerSize, Error> {
        let writable_bytes = match self.store.snapshots().size(&container.snapshot_id()?) {
            Err(_) if self.containers.find(container.id.as_str()).is_err() => return Ok(ContainerSize::default()),
            measured => measured?,
        };
        let layers = container.config.layers.iter();
        let layer_bytes: u64 = layers.filter_map(|layer| self.store.layers().size(layer).ok()).sum();
        Ok(ContainerSize {
            writable_bytes,
            whole_bytes: writable_bytes + layer_bytes,
        })
    }
}
