//! Where else on the same registry a blob may be: what the store's own image names suggest.

use std::collections::{BTreeSet, HashMap};

use ferry_oci::document::MAX_LEN_BYTES;
use ferry_oci::{Descriptor, Digest, Document, Reference};
use ferry_store::Store;

/// Images whose manifests are read for this; more are ignored.
const MAX_IMAGES: usize = 256;

/// For each blob, the repositories of `target`'s registry whose images in the store hold it.
///
/// A name here does not prove that the image was ever there: a registry that lacks the source begins
/// an ordinary upload instead. Blocking.
pub(super) fn mount_sources(store: &Store, target: &Reference) -> HashMap<Digest, Vec<String>> {
    let mut sources: HashMap<Digest, BTreeSet<String>> = HashMap::new();
    let images = store.images().list();
    let candidates = images
        .iter()
        .filter(|image| image.reference.domain() == target.domain() && image.reference.path() != target.path());
    for image in candidates.take(MAX_IMAGES) {
        for blob in blobs_of(store, &image.target) {
            sources
                .entry(blob)
                .or_default()
                .insert(image.reference.path().to_owned());
        }
    }
    sources
        .into_iter()
        .map(|(blob, paths)| (blob, paths.into_iter().collect()))
        .collect()
}

/// The layers and configs below an index or manifest, as far as they are here.
fn blobs_of(store: &Store, target: &Descriptor) -> Vec<Digest> {
    let read = |descriptor: &Descriptor| {
        let digest = Digest::try_from(descriptor.digest()).ok()?;
        let bytes = store.content().read(&digest, MAX_LEN_BYTES as u64).ok()?;
        Document::parse(descriptor.media_type().as_ref(), &bytes).ok()
    };
    let manifests = match read(target) {
        Some(Document::Manifest(manifest)) => vec![manifest],
        Some(Document::Index(index)) => index
            .manifests()
            .iter()
            .filter_map(|entry| match read(entry)? {
                Document::Manifest(manifest) => Some(manifest),
                Document::Index(_) => None,
            })
            .collect(),
        None => Vec::new(),
    };
    let descriptors = manifests
        .iter()
        .flat_map(|manifest| std::iter::once(manifest.config()).chain(manifest.layers()));
    descriptors
        .filter_map(|descriptor| Digest::try_from(descriptor.digest()).ok())
        .collect()
}
