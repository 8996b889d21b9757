//! Saving images to an archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use ferry_oci::{Descriptor, Digest, Platform, Reference, media_type};
use serde_json::{Value, json};

use crate::image::{find_manifest, with_name};
use crate::tar::write::{self as tar_write, Entry};
use crate::{Error, Image, Presence, Store};

/// What of an image is saved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SaveOptions {
    /// These platforms only; empty means all that are here. The index keeps its digest and names the
    /// others too: whoever loads it has a subset.
    pub platforms: Vec<Platform>,
}

/// Writes `images` to `out`, each an index or manifest with the name that it is saved under, if any.
///
/// Bytes and digests are those of the store. The same images give the same archive.
pub fn save(
    store: &Store,
    images: &[(Option<Reference>, Descriptor)],
    options: &SaveOptions,
    mut out: impl Write,
) -> Result<(), Error> {
    let _lease = store.lease();
    let mut plan = Plan::default();
    for (reference, target) in images {
        plan.add(store, reference.as_ref(), target, options)?;
    }
    for digest in &plan.blobs {
        write_blob(store, digest, &mut out)?;
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": plan.index,
    });
    write_json("index.json", &index, &mut out)?;
    write_json("manifest.json", &json!(plan.docker), &mut out)?;
    write_json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}), &mut out)?;
    if !plan.repositories.is_empty() {
        write_json("repositories", &json!(plan.repositories), &mut out)?;
    }
    tar_write::end(&mut out).map_err(Error::Output)?;
    out.flush().map_err(Error::Output)
}

/// What the archive will hold.
#[derive(Default)]
struct Plan {
    blobs: BTreeSet<Digest>,
    index: Vec<Descriptor>,
    /// `manifest.json`
    docker: Vec<Value>,
    /// Name → tag → id of the top layer.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

impl Plan {
    fn add(
        &mut self,
        store: &Store,
        reference: Option<&Reference>,
        target: &Descriptor,
        options: &SaveOptions,
    ) -> Result<(), Error> {
        let chosen = choose(store, target, options)?;
        let mut descriptor = target.clone();
        if let Some(reference) = reference {
            let annotations = descriptor.annotations().clone().unwrap_or_default();
            descriptor.set_annotations(Some(with_name(annotations, reference)));
        }
        self.index.push(descriptor);
        self.blobs.extend(crate::image::index_blobs(store, target)?);
        for image in &chosen {
            self.blobs.insert(Digest::try_from(image.manifest_descriptor.digest())?);
            self.blobs.insert(image.config_digest()?);
            for layer in &image.layers {
                self.blobs.insert(Digest::try_from(layer.descriptor.digest())?);
            }
        }
        // Docker's part of the archive knows one platform a name: the host's, or else the first.
        let host = Platform::host();
        let best = chosen.iter().find(|image| image.platform.satisfies(&host));
        match best.or(chosen.first()) {
            Some(image) => self.add_docker(reference, image),
            None => Ok(()),
        }
    }

    fn add_docker(&mut self, reference: Option<&Reference>, image: &Image) -> Result<(), Error> {
        let path = |digest: Digest| format!("blobs/sha256/{}", digest.hex());
        let mut layers = Vec::new();
        for layer in &image.layers {
            layers.push(path(Digest::try_from(layer.descriptor.digest())?));
        }
        let tag = reference.and_then(|reference| Some((reference, reference.tag()?)));
        self.docker.push(json!({
            "Config": path(image.config_digest()?),
            "RepoTags": tag.map(|(reference, _)| vec![reference.familiar()]),
            "Layers": layers,
        }));
        if let (Some((reference, tag)), Some(top)) = (tag, image.layers.last()) {
            let tags = self.repositories.entry(reference.familiar_name()).or_default();
            tags.insert(tag.to_owned(), top.diff_id.0.hex());
        }
        Ok(())
    }
}

/// The images of `target` that are saved, with all their blobs here.
fn choose(store: &Store, target: &Descriptor, options: &SaveOptions) -> Result<Vec<Image>, Error> {
    if !options.platforms.is_empty() {
        let wanted = options.platforms.iter();
        return wanted.map(|platform| store.image(target, platform)).collect();
    }
    let mut images = Vec::new();
    let mut incomplete = None;
    for entry in store.platforms(target)? {
        if entry.presence == Presence::Absent {
            continue;
        }
        let Some(image) = find_manifest(store, &entry.descriptor)? else {
            continue;
        };
        match missing_blob(store, &image)? {
            None => images.push(image),
            Some(missing) => incomplete = incomplete.or(Some(missing)),
        }
    }
    match incomplete {
        Some(missing) if images.is_empty() => Err(Error::BlobMissing(missing)),
        _ => Ok(images),
    }
}

fn missing_blob(store: &Store, image: &Image) -> Result<Option<Digest>, Error> {
    for layer in &image.layers {
        let digest = Digest::try_from(layer.descriptor.digest())?;
        if !store.content().has(&digest) {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

fn write_blob(store: &Store, digest: &Digest, out: &mut impl Write) -> Result<(), Error> {
    let mut blob = store.content().open(digest)?;
    let size_bytes = blob.size_bytes();
    let name = format!("blobs/sha256/{}", digest.hex());
    write_header(&name, size_bytes, out)?;
    let copied = io::copy(&mut blob.by_ref().take(size_bytes), out).map_err(Error::Output)?;
    if copied != size_bytes {
        return Err(Error::SizeMismatch {
            digest: *digest,
            expected_bytes: size_bytes,
            actual_bytes: copied,
        });
    }
    tar_write::pad(out, size_bytes).map_err(Error::Output)
}

fn write_json(name: &str, value: &Value, out: &mut impl Write) -> Result<(), Error> {
    let bytes = value.to_string().into_bytes();
    write_header(name, bytes.len() as u64, out)?;
    out.write_all(&bytes).map_err(Error::Output)?;
    tar_write::pad(out, bytes.len() as u64).map_err(Error::Output)
}

fn write_header(name: &str, size_bytes: u64, out: &mut impl Write) -> Result<(), Error> {
    let entry = Entry {
        name: name.as_bytes(),
        type_flag: b'0',
        mode: 0o644,
        size_bytes,
        ..Entry::default()
    };
    tar_write::header(out, &entry).map_err(Error::Output)
}
