//! Frees what no image, container or build holds any longer.

use ferry_build::BuildCache;
use ferry_store::{Reclaimed, Roots};

use super::Error;
use crate::Engine;

impl Engine {
    /// Removes content and layers that nothing holds. Their room is free soon after this returns.
    pub(crate) async fn collect_garbage(&self) -> Result<Reclaimed, Error> {
        let reclaimed = self.blocking(Engine::collect_garbage_now).await?;
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.empty_trash() {
                tracing::warn!(%error, "cannot delete all that was removed from the store");
            }
        });
        Ok(reclaimed)
    }

    /// The same, and their room is free when this returns.
    pub(crate) async fn free_garbage(&self) -> Result<Reclaimed, Error> {
        self.blocking(|engine| {
            let reclaimed = engine.collect_garbage_now()?;
            engine.store.empty_trash_and_wait()?;
            Ok(reclaimed)
        })
        .await
    }

    fn collect_garbage_now(&self) -> Result<Reclaimed, Error> {
        // What comes to be held after it was looked at is protected by this.
        let _lease = self.store.lease();
        Ok(self.store.gc(&self.held_content()?)?)
    }

    /// What containers and the build cache hold besides images and snapshots.
    fn held_content(&self) -> Result<Roots, Error> {
        let mut roots = Roots::default();
        for container in self.containers.all() {
            roots.blobs.push(container.config.manifest);
            roots.blobs.push(container.config.config_digest);
            roots.layers.extend(&container.config.layers);
        }
        roots.layers.extend(BuildCache::open(&self.store).layers()?);
        Ok(roots)
    }
}
