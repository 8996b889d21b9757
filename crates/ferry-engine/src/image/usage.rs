//! Who uses an image, and how much room it takes.

use std::collections::{HashMap, HashSet};

use ferry_oci::{Descriptor, DiffId, Digest};
use ferry_store::{Image, Store};

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

/// Adds up what several platforms of one image take, shared layers and blobs once.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    layers: HashSet<DiffId>,
    blobs: HashSet<Digest>,
    total_bytes: u64,
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
            if self.layers.insert(layer.diff_id) {
                self.total_bytes += size;
            }
        }
        let blobs = image.layers.iter().map(|layer| &layer.descriptor);
        for descriptor in blobs.chain([image.manifest.config(), &image.manifest_descriptor]) {
            let Ok(digest) = digest_of(descriptor) else {
                continue;
            };
            let size = store.content().size(&digest).unwrap_or(0);
            own.content_bytes += size;
            if self.blobs.insert(digest) {
                self.total_bytes += size;
            }
        }
        own
    }

    /// What all of them take together.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
}
