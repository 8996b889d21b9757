//! Loading an image archive.

use std::io::{BufReader, Read};

use ferry_oci::{Descriptor, Digest, Document, ImageIndex, Reference, document};

use super::docker;
use super::files::Files;
use crate::error::ArchiveError;
use crate::image::{NAME_ANNOTATION, TAG_ANNOTATION};
use crate::{Error, Limits, Store};

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its name, if the archive gives one; it points at the image already.
    pub reference: Option<Reference>,
    /// What was stored: an index or a manifest.
    pub target: Descriptor,
}

/// Loads the images of an archive: content, unpacked layers and names.
///
/// The archive is read once, from front to back; names in it are never names of files on the host.
/// Nothing is named before all of it is there and checked, and without a name nothing stays for
/// longer than the next collection. Hold a lease to use images that have no name.
pub fn load(store: &Store, archive: impl Read, limits: &Limits) -> Result<Vec<Loaded>, Error> {
    let _lease = store.lease();
    let archive = BufReader::with_capacity(256 << 10, archive);
    let files = Files::read(store, archive, limits)?;
    let loaded = if files.has("index.json") {
        load_layout(store, files, limits)?
    } else if files.has("manifest.json") {
        docker::load(store, files, limits)?
    } else {
        return Err(ArchiveError::NotAnImage.into());
    };
    for image in &loaded {
        if let Some(reference) = &image.reference {
            store.images().put(reference, image.target.clone())?;
        }
    }
    Ok(loaded)
}

/// Loads an OCI image layout. Source: OCI image-spec `image-layout.md`.
fn load_layout(store: &Store, mut files: Files, limits: &Limits) -> Result<Vec<Loaded>, Error> {
    let bytes = files.read_small("index.json", document::MAX_LEN_BYTES as u64)?;
    let index: ImageIndex = match Document::parse("", &bytes) {
        Ok(Document::Index(index)) => index,
        Ok(Document::Manifest(_)) => return Err(ArchiveError::NotAnImage.into()),
        Err(source) => {
            return Err(Error::Document {
                digest: Digest::of(&bytes),
                source,
            });
        }
    };
    files.commit_blobs()?;
    let mut loaded = Vec::new();
    for descriptor in index.manifests() {
        let target = bare(descriptor);
        unpack_present(store, &target, limits)?;
        loaded.push(Loaded {
            reference: reference_of(descriptor)?,
            target,
        });
    }
    Ok(loaded)
}

/// Unpacks every image of `target` whose blobs the archive brought.
fn unpack_present(store: &Store, target: &Descriptor, limits: &Limits) -> Result<(), Error> {
    let mut error = None;
    let mut unpacked = 0;
    for entry in store.platforms(target)? {
        let image = match crate::image::find_manifest(store, &entry.descriptor) {
            Ok(Some(image)) => image,
            Ok(None) => continue,
            Err(missing @ Error::BlobMissing(_)) => {
                error = error.or(Some(missing));
                continue;
            }
            Err(error) => return Err(error),
        };
        match image.unpack(store, limits) {
            Ok(()) => unpacked += 1,
            // A subset of the platforms is a legal archive; a platform without its layers is none.
            Err(missing @ Error::BlobMissing(_)) => error = error.or(Some(missing)),
            Err(error) => return Err(error),
        }
    }
    match error {
        Some(error) if unpacked == 0 => Err(error),
        _ => Ok(()),
    }
}

/// The name that the archive gives an image: containerd's and Docker's annotation, or OCI's if that
/// is a whole reference; a tag alone names nothing.
fn reference_of(descriptor: &Descriptor) -> Result<Option<Reference>, Error> {
    let annotations = descriptor.annotations().clone().unwrap_or_default();
    if let Some(name) = annotations.get(NAME_ANNOTATION) {
        return Ok(Some(Reference::parse(name).map_err(ArchiveError::from)?));
    }
    let name = annotations.get(TAG_ANNOTATION);
    Ok(name
        .filter(|name| name.contains(['/', ':']))
        .and_then(|name| Reference::parse(name).ok()))
}

/// A descriptor as a record holds it: what names and annotates it in an index is not its own.
fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(
        descriptor.media_type().clone(),
        descriptor.size(),
        descriptor.digest().clone(),
    )
}
