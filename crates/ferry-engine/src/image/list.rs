//! Lists images.

use std::collections::BTreeMap;

use ferry_oci::{Descriptor, Digest, Platform, Reference};
use ferry_store::{Image, Presence};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::names::NamedImage;
use super::usage::{self, Uses};
use super::{Error, pattern};
use crate::{Engine, label};

/// An image as a list shows it.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// The digest of its index or manifest.
    pub id: Digest,
    /// The index or manifest.
    pub target: Descriptor,
    /// `name:tag`, as people write them.
    pub repo_tags: Vec<String>,
    /// `name@digest`, as people write them.
    pub repo_digests: Vec<String>,
    /// When it was made; `None` when its config does not say.
    pub created: Option<OffsetDateTime>,
    /// Bytes on disk: unpacked layers and blobs of all platforms that are here, each counted once.
    pub size_bytes: u64,
    /// Labels of the variant that this host would run.
    pub labels: BTreeMap<String, String>,
    /// Containers made from it.
    pub containers: u64,
    /// Its platforms.
    pub variants: Vec<Variant>,
}

/// One platform of an image.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The platform.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Descriptor,
    /// Whether all of it is here.
    pub is_available: bool,
    /// Bytes of its compressed content that are here.
    pub content_bytes: u64,
    /// Bytes of its unpacked layers.
    pub unpacked_bytes: u64,
    /// Ids of containers made from it.
    pub containers: Vec<String>,
}

/// Which images a list holds. Source: Docker Engine API `ImageList`, parameter `filters`; values of one
/// key are alternatives (except labels, which must all hold), keys restrict each other.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Names or patterns of names.
    pub references: Vec<String>,
    /// Only dangling images, or only others.
    pub dangling: Option<bool>,
    /// `key` or `key=value`.
    pub labels: Vec<String>,
    /// Made before this image.
    pub before: Option<String>,
    /// Made after this image.
    pub since: Option<String>,
    /// Made before this moment.
    pub until: Option<OffsetDateTime>,
}

impl Engine {
    /// The images that `filter` lets pass, newest first.
    pub async fn list_images(&self, filter: ListFilter) -> Result<Vec<ImageSummary>, Error> {
        self.blocking(move |engine| engine.list_images_now(&filter)).await
    }

    pub(super) fn list_images_now(&self, filter: &ListFilter) -> Result<Vec<ImageSummary>, Error> {
        let bounds = Bounds {
            before: self.created_of(filter.before.as_deref())?,
            since: self.created_of(filter.since.as_deref())?,
        };
        let uses = usage::of_containers(self);
        let mut list = Vec::new();
        for mut image in self.named_images()? {
            if filter.dangling.is_some_and(|dangling| dangling != image.is_dangling()) {
                continue;
            }
            if !filter.references.is_empty() {
                // Only the names that were asked for are shown.
                image.names.retain(|name| filter.names(name));
                if image.names.is_empty() {
                    continue;
                }
            }
            let summary = self.summarize(&image, &uses)?;
            if filter.matches(&summary, &bounds) {
                list.push(summary);
            }
        }
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// An image as a list shows it.
    pub(super) fn summarize(&self, image: &NamedImage, uses: &Uses) -> Result<ImageSummary, Error> {
        let mut sizes = usage::Sizes::default();
        let mut variants = Vec::new();
        let mut shown: Option<Image> = None;
        for entry in self.store.platforms(&image.target)? {
            if entry.presence == Presence::Absent {
                variants.push(Variant {
                    is_available: false,
                    content_bytes: 0,
                    unpacked_bytes: 0,
                    containers: Vec::new(),
                    platform: entry.platform,
                    manifest: entry.descriptor,
                });
                continue;
            }
            let variant = self.store.image(&entry.descriptor, &entry.platform)?;
            let own = sizes.add(&self.store, &variant);
            variants.push(Variant {
                is_available: entry.presence == Presence::Complete,
                content_bytes: own.content_bytes,
                unpacked_bytes: own.unpacked_bytes,
                containers: container_ids(uses, &entry.descriptor),
                platform: entry.platform.clone(),
                manifest: entry.descriptor,
            });
            if shown.is_none() || entry.platform.satisfies(&Platform::host()) {
                shown = Some(variant);
            }
        }
        let config = shown.map(|shown| shown.config).unwrap_or_default();
        Ok(ImageSummary {
            id: image.id,
            target: image.target.clone(),
            repo_tags: image.repo_tags(),
            repo_digests: image.repo_digests(),
            created: created(config.created.as_deref()),
            size_bytes: sizes.total_bytes(),
            labels: config.config.labels,
            containers: variants.iter().map(|variant| variant.containers.len() as u64).sum(),
            variants,
        })
    }

    fn created_of(&self, name: Option<&str>) -> Result<Option<OffsetDateTime>, Error> {
        let Some(name) = name else {
            return Ok(None);
        };
        let image = self.resolve_image(name, None)?;
        Ok(created(image.image.config.created.as_deref()))
    }
}

/// The moments that other images of a filter stand for.
struct Bounds {
    before: Option<OffsetDateTime>,
    since: Option<OffsetDateTime>,
}

impl ListFilter {
    fn names(&self, name: &Reference) -> bool {
        self.references.iter().any(|wanted| pattern::matches(wanted, name))
    }

    fn matches(&self, image: &ImageSummary, bounds: &Bounds) -> bool {
        let earlier = |bound: Option<OffsetDateTime>| {
            bound.is_none() || image.created.is_some_and(|created| Some(created) < bound)
        };
        let later = bounds
            .since
            .is_none_or(|since| image.created.is_some_and(|created| created > since));
        let has_labels = label::has_all(&image.labels, &self.labels);
        earlier(bounds.before) && earlier(self.until) && later && has_labels
    }
}

fn container_ids(uses: &Uses, manifest: &Descriptor) -> Vec<String> {
    uses.of(manifest).iter().map(|usage| usage.container.clone()).collect()
}

/// A time as configs hold it, RFC 3339; one that cannot be read is none.
pub fn created(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}
