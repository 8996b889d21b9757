//! Builds an image.

use std::sync::Arc;

use ferry_build::{BuildError, BuildEvent, BuildRequest, BuildResult, Context, Ports};
use ferry_registry::Credentials;
use ferry_store::Lease;
use tokio::sync::mpsc::Sender;

use super::context::Contexts;
use super::images::BaseImages;
use super::runner::Steps;
use crate::Engine;

/// A build and what it needs of the client.
pub struct BuildOrder {
    /// What to build.
    pub request: BuildRequest,
    /// The client's files.
    pub context: Arc<dyn Context>,
    /// Who the client is to the registries that base images come from.
    pub credentials: Arc<dyn Credentials>,
}

/// A finished build. It has no name yet: it is not collected as long as this lives.
#[derive(Debug)]
pub struct Built {
    result: BuildResult,
    _lease: Lease,
}

impl std::ops::Deref for Built {
    type Target = BuildResult;

    fn deref(&self) -> &BuildResult {
        &self.result
    }
}

impl Engine {
    /// Builds an image, which [`Engine::tag_built`] names. Dropping the future cancels the build; finished
    /// steps stay in the cache.
    pub async fn build(&self, order: BuildOrder, events: Sender<BuildEvent>) -> Result<Built, BuildError> {
        let lease = self.store.lease();
        let ports = Ports {
            store: self.store.clone(),
            images: Arc::new(BaseImages::new(self.clone(), order.credentials)),
            runner: Arc::new(Steps::new(self.clone())),
            context: order.context,
        };
        let result = ferry_build::build(order.request, &ports, events).await?;
        Ok(Built { result, _lease: lease })
    }

    /// The build contexts that are kept.
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }
}

impl std::fmt::Debug for BuildOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildOrder")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
