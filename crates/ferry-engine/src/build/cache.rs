//! The build cache: what it holds, and how it is emptied.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::SystemTime;

use ferry_build::{BuildCache, CacheEntry};
use ferry_oci::{DiffId, Digest};
use ferry_store::Presence;

use crate::Engine;
use crate::image::Error;

/// Something that is kept for later builds.
#[derive(Debug, Clone)]
pub struct CachedStep {
    /// What it is.
    pub kind: CacheKind,
    /// What went into it.
    pub key: Digest,
    /// Its name when it was made.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
    /// Bytes of the layer that it made, or of the directory that it is.
    pub size_bytes: u64,
    /// Who else has the layer.
    pub holder: Holder,
}

/// What is kept for later builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// The result of a step.
    Step,
    /// What steps keep in a `RUN --mount=type=cache`.
    Mount,
    /// A client's files.
    Context,
}

/// Who has a cached layer besides the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody: it goes with the cache.
    CacheAlone,
    /// An image.
    Image,
    /// Another step of the cache that made the same layer, and for which it is counted.
    Step,
}

/// Which results are forgotten.
#[derive(Debug, Clone, Default)]
pub struct CachePruneFilter {
    /// How much is looked at.
    pub scope: CachePruneScope,
    /// Only those made before this moment.
    pub until: Option<SystemTime>,
}

/// How much of the cache is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CachePruneScope {
    /// Results that no image has.
    #[default]
    Unused,
    /// All, with the contents of cache mounts and the build contexts that are kept.
    All,
}

/// What was forgotten.
#[derive(Debug, Clone, Default)]
pub struct CachePruned {
    /// Steps, with the bytes of the layers that went with them.
    pub steps: Vec<CachedStep>,
    /// Bytes that are free for it.
    pub reclaimed_bytes: u64,
}

impl Engine {
    /// What the build cache holds.
    pub async fn build_cache(&self) -> Result<Vec<CachedStep>, Error> {
        self.blocking(Engine::build_cache_now).await
    }

    /// Forgets results of builds and frees what only they held. Builds that run are not disturbed.
    pub async fn prune_build_cache(&self, filter: CachePruneFilter) -> Result<CachePruned, Error> {
        let steps = self.blocking(move |engine| engine.forget_cached_steps(&filter)).await?;
        let reclaimed = self.free_garbage().await?;
        let folders = steps.iter().filter(|cached| cached.kind != CacheKind::Step);
        let reclaimed_bytes = reclaimed.size_bytes + folders.map(|folder| folder.size_bytes).sum::<u64>();
        self.events.send(
            "builder",
            "prune",
            "",
            BTreeMap::from([("reclaimed".to_owned(), reclaimed_bytes.to_string())]),
        );
        Ok(CachePruned { steps, reclaimed_bytes })
    }

    fn build_cache_now(&self) -> Result<Vec<CachedStep>, Error> {
        let of_images = self.layers_of_images()?;
        let mut entries = BuildCache::open(&self.store).entries()?;
        entries.sort_by_key(|entry| (entry.created, entry.key));
        let mut seen = HashSet::new();
        let steps = entries.into_iter().map(|entry| {
            let holder = match entry.layer {
                Some(layer) if of_images.contains(&layer) => Holder::Image,
                Some(layer) if !seen.insert(layer) => Holder::Step,
                _ => Holder::CacheAlone,
            };
            self.describe(entry, holder)
        });
        let mut cached: Vec<CachedStep> = steps.collect();
        cached.extend(self.cached_folders()?);
        Ok(cached)
    }

    /// Cache mounts and contexts.
    fn cached_folders(&self) -> Result<Vec<CachedStep>, Error> {
        let folder = |kind, key, path: &Path, created, name: &str| CachedStep {
            kind,
            key,
            name: name.to_owned(),
            created,
            // One that goes away meanwhile takes nothing.
            size_bytes: ferry_store::disk_usage(path).unwrap_or(0),
            holder: Holder::CacheAlone,
        };
        let mounts = BuildCache::open(&self.store).mounts()?.into_iter().map(|mount| {
            let modified = mount.path.metadata().and_then(|metadata| metadata.modified());
            let created = modified.unwrap_or(SystemTime::UNIX_EPOCH);
            folder(CacheKind::Mount, mount.key, &mount.path, created, "cache mount of RUN")
        });
        let contexts = self.contexts.kept().into_iter();
        let contexts =
            contexts.map(|(key, path, used)| folder(CacheKind::Context, key, &path, used, "build context of a client"));
        Ok(mounts.chain(contexts).collect())
    }

    fn describe(&self, entry: CacheEntry, holder: Holder) -> CachedStep {
        let size = entry.layer.and_then(|layer| self.store.layers().size(&layer).ok());
        CachedStep {
            kind: CacheKind::Step,
            key: entry.key,
            name: entry.name,
            created: entry.created,
            size_bytes: size.unwrap_or(0),
            holder,
        }
    }

    fn forget_cached_steps(&self, filter: &CachePruneFilter) -> Result<Vec<CachedStep>, Error> {
        let cache = BuildCache::open(&self.store);
        let mut forgotten = self.build_cache_now()?;
        if filter.scope == CachePruneScope::All && filter.until.is_none() {
            cache.clear()?;
            self.contexts.clear();
            let left: Vec<Digest> = self.cached_folders()?.into_iter().map(|folder| folder.key).collect();
            forgotten.retain(|cached| cached.kind == CacheKind::Step || !left.contains(&cached.key));
            return Ok(forgotten);
        }
        forgotten.retain(|step| {
            let is_old = filter.until.is_none_or(|until| step.created < until);
            let is_meant = filter.scope == CachePruneScope::All || step.holder != Holder::Image;
            step.kind == CacheKind::Step && is_old && is_meant
        });
        for step in &forgotten {
            cache.remove(&step.key)?;
        }
        Ok(forgotten)
    }

    fn layers_of_images(&self) -> Result<HashSet<DiffId>, Error> {
        let mut layers = HashSet::new();
        for image in self.named_images()? {
            for variant in self.store.platforms(&image.target)? {
                if variant.presence != Presence::Absent {
                    let variant = self.store.image(&variant.descriptor, &variant.platform)?;
                    layers.extend(variant.diff_ids());
                }
            }
        }
        Ok(layers)
    }
}
