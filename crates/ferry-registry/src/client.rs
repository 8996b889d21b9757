//! The client: one per engine, shared by all operations; keeps connections and tokens.

use std::sync::Arc;

use bytes::Bytes;
use ferry_oci::{Descriptor, Document, Reference};

use ferry_store::Store;

use crate::login::login;
use crate::manifest::{self, Resolved, name_of};
use crate::pull::pull;
use crate::session::{Session, Shared};
use crate::{Access, Config, Credential, Credentials, Error, Progress, Selection};

/// A registry client. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// An index or manifest as the registry served it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// Exactly the bytes that came; at most 4 MiB.
    pub bytes: Bytes,
    /// The same, parsed.
    pub document: Document,
}

/// What to push, and as what.
#[derive(Debug, Clone)]
pub struct Push {
    /// Registry, repository and tag (or digest) to push to.
    pub reference: Reference,
    /// The index or manifest in the store.
    pub target: Descriptor,
    /// Which of its platforms.
    pub selection: Selection,
    /// What to do with an index some of whose platforms are absent or not selected.
    pub partial: PartialIndex,
}

/// What to push when not all that an index names is present or selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialIndex {
    /// Fail with [`Error::Incomplete`], which names what is missing.
    Refuse,
    /// Push what is there: one platform as its manifest, several under a new index. The digest
    /// that results differs from the target's.
    Reduce,
}

/// The answer to a successful login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginStatus {
    /// A refresh token that the registry offers in place of the password; to be stored instead.
    pub identity_token: Option<Credential>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Checks `config`; opens no connection.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared::new(config)?),
        })
    }

    /// The descriptor that `reference` names now, by one HEAD request where the registry allows it.
    pub async fn resolve(&self, reference: &Reference, credentials: &dyn Credentials) -> Result<Descriptor, Error> {
        let session = self.session(reference, Access::Pull, credentials).await?;
        Ok(match manifest::resolve(&session, reference).await? {
            Resolved::Descriptor(descriptor) => descriptor,
            Resolved::Manifest(manifest) => manifest.descriptor,
        })
    }

    /// The index or manifest that `reference` names, without its content. Stores nothing.
    pub async fn manifest(&self, reference: &Reference, credentials: &dyn Credentials) -> Result<Manifest, Error> {
        let session = self.session(reference, Access::Pull, credentials).await?;
        let what = reference.familiar();
        manifest::get(&session, &name_of(reference), reference.digest(), &what).await
    }

    /// Fetches the selected platforms of `reference` into `store` and returns what it names: an
    /// index, stored whole and byte-exact even if only some of its platforms are present, or a manifest.
    ///
    /// Everything is verified, unpacked and synced when this returns; the name is not recorded:
    /// that is the caller's `store.images().put`, and the caller holds a `store.lease()` until then.
    /// Dropping the future stops the downloads; what was finished may be used by the next attempt.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        selection: &Selection,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
    ) -> Result<Descriptor, Error> {
        pull(&self.shared, store, reference, selection, credentials, progress).await
    }

    /// Uploads what `push` names and the registry lacks, then manifests, index and tag; returns the
    /// descriptor that the tag now names.
    pub async fn push(
        &self,
        store: &Store,
        push: &Push,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
    ) -> Result<Descriptor, Error> {
        crate::push::push(&self.shared, store, push, credentials, progress).await
    }

    /// Verifies `credential` at the registry `domain`; stores nothing.
    pub async fn login(&self, domain: &str, credential: &Credential) -> Result<LoginStatus, Error> {
        login(&self.shared, domain, credential).await
    }

    /// Opens an operation on the repository of `reference`; asks for the credential once.
    async fn session(
        &self,
        reference: &Reference,
        access: Access,
        credentials: &dyn Credentials,
    ) -> Result<Session, Error> {
        let credential = credentials.for_registry(reference.domain()).await;
        Session::open(&self.shared, reference.domain(), reference.path(), access, credential).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Anonymous, Silent};

    /// Operations run as tasks of a multi-threaded executor.
    #[allow(dead_code)]
    fn operations_are_send(client: &Client, store: &Store, reference: &Reference, push: &Push) {
        fn is_send(_: impl Send) {}
        is_send(client.pull(store, reference, &Selection::All, &Anonymous, &Silent));
        is_send(client.push(store, push, &Anonymous, &Silent));
        is_send(client.manifest(reference, &Anonymous));
    }
}
