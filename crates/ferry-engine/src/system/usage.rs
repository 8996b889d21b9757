//! What images, containers and the build cache take on disk.

use std::sync::Arc;

use crate::Engine;
use crate::build::{CachedStep, Holder};
use crate::container::{Container, ContainerSize, ListFilter};
use crate::error::Error;
use crate::image::ImageSummary;

/// What takes how much room. Source: Docker Engine API `SystemDataUsage`.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Of images, if they were asked for.
    pub images: Option<ImagesUsage>,
    /// Container by container.
    pub containers: Option<Vec<ContainerUsage>>,
    /// The build cache, step by step.
    pub build_cache: Option<Vec<CachedStep>>,
}

/// What images take.
#[derive(Debug, Clone, Default)]
pub struct ImagesUsage {
    /// All together, each layer and blob counted once.
    pub total_bytes: u64,
    /// Of these, what only images without a container have.
    pub reclaimable_bytes: u64,
    /// Image by image, newest first.
    pub images: Vec<ImageUsage>,
}

/// An image and what it takes.
#[derive(Debug, Clone)]
pub struct ImageUsage {
    /// What a list shows of it, its whole size too.
    pub summary: ImageSummary,
    /// Of its size, what other images have as well.
    pub shared_bytes: u64,
}

/// A container and what it takes.
#[derive(Debug, Clone)]
pub struct ContainerUsage {
    /// The container.
    pub container: Arc<Container>,
    /// What it takes.
    pub size: ContainerSize,
}

/// What can take room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Images.
    Images,
    /// What containers wrote.
    Containers,
    /// Results of build steps.
    BuildCache,
}

impl Engine {
    /// Looks what takes how much room. Docker Engine API `SystemDataUsage`.
    pub async fn disk_usage(&self, resources: &[Resource]) -> Result<DiskUsage, Error> {
        let mut usage = DiskUsage::default();
        if resources.contains(&Resource::Images) {
            usage.images = Some(self.images_usage().await?);
        }
        if resources.contains(&Resource::Containers) {
            usage.containers = Some(self.containers_usage().await?);
        }
        if resources.contains(&Resource::BuildCache) {
            usage.build_cache = Some(self.build_cache().await?);
        }
        Ok(usage)
    }

    async fn images_usage(&self) -> Result<ImagesUsage, Error> {
        let shares = self.image_shares().await?;
        let images = shares.images.into_iter().map(|image| ImageUsage {
            summary: image.summary,
            shared_bytes: image.shared_bytes,
        });
        Ok(ImagesUsage {
            total_bytes: shares.total_bytes,
            reclaimable_bytes: shares.unused_bytes,
            images: images.collect(),
        })
    }

    async fn containers_usage(&self) -> Result<Vec<ContainerUsage>, Error> {
        let all = ListFilter {
            all: true,
            ..ListFilter::default()
        };
        let containers = self.list_containers(&all);
        let sizes = self.container_sizes(containers.clone()).await?;
        let both = containers.into_iter().zip(sizes);
        Ok(both
            .map(|(container, size)| ContainerUsage { container, size })
            .collect())
    }
}

/// Bytes that only the build cache has.
pub fn own_bytes(steps: &[CachedStep]) -> u64 {
    let own = steps.iter().filter(|step| step.holder == Holder::CacheAlone);
    own.map(|step| step.size_bytes).sum()
}
