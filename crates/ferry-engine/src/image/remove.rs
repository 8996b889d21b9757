//! Removes names from an image, and the image with its last one.

use ferry_oci::{Digest, Reference};

use super::Error;
use super::names::{NamedImage, NamesHeld, dangling, tagged};
use super::usage::{self, Use, Uses};
use crate::Engine;

/// What stands in the way of a removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Removal {
    /// Containers that use the image, and further repositories that name it.
    #[default]
    Careful,
    /// Only containers that run (`--force`).
    Force,
}

/// Something that a removal took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name, as people write it.
    Untagged(String),
    /// The image itself.
    Deleted(Digest),
}

impl Engine {
    /// Removes what `name` says: a name, or the image of an id with all its names. An image goes with its
    /// last name; what nothing else holds of it is free when this returns.
    ///
    /// Docker Engine API `ImageDelete`, and its words for what stands in the way.
    pub async fn remove_image(&self, name: &str, removal: Removal) -> Result<Vec<Removed>, Error> {
        let name = name.to_owned();
        let removed = self
            .blocking(move |engine| engine.remove_image_now(&name, removal))
            .await?;
        if removed.iter().any(|what| matches!(what, Removed::Deleted(_))) {
            self.collect_garbage().await?;
        }
        Ok(removed)
    }

    fn remove_image_now(&self, wanted: &str, removal: Removal) -> Result<Vec<Removed>, Error> {
        let target = self.find_image(wanted)?;
        let names = self.hold_names();
        let image = self.named_image(&target)?;
        let uses = usage::of_containers(self);
        let chosen = self.names_meant(wanted, &image);
        match chosen {
            // By name: others may go on using the image under theirs.
            Some(name) if image.names.len() > 1 => self.untag(&names, &image, std::slice::from_ref(&name), Fate::Stays),
            Some(name) => {
                let held = self.holder(&image, &uses, removal)?;
                if let Some(holder) = held {
                    return Err(Error::NameInUse {
                        name: tagged(&name),
                        container: short(&holder.container),
                        image: image.id.short(),
                    });
                }
                self.untag(&names, &image, &image.names, Fate::Goes)
            }
            None => {
                if removal == Removal::Careful && repositories(&image) > 1 {
                    return Err(Error::SeveralRepositories(image.id.short()));
                }
                if let Some(holder) = self.holder(&image, &uses, removal)? {
                    return Err(Error::ImageInUse {
                        image: image.id.short(),
                        container: short(&holder.container),
                        is_running: holder.is_running,
                    });
                }
                self.untag(&names, &image, &image.names, Fate::Goes)
            }
        }
    }

    /// The name that `wanted` means; `None` when it is an id.
    fn names_meant(&self, wanted: &str, image: &NamedImage) -> Option<Reference> {
        let reference = Reference::parse(wanted).ok()?;
        image.names.iter().find(|name| **name == reference).cloned()
    }

    /// A container that stands in the way.
    pub(super) fn holder(&self, image: &NamedImage, uses: &Uses, removal: Removal) -> Result<Option<Use>, Error> {
        for entry in self.store.platforms(&image.target)? {
            let holder = uses
                .of(&entry.descriptor)
                .iter()
                .find(|usage| usage.is_running || removal == Removal::Careful);
            if let Some(holder) = holder {
                return Ok(Some(holder.clone()));
            }
        }
        Ok(None)
    }

    pub(super) fn untag(
        &self,
        held: &NamesHeld<'_>,
        image: &NamedImage,
        names: &[Reference],
        fate: Fate,
    ) -> Result<Vec<Removed>, Error> {
        let mut records = names.to_vec();
        if fate == Fate::Goes {
            records.push(dangling(&image.target)?);
        }
        self.remove_image_names(held, &records)?;
        let mut removed = Vec::new();
        for name in names {
            let shown = tagged(name);
            self.image_event("untag", &image.target, &shown)?;
            removed.push(Removed::Untagged(shown));
        }
        if fate == Fate::Goes {
            self.image_event("delete", &image.target, &image.id.to_string())?;
            removed.push(Removed::Deleted(image.id));
        }
        Ok(removed)
    }
}

/// Whether an image goes with the names that are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has others.
    Stays,
    /// They are its last.
    Goes,
}

fn repositories(image: &NamedImage) -> usize {
    let mut repositories: Vec<String> = image.names.iter().map(Reference::name).collect();
    repositories.sort();
    repositories.dedup();
    repositories.len()
}

/// An id as messages show it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
