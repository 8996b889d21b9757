//! What a pull has to fetch: the chosen manifests, their configs, and each layer once.

use std::collections::HashSet;

use bytes::Bytes;
use ferry_oci::document::MAX_LEN_BYTES;
use ferry_oci::media_type::MediaKind;
use ferry_oci::{Descriptor, DiffId, Digest, Document, ImageConfig, ImageManifest, Platform};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Pull;
use crate::blob::fetch_whole;
use crate::manifest::required_digest;
use crate::selection::{Entry, entries, platforms_of};
use crate::{Error, Manifest, Selection};

/// Manifests and configs fetched at the same time.
const DOCUMENTS_AT_ONCE: usize = 4;
/// Entries of an index without a platform whose configs are read to find it.
const MAX_UNNAMED: usize = 16;
/// Layers of one image. Overlayfs takes 500; Docker's limit is 127.
const MAX_LAYERS: usize = 500;

/// All that a pull has to fetch.
pub(super) struct Plan {
    /// Bottom layers first; each once, though images share them.
    pub(super) layers: Vec<LayerPlan>,
    pub(super) images: Vec<ImagePlan>,
}

/// One manifest with what was read to plan it.
pub(super) struct ImagePlan {
    pub(super) manifest: Manifest,
    /// Absent for artifacts, whose config is fetched like a layer.
    pub(super) config: Option<Bytes>,
    platform: Option<Platform>,
    layers: Vec<LayerPlan>,
}

/// One blob to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerPlan {
    pub(super) digest: Digest,
    pub(super) descriptor: Descriptor,
    pub(super) use_as: UseAs,
}

/// What a blob is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum UseAs {
    /// A layer, to be unpacked.
    Layer(DiffId),
    /// Part of an artifact, such as an attestation, to be kept as it is.
    Blob,
}

/// Whether a manifest was asked for as an image, or comes along with its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Image,
    Companion,
}

/// Reads what `root` names as far as `selection` goes.
pub(super) async fn plan(pull: &Pull<'_>, root: &Manifest, selection: &Selection) -> Result<Plan, Error> {
    let images = match &root.document {
        Document::Manifest(manifest) => {
            let image = image(pull, root.clone(), manifest, Role::Image).await?;
            if let Some(platform) = &image.platform {
                selection
                    .admit(platform)
                    .map_err(|wanted| no_platform(pull, wanted, vec![platform.clone()]))?;
            }
            vec![image]
        }
        Document::Index(index) => {
            let entries = entries(index, &pull.name())?;
            let chosen = match selection.choose(&entries) {
                Ok(chosen) => chosen,
                Err(missing) => {
                    let named = name_platforms(pull, entries.clone()).await?;
                    selection
                        .choose(&named)
                        .map_err(|_| no_platform(pull, missing, platforms_of(&named)))?
                }
            };
            stream::iter(chosen)
                .map(|entry| chosen_image(pull, entry, selection))
                .buffered(DOCUMENTS_AT_ONCE)
                .try_collect()
                .await?
        }
    };
    let mut seen = HashSet::new();
    let all = images.iter().flat_map(|image: &ImagePlan| &image.layers);
    let layers = all
        .filter(|layer| seen.insert((layer.digest, layer.use_as)))
        .cloned()
        .collect();
    Ok(Plan { layers, images })
}

fn no_platform(pull: &Pull<'_>, wanted: Vec<Platform>, available: Vec<Platform>) -> Error {
    Error::NoPlatform {
        reference: pull.name(),
        wanted,
        available,
    }
}

async fn chosen_image(pull: &Pull<'_>, entry: Entry, selection: &Selection) -> Result<ImagePlan, Error> {
    let manifest = pull.manifest(&entry.descriptor).await?;
    let role = match selection {
        Selection::All => Role::Companion,
        Selection::Platforms(_) | Selection::Best(_) => Role::Image,
    };
    match manifest.document.clone() {
        Document::Manifest(parsed) => image(pull, manifest, &parsed, role).await,
        Document::Index(_) => Err(Error::Descriptor {
            what: pull.name(),
            problem: "an index within an index is not supported".to_owned(),
        }),
    }
}

/// Finds the platforms of entries for which the index gives none, by their configs.
async fn name_platforms(pull: &Pull<'_>, mut entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
    let unnamed = entries
        .iter_mut()
        .filter(|entry| entry.platform.is_none() && entry.is_image());
    for entry in unnamed.take(MAX_UNNAMED) {
        let manifest = pull.manifest(&entry.descriptor).await?;
        if let Document::Manifest(parsed) = manifest.document.clone() {
            entry.platform = image(pull, manifest, &parsed, Role::Companion).await?.platform;
        }
    }
    Ok(entries)
}

/// Plans one manifest.
async fn image(pull: &Pull<'_>, manifest: Manifest, parsed: &ImageManifest, role: Role) -> Result<ImagePlan, Error> {
    let what = pull.name();
    if parsed.layers().len() > MAX_LAYERS {
        return Err(Error::Descriptor {
            what,
            problem: format!("{} layers, more than the limit of {MAX_LAYERS}", parsed.layers().len()),
        });
    }
    if let Some(kind) = artifact_kind(parsed) {
        return match role {
            Role::Image => Err(Error::NotAnImage { reference: what, kind }),
            Role::Companion => artifact(manifest, parsed, &what),
        };
    }
    let config_bytes = config(pull, parsed.config()).await?;
    let config = ImageConfig::parse(&config_bytes).map_err(|source| Error::Document {
        what: format!("config of {what}"),
        source,
    })?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != parsed.layers().len() {
        return Err(Error::Descriptor {
            what: format!("config of {what}"),
            problem: format!("{} DiffIDs for {} layers", diff_ids.len(), parsed.layers().len()),
        });
    }
    let layers = parsed.layers().iter().zip(diff_ids).map(|(descriptor, diff_id)| {
        if let Some(MediaKind::ForeignLayer(_)) = MediaKind::of(descriptor.media_type().as_ref()) {
            return Err(Error::ForeignLayer {
                reference: what.clone(),
                digest: descriptor.digest().to_string(),
                media_type: descriptor.media_type().to_string(),
            });
        }
        Ok(LayerPlan {
            digest: required_digest(descriptor, &what)?,
            descriptor: descriptor.clone(),
            use_as: UseAs::Layer(*diff_id),
        })
    });
    let layers = layers.collect::<Result<_, _>>()?;
    Ok(ImagePlan {
        manifest,
        config: Some(config_bytes),
        platform: Some(config.platform()),
        layers,
    })
}

/// The type of what is no image: its artifact type, or the first config or layer type that no image has.
fn artifact_kind(parsed: &ImageManifest) -> Option<String> {
    let config_type = parsed.config().media_type().to_string();
    if MediaKind::of(&config_type) != Some(MediaKind::Config) {
        return Some(parsed.artifact_type().as_ref().map_or(config_type, ToString::to_string));
    }
    let mut layer_types = parsed.layers().iter().map(|layer| layer.media_type().to_string());
    layer_types.find(|media_type| {
        !matches!(
            MediaKind::of(media_type),
            Some(MediaKind::Layer(_) | MediaKind::ForeignLayer(_))
        )
    })
}

/// Plans an artifact: all its blobs are kept as they are.
fn artifact(manifest: Manifest, parsed: &ImageManifest, what: &str) -> Result<ImagePlan, Error> {
    let blobs = std::iter::once(parsed.config()).chain(parsed.layers());
    let layers = blobs.map(|descriptor| {
        Ok(LayerPlan {
            digest: required_digest(descriptor, what)?,
            descriptor: descriptor.clone(),
            use_as: UseAs::Blob,
        })
    });
    Ok(ImagePlan {
        manifest,
        config: None,
        platform: None,
        layers: layers.collect::<Result<_, Error>>()?,
    })
}

/// A config's bytes, from the store where it has been before.
async fn config(pull: &Pull<'_>, descriptor: &Descriptor) -> Result<Bytes, Error> {
    let what = format!("config of {}", pull.name());
    let digest = required_digest(descriptor, &what)?;
    if pull.store.content().has(&digest)
        && let Ok(bytes) = pull.store.content().read(&digest, MAX_LEN_BYTES as u64)
    {
        return Ok(bytes.into());
    }
    fetch_whole(&pull.session, descriptor, &digest, MAX_LEN_BYTES, &what).await
}
