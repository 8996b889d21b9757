//! Removes images that nobody uses.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::remove::{Fate, Removed};
use super::{Error, usage};
use crate::Engine;

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
        let reclaimed = self.collect_garbage().await?;
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
        let uses = usage::of_containers(self);
        let mut removed = Vec::new();
        for image in self.named_images()? {
            if filter.scope == PruneScope::Dangling && !image.is_dangling() {
                continue;
            }
            let summary = self.summarize(&image, &uses)?;
            if summary.containers > 0 || !filter.matches(summary.created, &summary.labels) {
                continue;
            }
            removed.extend(self.untag(&image, &image.names, Fate::Goes)?);
        }
        Ok(removed)
    }
}

impl PruneFilter {
    fn matches(&self, created: Option<OffsetDateTime>, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|is| is == value),
            None => labels.contains_key(wanted),
        };
        let is_old = self
            .until
            .is_none_or(|until| created.is_some_and(|created| created < until));
        is_old && self.labels.iter().all(has) && !self.not_labels.iter().any(has)
    }
}
