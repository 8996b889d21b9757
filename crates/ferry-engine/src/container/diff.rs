//! Lists what a container changed in its file system.

use ferry_store::Change;

use super::Error;
use crate::Engine;

impl Engine {
    /// What is not as in the container's image, sorted by path. Docker Engine API `ContainerChanges`.
    pub async fn container_changes(&self, wanted: &str) -> Result<Vec<Change>, Error> {
        let container = self.containers.find(wanted)?;
        let snapshot = container.snapshot_id()?;
        let engine = self.clone();
        let look = move || Ok(engine.store.snapshots().changes(&snapshot)?);
        tokio::task::spawn_blocking(look).await?
    }
}
