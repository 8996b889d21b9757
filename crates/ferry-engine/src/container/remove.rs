//! Removes a container: what names it at once, its files in the background.

use std::sync::Arc;

use ferry_runtime::Signal;

use super::{Container, Error, Phase};
use crate::{Engine, folder};

/// What happens to a container that runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Removal {
    /// It stays, and the caller is told.
    #[default]
    RefuseRunning,
    /// It is killed (`--force`).
    Force,
}

impl Engine {
    /// Removes a container. Docker Engine API `ContainerDelete`. Goes on to its end if the caller goes away.
    pub async fn remove_container(&self, wanted: &str, removal: Removal) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        tokio::spawn(async move { engine.remove_found(container, removal).await }).await?
    }

    async fn remove_found(&self, container: Arc<Container>, removal: Removal) -> Result<(), Error> {
        let _lifecycle = container.lifecycle.lock().await;
        match (container.state().phase, removal) {
            (Phase::Removed, _) => return Err(Error::BeingRemoved(container.id.to_string())),
            (Phase::Running, Removal::RefuseRunning) => {
                return Err(Error::Running(container.id.to_string()));
            }
            (Phase::Paused, Removal::RefuseRunning) => {
                return Err(Error::RemovedPaused(container.id.to_string()));
            }
            (Phase::Restarting, Removal::RefuseRunning) => {
                return Err(Error::RemovedRestarting(container.id.to_string()));
            }
            (Phase::Running | Phase::Paused | Phase::Restarting, Removal::Force) => {
                let _ = self.signal_container(&container, Signal::KILL).await;
                self.ended(&container).await;
            }
            (Phase::Created | Phase::Exited, _) => {}
        }
        // A container of `--rm` removes itself when it ends.
        if container.state().phase != Phase::Removed {
            let (dir, gone) = (container.dir(&self.instance), container.clone());
            tokio::task::spawn_blocking(move || gone.remove_record(&dir)).await??;
            self.remove_now(&container);
        }
        Ok(())
    }

    /// Makes a container that does not run invisible, and deletes its files in the background.
    pub(super) fn remove_now(&self, container: &Arc<Container>) {
        self.make_invisible(container);
        let (engine, container) = (self.clone(), container.clone());
        self.reaper.spawn_blocking(move || engine.delete_files(&container));
    }

    pub(super) fn make_invisible(&self, container: &Container) {
        self.containers.remove(container);
        self.announce_removal(container);
    }

    pub(super) fn announce_removal(&self, container: &Container) {
        container.live().waiting.clear();
        container.state.send_modify(|state| state.phase = Phase::Removed);
        self.events
            .send("container", "destroy", container.id.as_str(), container.attributes());
    }

    /// Blocking. What an engine that dies leaves of a container without a record is removed when the next one starts.
    pub(super) fn delete_files(&self, container: &Container) {
        {
            let _files = container.files();
            folder::remove(&container.dir(&self.instance));
        }
        let removed = container
            .snapshot_id()
            .and_then(|snapshot| Ok(self.store.snapshots().remove(&snapshot)?))
            .and_then(|()| Ok(self.store.empty_trash()?));
        if let Err(error) = removed {
            tracing::warn!(container.id = %container.id, %error, "cannot remove the snapshot");
        }
    }
}
