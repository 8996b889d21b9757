//! Questions to a registry that change nothing here: what a name points at, and whether a credential is good.

use ferry_oci::{Descriptor, Document, Platform, Reference};
use ferry_registry::{Credential, Credentials, LoginStatus};

use super::Error;
use crate::Engine;

/// What a registry says of a name.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The index or manifest.
    pub descriptor: Descriptor,
    /// The platforms that an index names; empty for a single manifest, whose config is not fetched.
    pub platforms: Vec<Platform>,
}

impl Engine {
    /// What `reference` points at in its registry now.
    pub async fn distribution(
        &self,
        reference: &Reference,
        credentials: &dyn Credentials,
    ) -> Result<Distribution, Error> {
        let manifest = self.registry.manifest(reference, credentials).await?;
        let platforms = match &manifest.document {
            Document::Index(index) => index
                .manifests()
                .iter()
                .filter_map(|entry| entry.platform().as_ref().map(Platform::from))
                .filter(|platform| platform.os != "unknown")
                .collect(),
            Document::Manifest(_) => Vec::new(),
        };
        Ok(Distribution {
            descriptor: manifest.descriptor,
            platforms,
        })
    }

    /// Verifies `credential` at the registry `domain`; stores nothing.
    pub async fn login(&self, domain: &str, credential: &Credential) -> Result<LoginStatus, Error> {
        Ok(self.registry.login(domain, credential).await?)
    }
}
