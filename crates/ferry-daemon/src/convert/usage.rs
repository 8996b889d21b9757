//! What takes room, in Docker's shapes: that of API 1.51 and before, and beside it that of 1.52 and later.

use bollard_stubs::models::{
    BuildCache, BuildCacheDiskUsage, BuildCacheTypeEnum, ContainerSummary, ContainersDiskUsage, ImageSummary,
    ImagesDiskUsage, SystemDataUsageResponse, VolumesDiskUsage,
};
use ferry_engine::Instance;
use ferry_engine::build::{CacheKind, CachedStep, Holder};
use ferry_engine::system::{ContainerUsage, DiskUsage, ImageUsage, ImagesUsage, own_bytes};
use serde::Serialize;
use serde_json::{Value, json};

use super::image::{Manifests, bytes};

/// Whether the newer shape lists what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Items {
    Listed,
    Counted,
}

/// Both shapes in one: clients read the one that they know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Usage {
    layers_size: i64,
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerSummary>>,
    volumes: Option<Vec<Value>>,
    build_cache: Option<Vec<BuildCache>>,
    #[serde(flatten)]
    newer: SystemDataUsageResponse,
}

/// The answer. Docker Engine API `SystemDataUsage`.
pub(crate) fn usage(found: &DiskUsage, items: Items, instance: &Instance) -> Usage {
    let images = found.images.as_ref().map(image_list);
    let containers = found.containers.as_ref().map(|list| {
        let rows = list.iter().map(|usage| container_row(usage, instance));
        rows.collect::<Vec<_>>()
    });
    let build_cache = found.build_cache.as_ref().map(|steps| {
        let records = steps.iter().map(record);
        records.collect::<Vec<_>>()
    });
    Usage {
        layers_size: found.images.as_ref().map_or(0, |images| bytes(images.total_bytes)),
        newer: SystemDataUsageResponse {
            image_usage: found
                .images
                .as_ref()
                .map(|usage| of_images(usage, listed(images.as_deref(), items))),
            container_usage: found
                .containers
                .as_ref()
                .map(|usage| of_containers(usage, listed(containers.as_deref(), items))),
            volume_usage: Some(VolumesDiskUsage {
                active_count: Some(0),
                total_count: Some(0),
                reclaimable: Some(0),
                total_size: Some(0),
                items: None,
            }),
            build_cache_usage: found
                .build_cache
                .as_ref()
                .map(|steps| of_build_cache(steps, listed(build_cache.as_deref(), items))),
        },
        images,
        containers,
        volumes: Some(Vec::new()),
        build_cache,
    }
}

fn listed<T: Serialize>(rows: Option<&[T]>, items: Items) -> Option<Vec<Value>> {
    let rows = rows.filter(|_| items == Items::Listed)?;
    Some(rows.iter().map(|row| json!(row)).collect())
}

fn of_images(usage: &ImagesUsage, items: Option<Vec<Value>>) -> ImagesDiskUsage {
    let active = usage.images.iter().filter(|image| image.summary.containers > 0);
    ImagesDiskUsage {
        active_count: Some(count(active)),
        total_count: Some(count(usage.images.iter())),
        reclaimable: Some(bytes(usage.reclaimable_bytes)),
        total_size: Some(bytes(usage.total_bytes)),
        items,
    }
}

fn of_containers(usage: &[ContainerUsage], items: Option<Vec<Value>>) -> ContainersDiskUsage {
    let is_active = |usage: &&ContainerUsage| usage.container.state().is_running();
    let size = |usage: &ContainerUsage| usage.size.writable_bytes;
    let idle = usage.iter().filter(|usage| !is_active(usage));
    ContainersDiskUsage {
        active_count: Some(count(usage.iter().filter(is_active))),
        total_count: Some(count(usage.iter())),
        reclaimable: Some(bytes(idle.map(size).sum())),
        total_size: Some(bytes(usage.iter().map(size).sum())),
        items,
    }
}

fn of_build_cache(steps: &[CachedStep], items: Option<Vec<Value>>) -> BuildCacheDiskUsage {
    let own = bytes(own_bytes(steps));
    BuildCacheDiskUsage {
        // Which results a build that runs will ask for is not known.
        active_count: Some(0),
        total_count: Some(count(steps.iter())),
        reclaimable: Some(own),
        total_size: Some(own),
        items,
    }
}

fn image_list(usage: &ImagesUsage) -> Vec<ImageSummary> {
    let row = |image: &ImageUsage| ImageSummary {
        shared_size: bytes(image.shared_bytes),
        ..super::image::summary(&image.summary, Manifests::Left)
    };
    usage.images.iter().map(row).collect()
}

fn container_row(usage: &ContainerUsage, instance: &Instance) -> ContainerSummary {
    super::container::summary(&usage.container, Some(usage.size), instance)
}

fn record(step: &CachedStep) -> BuildCache {
    let created = super::time::rfc3339(step.created.into());
    BuildCache {
        id: Some(step.key.hex()),
        typ: Some(match step.kind {
            CacheKind::Step => BuildCacheTypeEnum::REGULAR,
            CacheKind::Mount => BuildCacheTypeEnum::EXEC_CACHEMOUNT,
            CacheKind::Context => BuildCacheTypeEnum::SOURCE_LOCAL,
        }),
        description: Some(step.name.clone()),
        in_use: Some(false),
        shared: Some(step.holder != Holder::CacheAlone),
        size: Some(bytes(step.size_bytes)),
        created_at: Some(created),
        usage_count: Some(1),
        ..BuildCache::default()
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}
