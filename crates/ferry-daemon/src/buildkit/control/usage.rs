//! `Control.DiskUsage` and `Control.Prune`: the build cache as BuildKit's records.

use bollard_buildkit_proto::moby::buildkit::v1::{PruneRequest, UsageRecord};
use ferry_engine::build::{CacheKind, CachePruneFilter, CachePruneScope, CachedStep, Holder};
use tonic::Status;

use super::failure;
use super::status::timestamp;
use crate::buildkit::BuildKit;

/// What the cache holds.
pub(super) async fn disk_usage(buildkit: &BuildKit) -> Result<Vec<UsageRecord>, Status> {
    let cached = buildkit.engine().build_cache().await;
    let cached = cached.map_err(|error| failure::of_engine(&error.into()))?;
    Ok(cached.into_iter().map(record).collect())
}

/// Empties the cache and tells what went.
pub(super) async fn prune(buildkit: &BuildKit, request: &PruneRequest) -> Result<Vec<UsageRecord>, Status> {
    // Clients without a filter send one that is empty.
    if request.filter.iter().any(|filter| !filter.is_empty()) {
        return Err(Status::unimplemented(
            "filters of the build cache are not supported yet",
        ));
    }
    let scope = if request.all {
        CachePruneScope::All
    } else {
        CachePruneScope::Unused
    };
    let filter = CachePruneFilter {
        scope,
        until: keep(request.keep_duration),
    };
    let pruned = buildkit.engine().prune_build_cache(filter).await;
    let pruned = pruned.map_err(|error| failure::of_engine(&error.into()))?;
    Ok(pruned.steps.into_iter().map(record).collect())
}

/// The moment before which results go: they are kept for so many nanoseconds; 0 keeps none.
fn keep(duration_ns: i64) -> Option<std::time::SystemTime> {
    let duration = u64::try_from(duration_ns).ok().filter(|duration| *duration > 0)?;
    std::time::SystemTime::now().checked_sub(std::time::Duration::from_nanos(duration))
}

fn record(step: CachedStep) -> UsageRecord {
    UsageRecord {
        id: step.key.hex(),
        size: i64::try_from(step.size_bytes).unwrap_or(i64::MAX),
        created_at: Some(timestamp(step.created)),
        usage_count: 1,
        description: step.name,
        record_type: match step.kind {
            CacheKind::Step => "regular",
            CacheKind::Mount => "exec.cachemount",
            CacheKind::Context => "source.local",
        }
        .to_owned(),
        shared: step.holder != Holder::CacheAlone,
        ..UsageRecord::default()
    }
}
