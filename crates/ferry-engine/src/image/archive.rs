//! Images as archives: `load` and `save`.

use std::io::{Read, Write};

use ferry_oci::{Descriptor, Platform, Reference};
use ferry_store::archive::{self, SaveOptions};

use super::Error;
use super::names::{NamedImage, digest_of, tagged};
use crate::Engine;

/// An image that came out of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedImage {
    /// Its name, as people write it, if the archive gives one.
    pub name: Option<String>,
    /// The index or manifest.
    pub target: Descriptor,
}

impl Engine {
    /// Takes the images out of `archive`: an OCI layout or a docker-archive, plain or compressed. Blocks.
    pub fn load_images(&self, archive: impl Read) -> Result<Vec<LoadedImage>, Error> {
        let lease = self.store.lease();
        let before = self.named_images()?;
        let loaded = archive::load(&self.store, archive, &ferry_store::Limits::default())?;
        let mut images = Vec::new();
        for image in loaded {
            match &image.reference {
                Some(name) => self.set_image_name(name, &image.target)?,
                None => self.keep_nameless(&image.target)?,
            }
            let name = image.reference.as_ref().map(tagged);
            self.image_event("load", &image.target, name.as_deref().unwrap_or_default())?;
            images.push(LoadedImage {
                name,
                target: image.target,
            });
        }
        self.keep_replaced(before)?;
        drop(lease);
        Ok(images)
    }

    /// Writes the images that `names` mean to `out`. Each name is looked up before the first byte. Blocks.
    pub fn save_images(&self, names: &[String], platforms: &[Platform], out: impl Write) -> Result<(), Error> {
        let _lease = self.store.lease();
        let images = self.images_to_save(names)?;
        let options = SaveOptions {
            platforms: platforms.to_vec(),
        };
        Ok(archive::save(&self.store, &images, &options, out)?)
    }

    /// What [`Engine::save_images`] would write; fails for what is not there.
    pub fn images_to_save(&self, names: &[String]) -> Result<Vec<(Option<Reference>, Descriptor)>, Error> {
        let mut images = Vec::new();
        for name in names {
            let target = self.find_image(name)?;
            let image = self.named_image(&target)?;
            let wanted = Reference::parse(name).ok();
            match wanted.filter(|wanted| image.names.contains(wanted)) {
                Some(reference) => images.push((Some(reference), target)),
                None => images.push((None, target)),
            }
        }
        Ok(images)
    }

    /// Images that lost their last name to what was loaded stay, dangling.
    fn keep_replaced(&self, before: Vec<NamedImage>) -> Result<(), Error> {
        let now = self.named_images()?;
        let is_here = |image: &NamedImage| now.iter().any(|other| other.id == image.id);
        for image in before.iter().filter(|image| !is_here(image)) {
            if self.store.content().has(&digest_of(&image.target)?) {
                self.keep_nameless(&image.target)?;
            }
        }
        Ok(())
    }
}
