//! Pauses a container and lets it go on: its control group is frozen and thawed.

use std::sync::Arc;

use super::{Container, Error, Phase};
use crate::Engine;

impl Engine {
    /// Freezes all processes of a container. Docker Engine API `ContainerPause`. Goes on to its end if the
    /// caller goes away.
    pub async fn pause_container(&self, wanted: &str) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        tokio::spawn(async move { engine.freeze(&container).await }).await?
    }

    /// Lets the processes of a paused container go on. Docker Engine API `ContainerUnpause`. Goes on to its
    /// end if the caller goes away.
    pub async fn unpause_container(&self, wanted: &str) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        tokio::spawn(async move { engine.thaw(&container).await }).await?
    }

    pub(super) async fn freeze(&self, container: &Arc<Container>) -> Result<(), Error> {
        let _freezing = container.freezing.write().await;
        match container.state().phase {
            Phase::Running => {}
            Phase::Paused => return Err(Error::AlreadyPaused(container.id.to_string())),
            Phase::Restarting => return Err(Error::Restarting(container.id.to_string())),
            _ => return Err(Error::NotRunning(container.id.to_string())),
        }
        let cgroup = container.cgroup(self);
        let frozen = tokio::task::spawn_blocking(move || cgroup.freeze()).await?;
        if !change_phase(container, Phase::Running, Phase::Paused) {
            // It ended meanwhile, and its group with it.
            return Err(Error::NotRunning(container.id.to_string()));
        }
        if let Err(error) = frozen {
            change_phase(container, Phase::Paused, Phase::Running);
            return Err(ferry_runtime::Error::from(error).into());
        }
        container.end_health();
        self.events
            .send("container", "pause", container.id.as_str(), container.attributes());
        Ok(())
    }

    pub(super) async fn thaw(&self, container: &Arc<Container>) -> Result<(), Error> {
        let _freezing = container.freezing.write().await;
        match container.state().phase {
            Phase::Paused => {}
            Phase::Running => return Err(Error::NotPaused(container.id.to_string())),
            _ => return Err(Error::NotRunning(container.id.to_string())),
        }
        let cgroup = container.cgroup(self);
        let thawed = tokio::task::spawn_blocking(move || cgroup.thaw()).await?;
        if let Err(error) = thawed
            && container.state.borrow().is_paused()
        {
            return Err(ferry_runtime::Error::from(error).into());
        }
        // Before it can end of a signal that waited for this: the state would be overwritten else.
        change_phase(container, Phase::Paused, Phase::Running);
        self.events
            .send("container", "unpause", container.id.as_str(), container.attributes());
        Ok(())
    }

    /// Whether an engine before this one paused a container. What it froze only in part, or for a commit, goes on.
    pub(super) fn was_paused(&self, container: &Container) -> bool {
        let cgroup = container.cgroup(self);
        let mark = self.commit_mark(container);
        let is_frozen = !mark.exists() && cgroup.is_frozen().unwrap_or(false);
        crate::folder::remove_file(&mark);
        if !is_frozen {
            let _ = cgroup.thaw();
        }
        is_frozen
    }
}

/// Says whether the state was `from`, and is `to` now.
fn change_phase(container: &Container, from: Phase, to: Phase) -> bool {
    container.state.send_if_modified(|state| {
        let is_due = state.phase == from;
        if is_due {
            state.phase = to;
        }
        is_due
    })
}
