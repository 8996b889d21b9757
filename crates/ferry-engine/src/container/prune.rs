//! Removes containers that do not run.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::{Container, ContainerId, Error, Phase};
use crate::{Engine, label};

/// Which containers go. Source: Docker Engine API `ContainerPrune`, parameter `filters`.
#[derive(Debug, Clone, Default)]
pub struct PruneFilter {
    /// Only those made before this moment.
    pub until: Option<OffsetDateTime>,
    /// `key` or `key=value`: only those with all of these labels.
    pub labels: Vec<String>,
    /// `key` or `key=value`: none with any of these labels.
    pub not_labels: Vec<String>,
}

/// What pruning took away.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// The containers.
    pub removed: Vec<ContainerId>,
    /// Bytes that are free for it.
    pub reclaimed_bytes: u64,
}

impl Engine {
    /// Removes containers that do not run. One that another caller is about to start, stop or remove is left
    /// alone. Docker Engine API `ContainerPrune`.
    pub async fn prune_containers(&self, filter: PruneFilter) -> Result<Pruned, Error> {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || engine.prune_containers_now(&filter)).await?
    }

    fn prune_containers_now(&self, filter: &PruneFilter) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        for container in self.containers.all() {
            if !filter.matches(&container) {
                continue;
            }
            let Ok(_lifecycle) = container.lifecycle.try_lock() else {
                continue;
            };
            if !container.is_idle() {
                continue;
            }
            let size = self.size_of(&container)?;
            container.remove_record(&container.dir(&self.instance))?;
            self.make_invisible(&container);
            self.delete_files(&container);
            pruned.removed.push(container.id.clone());
            pruned.reclaimed_bytes += size.writable_bytes;
        }
        let reclaimed = BTreeMap::from([("reclaimed".to_owned(), pruned.reclaimed_bytes.to_string())]);
        self.events.send("container", "prune", "", reclaimed);
        Ok(pruned)
    }
}

impl Container {
    /// Whether nothing runs in it and nobody has attached to what is to run.
    fn is_idle(self: &Arc<Self>) -> bool {
        let is_awaited = self.live().waiting.iter().any(|(_, client)| !client.is_closed());
        matches!(self.state().phase, Phase::Created | Phase::Exited) && !is_awaited
    }
}

impl PruneFilter {
    fn matches(&self, container: &Container) -> bool {
        let labels = &container.config.labels;
        self.until.is_none_or(|until| container.created_at < until)
            && label::has_all(labels, &self.labels)
            && !label::has_any(labels, &self.not_labels)
    }
}
