//! Changes what a container may use, while it runs or for its next start.

use std::sync::{Arc, PoisonError};

use ferry_runtime::cgroup::Cgroup;

use super::{ChangeError, Container, Error, Lifted, Limits, OnExit, Phase, Purpose, RestartPolicy};
use crate::Engine;

/// What of a container can be changed after it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjustable {
    /// Limits of its processes together.
    pub limits: Limits,
    /// Whether it is started again when its process ends.
    pub restart: RestartPolicy,
}

/// What is to be changed; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateOptions {
    /// Limits that take the place of others.
    pub limits: Limits,
    /// Limits that are taken away.
    pub lifted: Vec<Lifted>,
    /// Another restart policy.
    pub restart: Option<RestartPolicy>,
}

impl Engine {
    /// Changes limits, wholly or not at all: of a running container at once, of another at its next start.
    /// Gives warnings. Docker Engine API `ContainerUpdate`. Goes on to its end if the caller goes away.
    pub async fn update_container(&self, wanted: &str, mut options: UpdateOptions) -> Result<Vec<String>, Error> {
        let container = self.containers.find(wanted)?;
        let warnings = options.limits.verify(self.abilities(), Purpose::Update)?;
        let engine = self.clone();
        tokio::spawn(async move { engine.update_found(&container, &options).await }).await??;
        Ok(warnings)
    }

    async fn update_found(&self, container: &Arc<Container>, options: &UpdateOptions) -> Result<(), Error> {
        // A start takes the limits that stand when it begins.
        let _lifecycle = container.lifecycle.lock().await;
        let phase = container.state().phase;
        if phase == Phase::Removed {
            return Err(Error::BeingRemoved(container.id.to_string()));
        }
        let before = container.adjustable();
        let cannot = |source| Error::CannotUpdate {
            id: container.id.to_string(),
            source,
        };
        let limits = before
            .limits
            .changed(&options.limits, &options.lifted)
            .map_err(cannot)?;
        let restart = options.restart.unwrap_or(before.restart);
        if container.config.options.host.on_exit == OnExit::Remove && restart != RestartPolicy::No {
            return Err(cannot(ChangeError::RestartOfRemoved));
        }
        let new = Adjustable { limits, restart };
        let group = matches!(phase, Phase::Running | Phase::Paused).then(|| container.cgroup(self));
        let (engine, changing) = (self.clone(), container.clone());
        tokio::task::spawn_blocking(move || engine.adjust(&changing, &before, new, group.as_ref())).await??;
        self.events
            .send("container", "update", container.id.as_str(), container.attributes());
        Ok(())
    }

    /// Blocking. The record comes first: after a crash the next engine puts in force what it says.
    fn adjust(
        &self,
        container: &Container,
        before: &Adjustable,
        new: Adjustable,
        group: Option<&Cgroup>,
    ) -> Result<(), Error> {
        let dir = container.dir(&self.instance);
        container.write_record(&dir, &container.name(), &new)?;
        let changed = group.map_or(Ok(Vec::new()), |group| group.change(&new.limits.since(&before.limits)));
        match changed {
            // A process that has ended meanwhile has no group, and its next start has the new limits.
            Err(source) if group.is_some_and(Cgroup::exists) => {
                container.write_record(&dir, &container.name(), before)?;
                Err(Error::UpdateRefused {
                    id: container.id.to_string(),
                    source: ferry_runtime::Error::from(source),
                })
            }
            Ok(_) | Err(_) => {
                let has_new_policy = new.restart != before.restart;
                *container.adjustable.write().unwrap_or_else(PoisonError::into_inner) = new;
                if has_new_policy {
                    container.keep_life(&dir);
                }
                Ok(())
            }
        }
    }

    /// Blocking. Puts the limits in force that the record of a running container says: an engine that was
    /// killed may have written the one and not the other.
    pub(super) fn enforce_limits(&self, container: &Container) {
        let limits = container.adjustable().limits;
        if limits == Limits::default() {
            return;
        }
        if let Err(error) = container.cgroup(self).change(&limits.since(&Limits::default())) {
            tracing::warn!(container.id = %container.id, %error, "cannot put its limits in force again");
        }
    }
}

impl Container {
    /// What it may use now.
    pub fn adjustable(&self) -> Adjustable {
        self.adjustable.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
