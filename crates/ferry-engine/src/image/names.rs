//! The names of images: which point at what, and what becomes of an image that loses its last name.
//!
//! An image is what a name points at, an index or a manifest; its id is that document's digest, as in
//! Docker with the containerd store. An image that lost its last name to another one is *dangling*: it
//! stays, under a reserved name that nobody sees, until it is pruned or removed by its id.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferry_oci::{Descriptor, Digest, Reference};
use ferry_store::Store;

use super::Error;
use crate::Engine;

/// Names of dangling images; the top-level domain is reserved for what does not exist (RFC 2606).
const DANGLING: &str = "ferry.invalid/dangling";

/// Held while names change, so that an image is dangling or named but never both or neither, and used or removed.
#[derive(Debug, Default)]
pub(crate) struct Naming(Mutex<()>);

/// An image and all of its names.
#[derive(Debug, Clone)]
pub(crate) struct NamedImage {
    /// The index or manifest.
    pub(crate) target: Descriptor,
    /// Its digest, which is the image's id.
    pub(crate) id: Digest,
    /// Its names, sorted; none for a dangling image.
    pub(crate) names: Vec<Reference>,
    /// When it last got a name, in seconds since 1970.
    pub(crate) tagged_at: i64,
}

/// As long as it lives, no image gets or loses a name, and no container comes to use one.
#[must_use = "names change again as soon as it is dropped"]
pub(crate) struct NamesHeld<'a> {
    _guard: MutexGuard<'a, ()>,
}

impl NamedImage {
    /// Whether it has no name that anybody sees.
    pub(crate) fn is_dangling(&self) -> bool {
        self.names.is_empty()
    }

    /// Names with a tag, as people write them.
    pub(crate) fn repo_tags(&self) -> Vec<String> {
        self.names
            .iter()
            .filter(|name| name.tag().is_some())
            .map(tagged)
            .collect()
    }

    /// Names with the image's digest, one a repository, as people write them.
    pub(crate) fn repo_digests(&self) -> Vec<String> {
        let mut digests: Vec<String> = self
            .names
            .iter()
            .map(|name| format!("{}@{}", name.familiar_name(), self.id))
            .collect();
        digests.sort();
        digests.dedup();
        digests
    }
}

impl Engine {
    /// Waits until nobody changes names.
    pub(crate) fn hold_names(&self) -> NamesHeld<'_> {
        NamesHeld {
            _guard: self.naming.0.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Makes a use of the image that was called `name` known by `announce`, so that of a removal and the use one wins.
    pub(crate) fn use_image(&self, name: &str, target: &Descriptor, announce: impl FnOnce()) -> Result<(), Error> {
        let _names = self.hold_names();
        let records = self.store.images().list();
        if !records.iter().any(|record| record.target.digest() == target.digest()) {
            return Err(Error::NoSuchImage(name.to_owned()));
        }
        announce();
        Ok(())
    }

    /// All images, each with its names, in the order of their ids.
    pub(crate) fn named_images(&self) -> Result<Vec<NamedImage>, Error> {
        let mut images: BTreeMap<Digest, NamedImage> = BTreeMap::new();
        for record in self.store.images().list() {
            let id = digest_of(&record.target)?;
            let image = images.entry(id).or_insert_with(|| NamedImage {
                target: record.target.clone(),
                id,
                names: Vec::new(),
                tagged_at: record.tagged_at.0,
            });
            image.tagged_at = image.tagged_at.max(record.tagged_at.0);
            if !is_dangling(&record.reference) {
                image.names.push(record.reference);
            }
        }
        Ok(images.into_values().collect())
    }

    /// The image `id` with its names.
    pub(crate) fn named_image(&self, target: &Descriptor) -> Result<NamedImage, Error> {
        let id = digest_of(target)?;
        let found = self.named_images()?.into_iter().find(|image| image.id == id);
        found.ok_or_else(|| Error::NoSuchImage(id.to_string()))
    }

    /// Makes `name` point at `target`. What it pointed at before stays, dangling if this was its last name.
    /// Durable when this returns.
    pub(crate) fn set_image_name(&self, name: &Reference, target: &Descriptor) -> Result<(), Error> {
        let _names = self.hold_names();
        let before = self.store.images().put(name, target.clone())?;
        let images = self.store.images();
        if let Some(before) = before.filter(|before| before.digest() != target.digest())
            && !has_names(&self.store, &before)
        {
            images.put(&dangling(&before)?, before)?;
        }
        match images.remove(&dangling(target)?) {
            Ok(_) | Err(ferry_store::Error::ImageMissing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps `target` without a name.
    pub(crate) fn keep_nameless(&self, target: &Descriptor) -> Result<(), Error> {
        let _names = self.hold_names();
        if !has_names(&self.store, target) {
            self.store.images().put(&dangling(target)?, target.clone())?;
        }
        Ok(())
    }

    /// Removes `names`, the last ones of an image among them if it is to go.
    pub(crate) fn remove_image_names(&self, _held: &NamesHeld<'_>, names: &[Reference]) -> Result<(), Error> {
        for name in names {
            match self.store.images().remove(name) {
                Ok(_) | Err(ferry_store::Error::ImageMissing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The digest that an image goes by.
pub(crate) fn digest_of(target: &Descriptor) -> Result<Digest, Error> {
    Digest::try_from(target.digest()).map_err(|error| Error::Store(error.into()))
}

/// The reserved name of a dangling image.
pub(super) fn dangling(target: &Descriptor) -> Result<Reference, Error> {
    Ok(Reference::parse(DANGLING)?.with_digest(digest_of(target)?))
}

/// Name and tag as people write them, the tag `latest` included.
pub(crate) fn tagged(name: &Reference) -> String {
    match name.tag() {
        Some(tag) => format!("{}:{tag}", name.familiar_name()),
        None => name.familiar(),
    }
}

fn is_dangling(name: &Reference) -> bool {
    name.name() == DANGLING
}

fn has_names(store: &Store, target: &Descriptor) -> bool {
    let records = store.images().list();
    records
        .iter()
        .any(|record| record.target.digest() == target.digest() && !is_dangling(&record.reference))
}
