//! Images as archives: `load` and `save`.

use std::io::{Read, Write};

use ferry_oci::{Descriptor, Platform, Reference};
use ferry_store::Lease;
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

/// Images that were looked up to be saved. They stay as long as this lives.
#[derive(Debug)]
pub struct ImagesToSave {
    images: Vec<(Option<Reference>, Descriptor)>,
    options: SaveOptions,
    _lease: Lease,
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

    /// Writes `images` to `out`. Blocks.
    pub fn save_images(&self, images: &ImagesToSave, out: impl Write) -> Result<(), Error> {
        Ok(archive::save(&self.store, &images.images, &images.options, out)?)
    }

    /// What `names` mean, of these platforms or of all that are here; fails for what is not there.
    pub fn images_to_save(&self, names: &[String], platforms: &[Platform]) -> Result<ImagesToSave, Error> {
        let lease = self.store.lease();
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
        Ok(ImagesToSave {
            images,
            options: SaveOptions {
                platforms: platforms.to_vec(),
            },
            _lease: lease,
        })
    }

    /// The result of a build under `names`, which need not be names here.
    pub fn built_to_save(&self, target: &Descriptor, names: &[Reference]) -> ImagesToSave {
        let lease = self.store.lease();
        let images = match names {
            [] => vec![(None, target.clone())],
            names => names.iter().map(|name| (Some(name.clone()), target.clone())).collect(),
        };
        ImagesToSave {
            images,
            options: SaveOptions::default(),
            _lease: lease,
        }
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
