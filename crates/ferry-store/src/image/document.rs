//! Reading the documents of images from the store, and what they refer to.

use ferry_oci::{Descriptor, Digest, Document, ImageConfig, ImageManifest, MediaKind, document};

use crate::lease::Key;
use crate::{Error, Store};

/// Documents that one index may lead to, at most: indexes may hold indexes.
const MAX_DOCUMENTS: usize = 4096;

/// Reads the index or manifest that `descriptor` describes.
pub(super) fn read(store: &Store, descriptor: &Descriptor) -> Result<Document, Error> {
    let digest = Digest::try_from(descriptor.digest())?;
    let bytes = store.content().read(&digest, document::MAX_LEN_BYTES as u64)?;
    Document::parse(descriptor.media_type().as_ref(), &bytes).map_err(|source| Error::Document { digest, source })
}

/// Reads the config of `manifest`.
pub(super) fn read_config(store: &Store, manifest: &ImageManifest) -> Result<ImageConfig, Error> {
    let digest = Digest::try_from(manifest.config().digest())?;
    let bytes = store.content().read(&digest, document::MAX_LEN_BYTES as u64)?;
    ImageConfig::parse(&bytes).map_err(|source| Error::Document { digest, source })
}

/// The manifests of `target` that are here, each with its descriptor, in the index's order, those of
/// nested indexes included; manifests that are not here with `None`.
pub(super) fn manifests(store: &Store, target: &Descriptor) -> Result<Vec<(Descriptor, Option<ImageManifest>)>, Error> {
    let mut found = Vec::new();
    let mut todo = vec![target.clone()];
    let mut documents = 0;
    while let Some(descriptor) = todo.pop() {
        documents += 1;
        if documents > MAX_DOCUMENTS {
            return Err(Error::Limit {
                what: "manifests of one index",
                limit: MAX_DOCUMENTS as u64,
            });
        }
        let is_document = matches!(
            MediaKind::of(descriptor.media_type().as_ref()),
            Some(MediaKind::Index | MediaKind::Manifest)
        );
        if !is_document && &descriptor != target {
            continue;
        }
        match read(store, &descriptor) {
            Ok(Document::Index(index)) => todo.extend(index.manifests().iter().rev().cloned()),
            Ok(Document::Manifest(manifest)) => found.push((descriptor, Some(manifest))),
            Err(Error::BlobMissing(digest)) => {
                if &descriptor == target {
                    return Err(Error::BlobMissing(digest));
                }
                found.push((descriptor, None));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The indexes that `target` consists of, itself included if it is one.
pub(crate) fn index_blobs(store: &Store, target: &Descriptor) -> Result<Vec<Digest>, Error> {
    let mut found = Vec::new();
    let mut todo = vec![target.clone()];
    while let Some(descriptor) = todo.pop() {
        let kind = MediaKind::of(descriptor.media_type().as_ref());
        if kind != Some(MediaKind::Index) || found.len() >= MAX_DOCUMENTS {
            continue;
        }
        match read(store, &descriptor) {
            Ok(Document::Index(index)) => {
                found.push(Digest::try_from(descriptor.digest())?);
                todo.extend(index.manifests().iter().cloned());
            }
            Ok(Document::Manifest(_)) | Err(Error::BlobMissing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Everything that `target` holds, itself included: of what is here, all; of what is not, the names.
///
/// A document that cannot be read holds nothing but itself: collecting must not stop for one.
pub(crate) fn reachable(store: &Store, target: &Descriptor) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    let mut todo = vec![target.clone()];
    while let Some(descriptor) = todo.pop() {
        let digest = Digest::try_from(descriptor.digest())?;
        if keys.len() > MAX_DOCUMENTS * 64 {
            break;
        }
        keys.push(Key::Blob(digest));
        let kind = MediaKind::of(descriptor.media_type().as_ref());
        if !matches!(kind, Some(MediaKind::Index | MediaKind::Manifest)) {
            continue;
        }
        match read(store, &descriptor) {
            Ok(Document::Index(index)) => todo.extend(index.manifests().iter().cloned()),
            Ok(Document::Manifest(manifest)) => {
                todo.push(manifest.config().clone());
                todo.extend(manifest.layers().iter().cloned());
                if let Ok(config) = read_config(store, &manifest) {
                    keys.extend(config.rootfs.diff_ids.into_iter().map(Key::Layer));
                }
            }
            Err(Error::BlobMissing(_) | Error::Document { .. } | Error::DigestMismatch { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(keys)
}
