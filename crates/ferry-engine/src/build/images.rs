//! Base images for the builder: from the store, else from their registry.

use std::sync::Arc;

use async_trait::async_trait;
use ferry_build::{BaseImage, ErrorClass, Images, PortError, PullPolicy, StepOutput};
use ferry_oci::{Descriptor, Digest, Platform, Reference};
use ferry_registry::{Credentials, Selection};
use ferry_store::{Image, Lease, Presence};

use super::transfer::Transfer;
use crate::error::Class;
use crate::{Engine, image};

/// The base images of one build. What was fetched is not collected while it lives.
pub(super) struct BaseImages {
    engine: Engine,
    credentials: Arc<dyn Credentials>,
    _lease: Lease,
}

impl BaseImages {
    pub(super) fn new(engine: Engine, credentials: Arc<dyn Credentials>) -> Self {
        let lease = engine.store.lease();
        Self {
            engine,
            credentials,
            _lease: lease,
        }
    }

    /// The image as the store has it; `None` when it lacks the name, the platform or some of its layers.
    async fn find_here(&self, reference: &Reference, platform: &Platform) -> Result<Here, PortError> {
        let (engine, reference, platform) = (self.engine.clone(), reference.clone(), platform.clone());
        let found = tokio::task::spawn_blocking(move || look(&engine, &reference, &platform)).await;
        found
            .map_err(image::Error::from)
            .and_then(|found| found)
            .map_err(port_error)
    }

    /// Fetches the image. The name is given to what came where nobody has it, or where `naming` says so:
    /// an image that was built here under a registry's name is not replaced in silence.
    async fn fetch_from_registry(
        &self,
        reference: &Reference,
        platform: &Platform,
        naming: Naming,
        output: &StepOutput,
    ) -> Result<Descriptor, PortError> {
        let (transfer, reports) = Transfer::new();
        let selection = Selection::Platforms(vec![platform.clone()]);
        let pull = async {
            let transfer = transfer;
            let engine = &self.engine;
            // On the heap: it is the largest of all futures, and this one is nested deep in the builder's.
            let pull = engine
                .registry
                .pull(&engine.store, reference, &selection, &*self.credentials, &transfer);
            Box::pin(pull).await
        };
        let (pulled, ()) = tokio::join!(pull, reports.tell(output));
        let target = pulled.map_err(|error| port_error(error.into()))?;
        if naming == Naming::Take {
            let (engine, name, named) = (self.engine.clone(), reference.clone(), target.clone());
            tokio::task::spawn_blocking(move || engine.set_image_name(&name, &named))
                .await
                .map_err(image::Error::from)
                .and_then(|named| named)
                .map_err(port_error)?;
        }
        Ok(target)
    }
}

#[async_trait]
impl Images for BaseImages {
    async fn resolve(
        &self,
        reference: &Reference,
        platform: &Platform,
        policy: PullPolicy,
        output: &StepOutput,
    ) -> Result<BaseImage, PortError> {
        let here = self.find_here(reference, platform).await?;
        if policy != PullPolicy::Always
            && let Here::Complete(found) = here
        {
            let (target, image) = *found;
            return base_image(reference, target, &image).map_err(port_error);
        }
        let naming = match (policy, &here) {
            (PullPolicy::Always, _) | (_, Here::Nameless) => Naming::Take,
            _ => Naming::Leave,
        };
        let fetched = match policy {
            PullPolicy::Never => Err(port_error(image::Error::NoSuchImage(reference.familiar()))),
            PullPolicy::IfMissing | PullPolicy::Always => {
                self.fetch_from_registry(reference, platform, naming, output).await
            }
        };
        let target = match (fetched, here) {
            (Ok(target), _) => target,
            // The name is known here, for other CPUs: that says more than that no registry has it.
            (Err(error), Here::OtherPlatforms(present)) if error.class() != ErrorClass::Internal => {
                return Err(port_error(image::Error::NoSuchPlatform {
                    image: reference.familiar(),
                    wanted: platform.clone(),
                    present,
                }));
            }
            (Err(error), _) => return Err(error),
        };
        let (engine, wanted) = (self.engine.clone(), platform.clone());
        let found =
            tokio::task::spawn_blocking(move || engine.store.image(&target, &wanted).map(|image| (target, image)))
                .await
                .map_err(image::Error::from)
                .and_then(|found| Ok(found?))
                .and_then(|(target, image)| base_image(reference, target, &image));
        found.map_err(port_error)
    }

    async fn fetch(&self, base: &BaseImage, _output: &StepOutput) -> Result<(), PortError> {
        let engine = self.engine.clone();
        let layers = base.layers.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            let limits = ferry_store::Limits::default();
            layers
                .iter()
                .try_for_each(|(diff_id, descriptor)| engine.store.layers().import_stored(descriptor, diff_id, &limits))
        })
        .await;
        unpacked
            .map_err(image::Error::from)
            .and_then(|unpacked| Ok(unpacked?))
            .map_err(port_error)
    }
}

/// Whether an image that is fetched gets the name that it was asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Take,
    Leave,
}

/// What the store has under a name.
enum Here {
    /// The image, with all layers.
    Complete(Box<(Descriptor, Image)>),
    /// Images for other platforms.
    OtherPlatforms(Vec<Platform>),
    /// The image, but not all of it.
    Incomplete,
    /// Nothing: the name is free.
    Nameless,
}

fn look(engine: &Engine, reference: &Reference, platform: &Platform) -> Result<Here, image::Error> {
    let target = match engine.find_by_name(reference)? {
        Some(target) => target,
        None => return Ok(Here::Nameless),
    };
    let store = &engine.store;
    match store.image(&target, platform) {
        Ok(image) if image.presence(store)? == Presence::Complete => Ok(Here::Complete(Box::new((target, image)))),
        Ok(_) => Ok(Here::Incomplete),
        Err(ferry_store::Error::PlatformMissing { .. } | ferry_store::Error::BlobMissing(_)) => {
            let entries = store.platforms(&target)?.into_iter();
            let here = entries.filter(|entry| entry.presence == Presence::Complete);
            Ok(Here::OtherPlatforms(here.map(|entry| entry.platform).collect()))
        }
        Err(error) => Err(error.into()),
    }
}

fn base_image(reference: &Reference, target: Descriptor, image: &Image) -> Result<BaseImage, image::Error> {
    let layers = image.layers.iter();
    Ok(BaseImage {
        reference: reference.clone(),
        target,
        manifest: Digest::try_from(image.manifest_descriptor.digest()).map_err(ferry_store::Error::from)?,
        config: image.config.clone(),
        layers: layers.map(|layer| (layer.diff_id, layer.descriptor.clone())).collect(),
    })
}

fn port_error(error: image::Error) -> PortError {
    PortError::new(class(error.class()), error)
}

/// The builder's classes are the engine's, less those that no build meets.
pub(super) fn class(class: Class) -> ErrorClass {
    match class {
        Class::NotFound => ErrorClass::NotFound,
        Class::Conflict | Class::Invalid => ErrorClass::Invalid,
        Class::Unauthorized | Class::Forbidden => ErrorClass::Unauthorized,
        Class::Unavailable => ErrorClass::Unavailable,
        Class::NotImplemented => ErrorClass::NotImplemented,
        Class::Internal => ErrorClass::Internal,
    }
}
