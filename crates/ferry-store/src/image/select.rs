//! From an index or manifest to the image of one platform.

use ferry_oci::{Descriptor, DiffId, Digest, ImageConfig, ImageId, ImageManifest, Platform, best_match};

use super::document::{manifests, read_config};
use crate::{Error, Store};

/// An image for one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Of the manifest.
    pub manifest_descriptor: Descriptor,
    /// The manifest.
    pub manifest: ImageManifest,
    /// The config.
    pub config: ImageConfig,
    /// What it is made for.
    pub platform: Platform,
    /// Its layers, bottom first.
    pub layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// Its compressed blob.
    pub descriptor: Descriptor,
}

/// One platform of an image, as [`Store::platforms`] lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlatformEntry {
    /// What it is made for.
    pub platform: Platform,
    /// Of the manifest.
    pub descriptor: Descriptor,
    /// How much of it is here.
    pub presence: Presence,
}

/// How much of an image is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// Not the manifest or the config.
    Absent,
    /// Manifest and config, but not all layers.
    Partial,
    /// Everything a container needs: each layer is unpacked, or its blob is here.
    Complete,
}

/// A step of an image's history, with the size of the layer that it made.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryStep {
    /// What the config says of the step.
    pub step: ferry_oci::History,
    /// The layer it made, if any.
    pub diff_id: Option<DiffId>,
    /// Bytes of the layer's files; 0 without a layer or while it is not unpacked.
    pub size_bytes: u64,
}

impl Image {
    /// The digest of the config, which Docker calls the image's id.
    pub fn id(&self) -> Result<ImageId, Error> {
        Ok(ImageId(self.config_digest()?))
    }

    /// The digest of the config.
    pub fn config_digest(&self) -> Result<Digest, Error> {
        Ok(Digest::try_from(self.manifest.config().digest())?)
    }

    /// The DiffIDs of its layers, bottom first: what a snapshot is prepared of.
    pub fn diff_ids(&self) -> Vec<DiffId> {
        self.layers.iter().map(|layer| layer.diff_id).collect()
    }

    /// How much of it is here.
    pub fn presence(&self, store: &Store) -> Result<Presence, Error> {
        for layer in &self.layers {
            let blob = Digest::try_from(layer.descriptor.digest())?;
            if !store.layers().has(&layer.diff_id) && !store.content().has(&blob) {
                return Ok(Presence::Partial);
            }
        }
        Ok(Presence::Complete)
    }

    /// Bytes of the files of all its unpacked layers, each counted once however often it occurs.
    pub fn size_bytes(&self, store: &Store) -> Result<u64, Error> {
        let mut layers = self.diff_ids();
        layers.sort_unstable();
        layers.dedup();
        let unpacked = layers.iter().filter(|diff_id| store.layers().has(diff_id));
        unpacked.map(|diff_id| store.layers().size(diff_id)).sum()
    }

    /// Bytes of its manifest, config and compressed layers, as a registry holds them.
    pub fn content_bytes(&self) -> u64 {
        let layers = self.manifest.layers().iter().map(Descriptor::size);
        self.manifest_descriptor.size() + self.manifest.config().size() + layers.sum::<u64>()
    }

    /// How it came to be, first step first; layers that the config's history does not mention follow.
    pub fn history(&self, store: &Store) -> Result<Vec<HistoryStep>, Error> {
        let size_of = |diff_id: &DiffId| match store.layers().has(diff_id) {
            true => store.layers().size(diff_id),
            false => Ok(0),
        };
        let mut layers = self.layers.iter();
        let mut steps = Vec::new();
        for step in self.config.history.iter().cloned() {
            let layer = if step.empty_layer { None } else { layers.next() };
            let diff_id = layer.map(|layer| layer.diff_id);
            let size_bytes = diff_id.as_ref().map_or(Ok(0), size_of)?;
            steps.push(HistoryStep {
                step,
                diff_id,
                size_bytes,
            });
        }
        for layer in layers {
            steps.push(HistoryStep {
                step: ferry_oci::History::default(),
                diff_id: Some(layer.diff_id),
                size_bytes: size_of(&layer.diff_id)?,
            });
        }
        Ok(steps)
    }

    /// Unpacks the layers whose blobs are here and that are not unpacked yet.
    pub fn unpack(&self, store: &Store, limits: &crate::Limits) -> Result<(), Error> {
        for layer in &self.layers {
            store
                .layers()
                .import_stored(&layer.descriptor, &layer.diff_id, limits)?;
        }
        Ok(())
    }
}

/// See [`Store::image`].
pub(crate) fn find(store: &Store, target: &Descriptor, wanted: &Platform) -> Result<Image, Error> {
    let mut images = Vec::new();
    let mut available = Vec::new();
    let mut missing = None;
    for (descriptor, manifest) in manifests(store, target)? {
        match read_image(store, &descriptor, manifest) {
            Ok(Some(image)) => {
                available.push(image.platform.clone());
                images.push(image);
            }
            Ok(None) => available.extend(stated_platform(&descriptor)),
            // A damaged or half-present image must not hide the others of its index.
            Err(error) => missing = missing.or(Some(error)),
        }
    }
    let fitting = images.iter().enumerate();
    let best = best_match(wanted, fitting.map(|(index, image)| (&image.platform, index)));
    match (best, missing) {
        (Some(best), _) => Ok(images.swap_remove(best)),
        (None, Some(error)) if available.is_empty() => Err(error),
        (None, _) => Err(Error::PlatformMissing {
            wanted: Box::new(wanted.clone()),
            available,
        }),
    }
}

/// The image of one manifest; `None` if it is not here or no image.
pub(crate) fn find_manifest(store: &Store, descriptor: &Descriptor) -> Result<Option<Image>, Error> {
    let found = manifests(store, descriptor)?.into_iter().next();
    match found {
        Some((descriptor, manifest)) => read_image(store, &descriptor, manifest),
        None => Ok(None),
    }
}

/// See [`Store::platforms`].
pub(crate) fn platforms(store: &Store, target: &Descriptor) -> Result<Vec<PlatformEntry>, Error> {
    let mut entries = Vec::new();
    for (descriptor, manifest) in manifests(store, target)? {
        match read_image(store, &descriptor, manifest) {
            Ok(Some(image)) => entries.push(PlatformEntry {
                presence: image.presence(store)?,
                platform: image.platform,
                descriptor,
            }),
            Ok(None) | Err(Error::BlobMissing(_)) => {
                entries.extend(stated_platform(&descriptor).map(|platform| PlatformEntry {
                    platform,
                    descriptor,
                    presence: Presence::Absent,
                }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// The platform that an index states; `None` for attestations, which are for `unknown/unknown`.
fn stated_platform(descriptor: &Descriptor) -> Option<Platform> {
    let platform = Platform::from(descriptor.platform().as_ref()?);
    (platform.os != "unknown" && platform.architecture != "unknown").then_some(platform)
}

/// Whether a manifest of an index says something about another one instead of being an image.
/// Source: BuildKit's `docs/attestations/attestation-storage.md`.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let annotations = descriptor.annotations().as_ref();
    annotations.is_some_and(|all| all.contains_key("vnd.docker.reference.type"))
        || (descriptor.platform().is_some() && stated_platform(descriptor).is_none())
}

/// The image of a manifest; `None` if the manifest is not here or no image.
fn read_image(store: &Store, descriptor: &Descriptor, manifest: Option<ImageManifest>) -> Result<Option<Image>, Error> {
    let Some(manifest) = manifest.filter(|_| !is_attestation(descriptor)) else {
        return Ok(None);
    };
    let config = read_config(store, &manifest)?;
    let (layers, diff_ids) = (manifest.layers(), &config.rootfs.diff_ids);
    if layers.len() != diff_ids.len() {
        return Err(Error::LayerCount {
            manifest: Digest::try_from(descriptor.digest())?,
            manifest_layers: layers.len(),
            config_layers: diff_ids.len(),
        });
    }
    let layers = layers.iter().zip(diff_ids);
    Ok(Some(Image {
        layers: layers
            .map(|(descriptor, diff_id)| Layer {
                diff_id: *diff_id,
                descriptor: descriptor.clone(),
            })
            .collect(),
        platform: stated_platform(descriptor).unwrap_or_else(|| config.platform()),
        manifest_descriptor: descriptor.clone(),
        manifest,
        config,
    }))
}
