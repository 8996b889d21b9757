//! Removes images that nobody uses.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::remove::{Fate, Removal, Removed};
use super::{Error, usage};
use crate::{Engine, label};

/// Which unused images go. Source: Docker Engine API `ImagePrune`, parameter `filters`.
#[derive(Debug, Clone, Default)]
pub struct PruneFilter {
    /// Those with names, too.
    pub scope: PruneScope,
    /// Only those made before this moment.
    pub until: Option<OffsetDateTime>,
    /// `key` or `key=value`: only those with all of these labels.
    pub labels: Vec<String>,
    /// `key` or `key=value`: none with any of these labels.
    pub not_labels: Vec<String>,
}

/// Which unused images are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PruneScope {
    /// Those without a name.
    #[default]
    Dangling,
    /// All.
    All,
}

/// What pruning took away.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Names and images.
    pub removed: Vec<Removed>,
    /// Bytes that are free for it.
    pub reclaimed_bytes: u64,
}

impl Engine {
    /// Removes images that no container uses, then all content that nothing holds.
    pub async fn prune_images(&self, filter: PruneFilter) -> Result<Pruned, Error> {
        let removed = self.blocking(move |engine| engine.prune_images_now(&filter)).await?;
        let reclaimed = self.free_garbage().await?;
        self.events.send(
            "image",
            "prune",
            "",
            BTreeMap::from([("reclaimed".to_owned(), reclaimed.size_bytes.to_string())]),
        );
        Ok(Pruned {
            removed,
            reclaimed_bytes: reclaimed.size_bytes,
        })
    }

    fn prune_images_now(&self, filter: &PruneFilter) -> Result<Vec<Removed>, Error> {
        let mut removed = Vec::new();
        for image in self.named_images()? {
            let summary = self.summarize(&image, &usage::Uses::default())?;
            if !filter.matches(summary.created, &summary.labels) {
                continue;
            }
            let names = self.hold_names();
            // It may have got a name or a container meanwhile, or be gone.
            let Some(image) = self.named_images()?.into_iter().find(|now| now.id == image.id) else {
                continue;
            };
            let is_spared = filter.scope == PruneScope::Dangling && !image.is_dangling();
            let holder = self.holder(&image, &usage::of_containers(self), Removal::Careful)?;
            if !is_spared && holder.is_none() {
                removed.extend(self.untag(&names, &image, &image.names, Fate::Goes)?);
            }
        }
        Ok(removed)
    }
}

impl PruneFilter {
    fn matches(&self, created: Option<OffsetDateTime>, labels: &BTreeMap<String, String>) -> bool {
        let is_old = self
            .until
            .is_none_or(|until| created.is_some_and(|created| created < until));
        is_old && label::has_all(labels, &self.labels) && !label::has_any(labels, &self.not_labels)
    }
}
