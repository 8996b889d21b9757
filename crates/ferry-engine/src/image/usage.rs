//! Who uses an image, and how much room it takes.

use std::collections::HashMap;

use ferry_oci::{Descriptor, DiffId, Digest};
use ferry_store::{Image, Presence, Store};

use super::Error;
use super::list::{ImageSummary, ListFilter};
use super::names::digest_of;
use crate::Engine;

/// Containers by the manifest that they were made from.
#[derive(Debug, Default)]
pub(super) struct Uses(HashMap<Digest, Vec<Use>>);

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    /// The container.
    pub(super) container: String,
    /// Whether it runs.
    pub(super) is_running: bool,
}

/// What the engine's containers use.
pub(super) fn of_containers(engine: &Engine) -> Uses {
    let mut uses = Uses::default();
    for container in engine.containers.all() {
        uses.0.entry(container.config.manifest).or_default().push(Use {
            container: container.id.to_string(),
            is_running: container.state().is_running(),
        });
    }
    uses
}

impl Uses {
    /// The containers made from the image whose manifest is `manifest`.
    pub(super) fn of(&self, manifest: &Descriptor) -> &[Use] {
        let found = digest_of(manifest).ok().and_then(|digest| self.0.get(&digest));
        found.map_or(&[], Vec::as_slice)
    }
}

/// What several platforms of one image take, shared layers and blobs once.
#[derive(Debug, Default)]
pub(super) struct Sizes(HashMap<Part, u64>);

/// Something on disk that images can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Layer(DiffId),
    Blob(Digest),
}

/// What one platform takes, whatever it shares with others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Compressed content that is here.
    pub(super) content_bytes: u64,
    /// Unpacked layers.
    pub(super) unpacked_bytes: u64,
}

impl Sizes {
    /// Adds `image` and returns what it takes by itself.
    pub(super) fn add(&mut self, store: &Store, image: &Image) -> Size {
        let mut own = Size::default();
        for layer in &image.layers {
            let size = store.layers().size(&layer.diff_id).unwrap_or(0);
            own.unpacked_bytes += size;
            self.0.insert(Part::Layer(layer.diff_id), size);
        }
        let blobs = image.layers.iter().map(|layer| &layer.descriptor);
        for descriptor in blobs.chain([image.manifest.config(), &image.manifest_descriptor]) {
            let Ok(digest) = digest_of(descriptor) else {
                continue;
            };
            let size = store.content().size(&digest).unwrap_or(0);
            own.content_bytes += size;
            self.0.insert(Part::Blob(digest), size);
        }
        own
    }

    /// What all of them take together.
    pub(super) fn total_bytes(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What all images take, each layer and blob counted once.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Bytes of all of them.
    pub(crate) total_bytes: u64,
    /// Of these, what only images without a container have.
    pub(crate) unused_bytes: u64,
    /// Image by image, newest first.
    pub(crate) images: Vec<ImageShare>,
}

/// An image beside all others.
#[derive(Debug)]
pub(crate) struct ImageShare {
    pub(crate) summary: ImageSummary,
    /// Of its size, what other images have as well.
    pub(crate) shared_bytes: u64,
}

impl Engine {
    /// Tells what images share.
    pub(crate) async fn image_shares(&self) -> Result<Shares, Error> {
        self.blocking(Engine::image_shares_now).await
    }

    fn image_shares_now(&self) -> Result<Shares, Error> {
        let mut images = Vec::new();
        let mut all = Sizes::default();
        let mut used = Sizes::default();
        let mut holders: HashMap<Part, u32> = HashMap::new();
        for summary in self.list_images_now(&ListFilter::default())? {
            let mut own = Sizes::default();
            for variant in self.store.platforms(&summary.target)? {
                if variant.presence != Presence::Absent {
                    let image = self.store.image(&variant.descriptor, &variant.platform)?;
                    own.add(&self.store, &image);
                }
            }
            for (part, size) in &own.0 {
                *holders.entry(*part).or_default() += 1;
                all.0.insert(*part, *size);
                if summary.containers > 0 {
                    used.0.insert(*part, *size);
                }
            }
            images.push((summary, own));
        }
        let shared = |own: &Sizes| {
            let shared = own.0.iter().filter(|(part, _)| holders[part] > 1);
            shared.map(|(_, size)| size).sum()
        };
        Ok(Shares {
            total_bytes: all.total_bytes(),
            unused_bytes: all.total_bytes() - used.total_bytes(),
            images: images
                .into_iter()
                .map(|(summary, own)| ImageShare {
                    shared_bytes: shared(&own),
                    summary,
                })
                .collect(),
        })
    }
}
