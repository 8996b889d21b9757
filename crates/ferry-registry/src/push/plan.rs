//! What a push sends: which manifests of the target are here, and under which index they go.

use bytes::Bytes;
use ferry_oci::document::MAX_LEN_BYTES;
use ferry_oci::{Descriptor, Digest, Document, ImageIndex, ImageManifest, Platform};

use super::Pushing;
use crate::manifest::{Presence, exists, read, required_digest};
use crate::selection::{Entry, entries, platforms_of};
use crate::{Error, Manifest, PartialIndex, Selection};

/// Everything to push.
pub(super) struct Plan {
    /// What the tag will name.
    pub(super) root: Manifest,
    /// The manifests whose blobs go first; the root itself, where it is a manifest.
    pub(super) images: Vec<PushedImage>,
}

/// One manifest from the store.
pub(super) struct PushedImage {
    pub(super) manifest: Manifest,
    pub(super) parsed: ImageManifest,
}

/// A document to put.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Bytes,
}

impl Plan {
    /// The manifests below the root, to be put by digest.
    pub(super) fn children(&self) -> Vec<Child> {
        let below = self.images.iter().map(|image| &image.manifest);
        below
            .filter(|manifest| manifest.descriptor.digest() != self.root.descriptor.digest())
            .map(|manifest| Child {
                name: manifest.descriptor.digest().to_string(),
                descriptor: manifest.descriptor.clone(),
                bytes: manifest.bytes.clone(),
            })
            .collect()
    }
}

/// Reads the target and decides what of it is pushed.
pub(super) async fn plan(pushing: &Pushing<'_>) -> Result<Plan, Error> {
    let root = stored(pushing, &pushing.push.target)?;
    match root.document.clone() {
        Document::Manifest(parsed) => {
            let platform = config_platform(pushing, &parsed);
            if let Some(platform) = platform {
                let selection = &pushing.push.selection;
                selection
                    .admit(&platform)
                    .map_err(|wanted| no_platform(pushing, wanted, vec![platform]))?;
            }
            Ok(Plan {
                images: vec![PushedImage {
                    manifest: root.clone(),
                    parsed,
                }],
                root,
            })
        }
        Document::Index(index) => of_index(pushing, root, &index).await,
    }
}

/// How much of an index's entry can be pushed.
enum Availability {
    /// From the store.
    Here(Box<PushedImage>),
    /// The registry has it already.
    There,
    Missing,
}

async fn of_index(pushing: &Pushing<'_>, root: Manifest, index: &ImageIndex) -> Result<Plan, Error> {
    let all = entries(index, &pushing.name())?;
    let chosen = pushing
        .push
        .selection
        .choose(&all)
        .map_err(|wanted| no_platform(pushing, wanted, platforms_of(&all)))?;
    let mut images = Vec::new();
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for entry in &chosen {
        match available(pushing, entry).await? {
            Availability::Here(image) => {
                images.push(*image);
                kept.push(entry.clone());
            }
            Availability::There => kept.push(entry.clone()),
            Availability::Missing => missing.push(entry.clone()),
        }
    }
    let is_whole = missing.is_empty() && chosen.len() == all.len();
    if is_whole {
        return Ok(Plan { root, images });
    }
    // One platform that was asked for by name is pushed as its own manifest, as Docker does.
    let is_single_choice = matches!(&pushing.push.selection, Selection::Platforms(list) if list.len() == 1)
        || matches!(pushing.push.selection, Selection::Best(_));
    let may_reduce = pushing.push.partial == PartialIndex::Reduce || (is_single_choice && missing.is_empty());
    if !may_reduce || kept.iter().all(|entry| !entry.is_image()) {
        let left_out = all
            .iter()
            .filter(|entry| !kept.contains(entry))
            .cloned()
            .collect::<Vec<_>>();
        return Err(Error::Incomplete {
            reference: pushing.name(),
            missing: platforms_of(&left_out),
            present: platforms_of(&kept),
        });
    }
    let lost = all
        .iter()
        .filter(|entry| !kept.contains(entry))
        .cloned()
        .collect::<Vec<_>>();
    let lost: Vec<_> = platforms_of(&lost).iter().map(ToString::to_string).collect();
    if !lost.is_empty() {
        pushing.progress.status(&format!("Not pushed: {}", lost.join(", ")));
    }
    reduced(pushing, index, kept, images)
}

/// What is pushed in place of the whole index: the only manifest, or a new index over several.
fn reduced(
    pushing: &Pushing<'_>,
    index: &ImageIndex,
    kept: Vec<Entry>,
    mut images: Vec<PushedImage>,
) -> Result<Plan, Error> {
    let only = kept.iter().filter(|entry| entry.is_image()).count() == 1;
    if only && let Some(entry) = kept.iter().find(|entry| entry.is_image()) {
        images.retain(|image| image.manifest.descriptor.digest() == entry.descriptor.digest());
        let root = match images.first() {
            Some(image) => image.manifest.clone(),
            None => stored(pushing, &entry.descriptor)?,
        };
        return Ok(Plan { root, images });
    }
    let is_about_kept = |entry: &Entry| match &entry.statement_about {
        None => true,
        Some(about) => kept.iter().any(|kept| kept.descriptor.digest().to_string() == *about),
    };
    let manifests: Vec<Descriptor> = kept
        .iter()
        .filter(|entry| is_about_kept(entry))
        .map(|entry| entry.descriptor.clone())
        .collect();
    images.retain(|image| {
        manifests
            .iter()
            .any(|kept| kept.digest() == image.manifest.descriptor.digest())
    });
    let mut index = index.clone();
    index.set_manifests(manifests);
    let what = format!("index of {}", pushing.name());
    let bytes = serde_json::to_vec(&index).map_err(|error| Error::Descriptor {
        what: what.clone(),
        problem: error.to_string(),
    })?;
    let media_type = pushing.push.target.media_type().to_string();
    let root = read(&media_type, bytes.into(), &what)?;
    Ok(Plan { root, images })
}

/// Whether the store has an entry with all its blobs, or the registry has it.
async fn available(pushing: &Pushing<'_>, entry: &Entry) -> Result<Availability, Error> {
    let digest = required_digest(&entry.descriptor, &pushing.name())?;
    if pushing.store.content().has(&digest) {
        let manifest = stored(pushing, &entry.descriptor)?;
        let Document::Manifest(parsed) = manifest.document.clone() else {
            return Err(Error::Descriptor {
                what: pushing.name(),
                problem: "an index within an index is not supported".to_owned(),
            });
        };
        if has_blobs(pushing, &parsed)? {
            return Ok(Availability::Here(Box::new(PushedImage { manifest, parsed })));
        }
    }
    match exists(&pushing.session, &digest).await? {
        Presence::There => Ok(Availability::There),
        Presence::Absent => Ok(Availability::Missing),
    }
}

fn has_blobs(pushing: &Pushing<'_>, manifest: &ImageManifest) -> Result<bool, Error> {
    for descriptor in std::iter::once(manifest.config()).chain(manifest.layers()) {
        if !pushing
            .store
            .content()
            .has(&required_digest(descriptor, &pushing.name())?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A document from the store, as its bytes are.
fn stored(pushing: &Pushing<'_>, descriptor: &Descriptor) -> Result<Manifest, Error> {
    let what = pushing.name();
    let digest = required_digest(descriptor, &what)?;
    let bytes = read_blob(pushing, &digest, &what)?;
    read(descriptor.media_type().as_ref(), bytes.into(), &what)
}

fn read_blob(pushing: &Pushing<'_>, digest: &Digest, what: &str) -> Result<Vec<u8>, Error> {
    pushing
        .store
        .content()
        .read(digest, MAX_LEN_BYTES as u64)
        .map_err(|source| Error::Store {
            what: format!("manifest of {what}"),
            source: Box::new(source),
        })
}

/// The platform of a manifest that no index names; `None` when its config says nothing.
fn config_platform(pushing: &Pushing<'_>, manifest: &ImageManifest) -> Option<Platform> {
    let digest = Digest::try_from(manifest.config().digest()).ok()?;
    let bytes = pushing.store.content().read(&digest, MAX_LEN_BYTES as u64).ok()?;
    Some(ferry_oci::ImageConfig::parse(&bytes).ok()?.platform())
}

fn no_platform(pushing: &Pushing<'_>, wanted: Vec<Platform>, available: Vec<Platform>) -> Error {
    Error::NoPlatform {
        reference: pushing.name(),
        wanted,
        available,
    }
}
