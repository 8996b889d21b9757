//! Image names: one durable record each, and `index.json` for other tools.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ferry_oci::{Descriptor, Digest, Reference, media_type};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::document::reachable;
use crate::error::RecordError;
use crate::lease::Key;
use crate::record::{self, Record};
use crate::store::{file_name, folder, list};
use crate::{Durability, Error, Store, Timestamp};

/// The annotation with an image's whole name in `index.json`, as containerd and Docker write it.
pub(crate) const NAME_ANNOTATION: &str = "io.containerd.image.name";
/// The annotation with its tag. Source: OCI image-spec `annotations.md`.
pub(crate) const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// An image name and what it points at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The name: with a tag, with a digest, or both.
    pub reference: Reference,
    /// An index or a manifest.
    pub target: Descriptor,
    /// When the name came to point at it.
    pub tagged_at: Timestamp,
}

impl Record for ImageRecord {
    const VERSION: u32 = 1;
}

/// All names, as the records say; read once.
pub(crate) struct Names(RwLock<BTreeMap<String, ImageRecord>>);

/// Access to the image names of a [`Store`].
#[derive(Clone, Copy)]
pub struct Images<'a> {
    store: &'a Store,
}

impl Names {
    /// Reads the records in `folder`. A damaged one is said and left where it is, so that the engine
    /// still starts; one of a newer Ferry is an error, since collecting would take what it names.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut names = BTreeMap::new();
        for path in list(folder)? {
            if !file_name(&path).ends_with(".json") {
                continue;
            }
            match record::read::<ImageRecord>(&path) {
                Ok(Some(record)) => {
                    names.insert(record.reference.to_string(), record);
                }
                Ok(None) => {}
                Err(Error::Record {
                    reason: RecordError::Malformed(reason),
                    ..
                }) => tracing::error!(path = %path.display(), %reason, "damaged image record"),
                Err(error) => return Err(error),
            }
        }
        Ok(Self(RwLock::new(names)))
    }
}

impl<'a> Images<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Makes `reference` point at `target`, an index or a manifest that is here, and returns what it
    /// pointed at before. Durable: what `target` holds is synced first, if it is not yet.
    pub fn put(&self, reference: &Reference, target: Descriptor) -> Result<Option<Descriptor>, Error> {
        let _lease = self.store.lease();
        let held = self.touch(&target)?;
        if self.store.inner().pending.has_any(&held) {
            self.store.sync()?;
        }
        let record = ImageRecord {
            reference: reference.clone(),
            target,
            tagged_at: Timestamp::now(),
        };
        let mut names = self.write();
        record::write_durable(&self.path(reference), &record)?;
        let before = names.insert(reference.to_string(), record);
        drop(names);
        self.write_index()?;
        Ok(before.map(|record| record.target))
    }

    /// What `reference` points at.
    pub fn get(&self, reference: &Reference) -> Result<ImageRecord, Error> {
        let names = self.read();
        let found = names.get(&reference.to_string()).cloned();
        found.ok_or_else(|| Error::ImageMissing(Box::new(reference.clone())))
    }

    /// All names, sorted.
    pub fn list(&self) -> Vec<ImageRecord> {
        self.read().values().cloned().collect()
    }

    /// Removes the name and returns what it pointed at; the content stays until it is collected.
    pub fn remove(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let mut names = self.write();
        let Some(record) = names.get(&reference.to_string()).cloned() else {
            return Err(Error::ImageMissing(Box::new(reference.clone())));
        };
        record::remove(&self.path(reference), Durability::Durable)?;
        names.remove(&reference.to_string());
        drop(names);
        self.write_index()?;
        Ok(record.target)
    }

    /// Makes `new` point at what `existing` points at.
    pub fn tag(&self, existing: &Reference, new: &Reference) -> Result<(), Error> {
        let target = self.get(existing)?.target;
        self.put(new, target).map(drop)
    }

    /// Rewrites `index.json`, which is for other tools: Ferry itself reads the records.
    pub(crate) fn write_index(&self) -> Result<(), Error> {
        // Held until the file is in place: the last writer must be the one that knows most.
        let names = self.write();
        let mut manifests = Vec::new();
        for record in names.values() {
            let mut descriptor = record.target.clone();
            let annotations = descriptor.annotations().clone().unwrap_or_default();
            descriptor.set_annotations(Some(with_name(annotations, &record.reference)));
            manifests.push(descriptor);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": manifests,
        });
        let path = self.store.root().join("index.json");
        record::write_bytes(&path, index.to_string().as_bytes(), Durability::Volatile)
    }

    /// Protects all that `target` holds, so that it is not collected before the name is there.
    fn touch(&self, target: &Descriptor) -> Result<Vec<Key>, Error> {
        let digest = Digest::try_from(target.digest())?;
        if !self.store.content().has(&digest) {
            return Err(Error::BlobMissing(digest));
        }
        let keys = reachable(self.store, target)?;
        let mut protection = self.store.inner().protection.lock();
        keys.iter().for_each(|key| protection.touch(*key));
        drop(protection);
        Ok(keys)
    }

    /// References may be longer than a file's name, and have slashes.
    fn path(&self, reference: &Reference) -> PathBuf {
        let name = Digest::of(reference.to_string().as_bytes()).hex();
        self.store.folder(folder::IMAGES).join(name + ".json")
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, ImageRecord>> {
        let names = &self.store.inner().names.0;
        names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, ImageRecord>> {
        let names = &self.store.inner().names.0;
        names.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the annotations by which other tools find an image's name.
pub(crate) fn with_name(mut annotations: HashMap<String, String>, reference: &Reference) -> HashMap<String, String> {
    annotations.insert(NAME_ANNOTATION.to_owned(), reference.to_string());
    if let Some(tag) = reference.tag() {
        annotations.insert(TAG_ANNOTATION.to_owned(), tag.to_owned());
    }
    annotations
}
