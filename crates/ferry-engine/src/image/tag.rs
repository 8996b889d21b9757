//! Gives an image another name.

use std::collections::BTreeMap;

use ferry_oci::{Descriptor, Reference};

use super::Error;
use super::names::{digest_of, tagged};
use crate::Engine;

impl Engine {
    /// Makes `name` point at the image `existing`. What it pointed at before stays without that name.
    pub async fn tag_image(&self, existing: &str, name: Reference) -> Result<(), Error> {
        if name.digest().is_some() {
            return Err(Error::TagWithDigest(name));
        }
        let existing = existing.to_owned();
        self.blocking(move |engine| {
            let target = engine.find_image(&existing)?;
            engine.name_image(&name, &target)
        })
        .await
    }

    /// Names the result of a build; without names it is kept under its id.
    pub async fn tag_built(&self, target: &Descriptor, names: &[Reference]) -> Result<(), Error> {
        let (target, names) = (target.clone(), names.to_vec());
        self.blocking(move |engine| {
            if names.is_empty() {
                return engine.keep_nameless(&target);
            }
            names.iter().try_for_each(|name| engine.name_image(name, &target))
        })
        .await
    }

    /// Names an image and tells so.
    pub(super) fn name_image(&self, name: &Reference, target: &Descriptor) -> Result<(), Error> {
        self.set_image_name(name, target)?;
        self.image_event("tag", target, &tagged(name))
    }

    /// Tells that something happened to an image.
    pub(super) fn image_event(&self, action: &str, target: &Descriptor, name: &str) -> Result<(), Error> {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.events
            .send("image", action, digest_of(target)?.to_string(), attributes);
        Ok(())
    }
}
