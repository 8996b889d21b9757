//! The result: configs, manifests and an index, made of what the vertices gave.

use std::collections::HashMap;
use std::sync::Arc;

use ferry_oci::oci_spec::image::{DescriptorBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType};
use ferry_oci::{
    Compression, Descriptor, DiffId, Digest, History, ImageConfig, ImageId, MediaKind, Platform, media_type,
};
use ferry_store::{Lease, Store};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::ExportFault;
use crate::plan::{ImageKey, Plan, PlannedImage};
use crate::progress::Told;
use crate::solve::Root;
use crate::{BaseImage, BuildError, BuildResult, BuiltImage, EventSink, Form, PartState};

/// What the result is made of.
pub(crate) struct Export<'a> {
    pub(crate) store: &'a Store,
    pub(crate) plan: &'a Plan,
    pub(crate) roots: &'a [Root],
    pub(crate) images: &'a HashMap<ImageKey, BaseImage>,
    pub(crate) epoch: i64,
    pub(crate) form: Form,
}

impl Export<'_> {
    /// Writes the result.
    pub(crate) async fn run(self, events: &EventSink, lease: Arc<Lease>) -> Result<BuildResult, BuildError> {
        let told = Told::begin_internal(events, "exporting to image").await;
        let result = self.write(&told, lease).await;
        told.settle(result).await
    }

    async fn write(&self, told: &Told<'_>, lease: Arc<Lease>) -> Result<BuildResult, BuildError> {
        let output = told.output();
        let compressed = self.compress().await?;
        output.status("exporting layers", 0, 0, PartState::Complete).await;
        let created = timestamp(self.epoch)?;
        let mut images = Vec::new();
        for planned in &self.plan.images {
            let image = self.image(planned, &compressed, &created)?;
            for (kind, digest) in [
                ("manifest", image.manifest.digest().to_string()),
                ("config", image.image_id.to_string()),
            ] {
                let part = format!("exporting {kind} {digest}");
                output.status(&part, 0, 0, PartState::Complete).await;
            }
            images.push(image);
        }
        let target = match (images.as_slice(), self.form) {
            ([only], Form::ByPlatforms) => only.manifest.clone(),
            _ => {
                let index = self.index(&images)?;
                let part = format!("exporting manifest list {}", index.digest());
                output.status(&part, 0, 0, PartState::Complete).await;
                index
            }
        };
        Ok(BuildResult { target, images, lease })
    }

    /// The descriptors of all layers. Those of base images are taken as they are; those that were
    /// made here are compressed, once, one after the other, each on all cores.
    async fn compress(&self) -> Result<HashMap<DiffId, Descriptor>, BuildError> {
        let mut known: HashMap<DiffId, Descriptor> = HashMap::new();
        // In a fixed order, so that of two forms of one layer always the same is taken.
        let mut keys: Vec<_> = self.images.keys().collect();
        keys.sort();
        for (layer, descriptor) in keys.iter().flat_map(|key| &self.images[*key].layers) {
            known.entry(*layer).or_insert_with(|| as_oci_layer(descriptor));
        }
        let mut missing: Vec<DiffId> = Vec::new();
        for planned in &self.plan.images {
            for layer in self.layers(planned) {
                if !known.contains_key(layer) && !missing.contains(layer) {
                    missing.push(*layer);
                }
            }
        }
        let store = self.store.clone();
        let compressed = crate::blocking::run(move || {
            missing
                .into_iter()
                .map(|layer| Ok((layer, store.layers().compress(&layer)?)))
                .collect::<Result<Vec<_>, ferry_store::Error>>()
        })
        .await?;
        known.extend(compressed);
        Ok(known)
    }

    fn image(
        &self,
        planned: &PlannedImage,
        compressed: &HashMap<DiffId, Descriptor>,
        created: &str,
    ) -> Result<BuiltImage, BuildError> {
        let config = self.config(planned, created);
        let config_bytes = to_json(&config)?;
        let config_digest = self.store.content().write(&config_bytes)?;
        let layers: Vec<Descriptor> = self
            .layers(planned)
            .iter()
            .filter_map(|layer| compressed.get(layer).cloned())
            .collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(media_type::OCI_CONFIG, config_bytes.len(), config_digest)?)
            .layers(layers)
            .build()
            .map_err(ExportFault::Document)?;
        let manifest_bytes = to_json(&manifest)?;
        let digest = self.store.content().write(&manifest_bytes)?;
        Ok(BuiltImage {
            platform: planned.platform.clone(),
            manifest: descriptor(media_type::OCI_MANIFEST, manifest_bytes.len(), digest)?,
            image_id: ImageId(config_digest),
            config,
        })
    }

    fn config(&self, planned: &PlannedImage, created: &str) -> ImageConfig {
        let layers = self.layers(planned);
        let mut config = planned.config.clone();
        config.created = Some(created.to_owned());
        let made: Vec<History> = planned
            .history
            .iter()
            .map(|step| History {
                created: Some(created.to_owned()),
                empty_layer: step.node.is_none_or(|node| self.roots[node.0].added.is_none()),
                ..step.entry.clone()
            })
            .collect();
        let added = made.iter().filter(|step| !step.empty_layer).count();
        let base_layers = layers.len().saturating_sub(added);
        complete_history(&mut config.history, base_layers);
        config.history.extend(made);
        config.rootfs.diff_ids = layers.to_vec();
        config
    }

    fn layers(&self, planned: &PlannedImage) -> &[DiffId] {
        planned.root.map_or(&[], |node| &self.roots[node.0].layers)
    }

    fn index(&self, images: &[BuiltImage]) -> Result<Descriptor, BuildError> {
        let manifests = images
            .iter()
            .map(|image| with_platform(&image.manifest, &image.platform))
            .collect::<Result<Vec<_>, _>>()?;
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()
            .map_err(ExportFault::Document)?;
        let bytes = to_json(&index)?;
        let digest = self.store.content().write(&bytes)?;
        descriptor(media_type::OCI_INDEX, bytes.len(), digest)
    }
}

/// Gives a base without a history, or with one that is too short, an entry for each of its layers.
fn complete_history(history: &mut Vec<History>, layers: usize) {
    let told = history.iter().filter(|step| !step.empty_layer).count();
    history.extend((told..layers).map(|_| History::default()));
}

/// A base's layer in a manifest of OCI's kind: the same blob, under OCI's name for its type.
/// The same layer under OCI's name for its kind: a manifest of OCI's kind has no others.
pub fn as_oci_layer(base: &Descriptor) -> Descriptor {
    let media_type = match MediaKind::of(base.media_type().as_ref()) {
        Some(MediaKind::Layer(Compression::None)) => media_type::OCI_LAYER_TAR,
        Some(MediaKind::Layer(Compression::Gzip)) => media_type::OCI_LAYER_GZIP,
        Some(MediaKind::Layer(Compression::Zstd)) => media_type::OCI_LAYER_ZSTD,
        // Foreign layers keep their type and their addresses.
        _ => return base.clone(),
    };
    Descriptor::new(media_type.into(), base.size(), base.digest().clone())
}

fn with_platform(manifest: &Descriptor, platform: &Platform) -> Result<Descriptor, BuildError> {
    // Our platforms are what JSON of the specification's platform says.
    let platform = serde_json::to_value(platform)
        .and_then(serde_json::from_value::<ferry_oci::oci_spec::image::Platform>)
        .map_err(ExportFault::Json)?;
    Ok(DescriptorBuilder::default()
        .media_type(manifest.media_type().clone())
        .size(manifest.size())
        .digest(manifest.digest().clone())
        .platform(platform)
        .build()
        .map_err(ExportFault::Document)?)
}

fn descriptor(media_type: &str, len: usize, digest: Digest) -> Result<Descriptor, BuildError> {
    Ok(Descriptor::new(media_type.into(), len as u64, digest))
}

fn to_json(document: &impl serde::Serialize) -> Result<Vec<u8>, BuildError> {
    Ok(serde_json::to_vec(document).map_err(ExportFault::Json)?)
}

fn timestamp(epoch: i64) -> Result<String, BuildError> {
    let bad = || BuildError::BadEpoch {
        value: epoch.to_string(),
    };
    OffsetDateTime::from_unix_timestamp(epoch)
        .map_err(|_| bad())?
        .format(&Rfc3339)
        .map_err(|_| bad())
}
