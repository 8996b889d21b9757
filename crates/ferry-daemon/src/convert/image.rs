//! Images: the engine's answers as Docker's API words them.

use std::collections::HashMap;

use bollard_stubs::models::{
    HealthConfig, ImageConfig, ImageDeleteResponseItem, ImageHistoryResponseItem, ImageInspect, ImageInspectMetadata,
    ImageInspectRootFs, ImageManifestSummary, ImageManifestSummaryImageData, ImageManifestSummaryImageDataSize,
    ImageManifestSummaryKindEnum, ImageManifestSummarySize, ImageSummary, OciDescriptor, OciPlatform,
};
use ferry_engine::image::{self, ImageDetail, ImageHistory, Removed, Variant};
use ferry_oci::{ContainerConfig, Descriptor, Platform};
use time::OffsetDateTime;

use super::time::rfc3339;
use crate::error::ApiError;

/// Whether an answer lists the platforms of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manifests {
    Shown,
    Left,
}

/// What Docker puts where there is no parent.
const NO_PARENT: &str = "";
/// What Docker puts where a number was not computed.
const NOT_COMPUTED: i64 = -1;
/// The id of steps whose own image never existed.
const MISSING: &str = "<missing>";

/// A row of the list.
pub(crate) fn summary(found: &image::ImageSummary, manifests: Manifests) -> ImageSummary {
    ImageSummary {
        id: found.id.to_string(),
        parent_id: NO_PARENT.to_owned(),
        repo_tags: found.repo_tags.clone(),
        repo_digests: found.repo_digests.clone(),
        created: found.created.map_or(0, OffsetDateTime::unix_timestamp),
        size: bytes(found.size_bytes),
        shared_size: NOT_COMPUTED,
        labels: found.labels.clone().into_iter().collect(),
        containers: bytes(found.containers),
        manifests: (manifests == Manifests::Shown).then(|| manifest_list(&found.variants)),
        descriptor: Some(descriptor(&found.target)),
    }
}

/// All of one image.
pub(crate) fn detail(found: &ImageDetail, manifests: Manifests) -> ImageInspect {
    let config = &found.image.config;
    let tagged_at = OffsetDateTime::from_unix_timestamp(found.tagged_at).ok();
    ImageInspect {
        id: Some(found.summary.id.to_string()),
        descriptor: Some(descriptor(&found.summary.target)),
        manifests: (manifests == Manifests::Shown).then(|| manifest_list(&found.summary.variants)),
        repo_tags: Some(found.summary.repo_tags.clone()),
        repo_digests: Some(found.summary.repo_digests.clone()),
        comment: Some(comment(config)),
        created: config.created.clone(),
        author: Some(config.author.clone().unwrap_or_default()),
        config: Some(container_defaults(&config.config)),
        architecture: Some(config.architecture.clone()),
        variant: config.variant.clone(),
        os: Some(config.os.clone()),
        os_version: config.os_version.clone(),
        size: Some(bytes(found.size_bytes)),
        root_fs: Some(ImageInspectRootFs {
            typ: config.rootfs.kind.clone(),
            layers: Some(config.rootfs.diff_ids.iter().map(ToString::to_string).collect()),
        }),
        metadata: Some(ImageInspectMetadata {
            last_tag_time: tagged_at.map(rfc3339),
        }),
        ..ImageInspect::default()
    }
}

/// The steps of an image, last one first.
pub(crate) fn history(found: &ImageHistory) -> Vec<ImageHistoryResponseItem> {
    let mut items: Vec<ImageHistoryResponseItem> = found
        .steps
        .iter()
        .rev()
        .map(|entry| ImageHistoryResponseItem {
            id: MISSING.to_owned(),
            created: image::created(entry.step.created.as_deref()).map_or(0, OffsetDateTime::unix_timestamp),
            created_by: entry.step.created_by.clone().unwrap_or_default(),
            tags: Vec::new(),
            size: bytes(entry.size_bytes),
            comment: entry.step.comment.clone().unwrap_or_default(),
        })
        .collect();
    if let Some(last) = items.first_mut() {
        last.id = found.summary.id.to_string();
        last.tags = found.summary.repo_tags.clone();
    }
    items
}

/// What a removal took away.
pub(crate) fn removed(removed: Vec<Removed>) -> Vec<ImageDeleteResponseItem> {
    removed
        .into_iter()
        .map(|what| match what {
            Removed::Untagged(name) => ImageDeleteResponseItem {
                untagged: Some(name),
                deleted: None,
            },
            Removed::Deleted(id) => ImageDeleteResponseItem {
                untagged: None,
                deleted: Some(id.to_string()),
            },
        })
        .collect()
}

/// A descriptor.
pub(crate) fn descriptor(descriptor: &Descriptor) -> OciDescriptor {
    OciDescriptor {
        media_type: Some(descriptor.media_type().to_string()),
        digest: Some(descriptor.digest().to_string()),
        size: Some(bytes(descriptor.size())),
        ..OciDescriptor::default()
    }
}

/// A platform.
pub(crate) fn platform(platform: &Platform) -> OciPlatform {
    OciPlatform {
        architecture: Some(platform.architecture.clone()),
        os: Some(platform.os.clone()),
        os_version: platform.os_version.clone(),
        os_features: Some(platform.os_features.clone()).filter(|features| !features.is_empty()),
        variant: platform.variant.clone(),
    }
}

/// Go's `strconv.ParseBool`, which filters use.
pub(crate) fn truth(text: &str) -> Result<bool, ApiError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ApiError::bad_request(format!(
            "invalid filter value {text:?}: true or false was expected"
        ))),
    }
}

fn manifest_list(variants: &[Variant]) -> Vec<ImageManifestSummary> {
    variants
        .iter()
        .map(|variant| ImageManifestSummary {
            id: variant.manifest.digest().to_string(),
            descriptor: descriptor(&variant.manifest),
            available: variant.is_available,
            size: ImageManifestSummarySize {
                total: bytes(variant.content_bytes + variant.unpacked_bytes),
                content: bytes(variant.content_bytes),
            },
            kind: Some(ImageManifestSummaryKindEnum::IMAGE),
            image_data: Some(ImageManifestSummaryImageData {
                platform: platform(&variant.platform),
                containers: variant.containers.clone(),
                size: ImageManifestSummaryImageDataSize {
                    unpacked: bytes(variant.unpacked_bytes),
                },
            }),
            attestation_data: None,
        })
        .collect()
}

/// Docker shows the remark of the last step as the image's own.
fn comment(config: &ferry_oci::ImageConfig) -> String {
    let last = config.history.last();
    last.and_then(|step| step.comment.clone()).unwrap_or_default()
}

fn container_defaults(config: &ContainerConfig) -> ImageConfig {
    let keys = |map: &std::collections::BTreeMap<String, serde_json::Value>| {
        (!map.is_empty()).then(|| map.keys().cloned().collect::<Vec<String>>())
    };
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    ImageConfig {
        user: text(&config.user),
        exposed_ports: keys(&config.exposed_ports),
        env: Some(config.env.clone()),
        cmd: config.cmd.clone(),
        healthcheck: config.healthcheck.as_ref().map(|check| HealthConfig {
            test: Some(check.test.clone()),
            interval: Some(check.interval_ns),
            timeout: Some(check.timeout_ns),
            retries: Some(check.retries),
            start_period: Some(check.start_period_ns),
            start_interval: Some(check.start_interval_ns),
        }),
        args_escaped: config.args_escaped,
        volumes: keys(&config.volumes),
        working_dir: text(&config.working_dir),
        entrypoint: config.entrypoint.clone(),
        on_build: Some(config.on_build.clone()).filter(|triggers| !triggers.is_empty()),
        labels: labels(config),
        stop_signal: config.stop_signal.clone(),
        shell: config.shell.clone(),
    }
}

fn labels(config: &ContainerConfig) -> Option<HashMap<String, String>> {
    (!config.labels.is_empty()).then(|| config.labels.clone().into_iter().collect())
}

/// A count of bytes as the API has it.
pub(crate) fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
