//! Sends an image to its registry.

use ferry_oci::{Descriptor, Reference};
use ferry_registry::{Credentials, PartialIndex, Progress, Push, Selection};

use super::names::tagged;
use super::{Error, Platforms};
use crate::Engine;

impl Engine {
    /// Sends the image `reference` to the registry that its name says, and returns what the name points
    /// at there. The image is looked up by its name alone, as what is pushed is a name.
    ///
    /// [`Platforms::Best`] sends what is here, even if the index names more; [`Platforms::All`] refuses then.
    pub async fn push_image(
        &self,
        reference: &Reference,
        platforms: &Platforms,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
    ) -> Result<Descriptor, Error> {
        let _lease = self.store.lease();
        let record = self
            .store
            .images()
            .get(reference)
            .map_err(|_missing| Error::NotTagged(tagged(reference)))?;
        let (selection, partial) = match platforms {
            Platforms::Best => (Selection::All, PartialIndex::Reduce),
            Platforms::These(these) => (Selection::Platforms(these.clone()), PartialIndex::Reduce),
            Platforms::All => (Selection::All, PartialIndex::Refuse),
        };
        let push = Push {
            reference: reference.clone(),
            target: record.target.clone(),
            selection,
            partial,
        };
        let pushed = self.registry.push(&self.store, &push, credentials, progress).await?;
        self.image_event("push", &record.target, &tagged(reference))?;
        Ok(pushed)
    }

    /// The names of the repository `repository` that images have here: what a push without a tag means.
    pub fn tags_of(&self, repository: &Reference) -> Vec<Reference> {
        let names = self.store.images().list().into_iter();
        names
            .map(|record| record.reference)
            .filter(|name| name.name() == repository.name() && name.tag().is_some())
            .collect()
    }
}
