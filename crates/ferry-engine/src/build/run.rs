//! Builds an image.

use std::sync::Arc;

use ferry_build::{BuildError, BuildEvent, BuildRequest, BuildResult, Context, Ports};
use ferry_registry::Credentials;
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

impl Engine {
    /// Builds an image. It has no name yet and is not collected as long as `lease` of the result lives:
    /// [`Engine::tag_built`] names it. Dropping the future cancels the build; finished steps stay in the cache.
    pub async fn build(&self, order: BuildOrder, events: Sender<BuildEvent>) -> Result<BuildResult, BuildError> {
        let ports = Ports {
            store: self.store.clone(),
            images: Arc::new(BaseImages::new(self.clone(), order.credentials)),
            runner: Arc::new(Steps::new(self.clone())),
            context: order.context,
        };
        ferry_build::build(order.request, &ports, events).await
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
