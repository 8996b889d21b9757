//! Docker's own archive format: `manifest.json` names configs, tars of layers, and tags.
//!
//! Source: `image/tarexport` of moby. Layers are plain tars there (`docker save` before 25, Podman,
//! Skopeo) or whatever the OCI layout beside them has. They get the manifest that pushing them would
//! give: each layer compressed by Ferry, the config as it is.

use std::collections::HashMap;

use ferry_oci::{Descriptor, Digest, ImageConfig, Reference, document, media_type};
use serde::Deserialize;
use serde_json::json;

use super::files::Files;
use super::load::Loaded;
use crate::error::ArchiveError;
use crate::{Error, Limits, Store};

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn load(store: &Store, mut files: Files, limits: &Limits) -> Result<Vec<Loaded>, Error> {
    let bytes = files.read_small("manifest.json", document::MAX_LEN_BYTES as u64)?;
    let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|source| ArchiveError::Malformed {
        file: "manifest.json",
        source,
    })?;
    let mut layers = HashMap::new();
    let mut loaded = Vec::new();
    for entry in entries {
        let target = load_image(store, &mut files, &entry, limits, &mut layers)?;
        let tags = entry.repo_tags.unwrap_or_default();
        if tags.is_empty() {
            loaded.push(Loaded {
                reference: None,
                target: target.clone(),
            });
        }
        for tag in tags {
            loaded.push(Loaded {
                reference: Some(Reference::parse(&tag).map_err(ArchiveError::from)?),
                target: target.clone(),
            });
        }
    }
    Ok(loaded)
}

/// Loads one image and returns its manifest. `known` remembers layers that another image brought.
fn load_image(
    store: &Store,
    files: &mut Files,
    entry: &Entry,
    limits: &Limits,
    known: &mut HashMap<ferry_oci::DiffId, Descriptor>,
) -> Result<Descriptor, Error> {
    let config_digest = files.store(&entry.config)?;
    let bytes = files.read_small(&entry.config, document::MAX_LEN_BYTES as u64)?;
    let config = ImageConfig::parse(&bytes).map_err(|source| Error::Document {
        digest: config_digest,
        source,
    })?;
    let names = entry.layers.as_deref().unwrap_or_default();
    if names.len() != config.rootfs.diff_ids.len() {
        return Err(ArchiveError::LayerCount {
            config_layers: config.rootfs.diff_ids.len(),
            archive_layers: names.len(),
        }
        .into());
    }
    let mut layers = Vec::new();
    for (name, diff_id) in names.iter().zip(&config.rootfs.diff_ids) {
        if !known.contains_key(diff_id) {
            // Docker leaves out the file of a layer that it takes to be there already.
            if files.has(name) || !store.layers().has(diff_id) {
                store.layers().unpack(files.open(name)?, Some(diff_id), limits)?;
            }
            known.insert(*diff_id, store.layers().compress(diff_id)?);
        }
        layers.push(known[diff_id].clone());
    }
    write_manifest(store, &config_digest, bytes.len() as u64, &layers)
}

fn write_manifest(
    store: &Store,
    config: &Digest,
    config_bytes: u64,
    layers: &[Descriptor],
) -> Result<Descriptor, Error> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::new(media_type::OCI_CONFIG.into(), config_bytes, *config),
        "layers": layers,
    });
    let bytes = manifest.to_string().into_bytes();
    let digest = store.content().write(&bytes)?;
    Ok(Descriptor::new(
        media_type::OCI_MANIFEST.into(),
        bytes.len() as u64,
        digest,
    ))
}
