//! Push: blobs that the registry lacks, several at once, then manifests, the index, the tag.

mod blobs;
mod plan;
mod sources;

use std::sync::Arc;

use ferry_oci::Descriptor;
use ferry_store::Store;
use futures_util::{StreamExt, TryStreamExt, stream};

use self::blobs::push_blobs;
use self::plan::plan;
use crate::manifest;
use crate::session::{Session, Shared};
use crate::{Access, Credentials, Error, Progress, Push};

/// Manifests that are put at the same time.
const MANIFESTS_AT_ONCE: usize = 4;

/// What a push works with.
struct Pushing<'a> {
    session: Session,
    store: &'a Store,
    push: &'a Push,
    progress: &'a dyn Progress,
}

/// See [`crate::Client::push`].
pub(crate) async fn push(
    shared: &Arc<Shared>,
    store: &Store,
    push: &Push,
    credentials: &dyn Credentials,
    progress: &dyn Progress,
) -> Result<Descriptor, Error> {
    let _lease = store.lease();
    let reference = &push.reference;
    let credential = credentials.for_registry(reference.domain()).await;
    let session = Session::open(shared, reference.domain(), reference.path(), Access::Push, credential).await?;
    let pushing = Pushing {
        session,
        store,
        push,
        progress,
    };
    progress.status(&format!("The push refers to repository [{}]", reference.name()));
    let plan = plan(&pushing).await?;
    push_blobs(&pushing, &plan.images).await?;
    // Lowest first: registries refuse a document that names what they lack.
    stream::iter(plan.children())
        .map(|child| pushing.put(child.name, child.descriptor, child.bytes))
        .buffer_unordered(MANIFESTS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    let name = pushing.root_name(&plan.root.descriptor)?;
    pushing
        .put(name, plan.root.descriptor.clone(), plan.root.bytes.clone())
        .await?;
    let (digest, size) = (plan.root.descriptor.digest(), plan.root.descriptor.size());
    let tag = reference.tag().map(|tag| format!("{tag}: ")).unwrap_or_default();
    progress.status(&format!("{tag}digest: {digest} size: {size}"));
    Ok(plan.root.descriptor)
}

impl Pushing<'_> {
    /// The reference as errors name it.
    fn name(&self) -> String {
        self.push.reference.familiar()
    }

    async fn put(&self, name: String, descriptor: Descriptor, bytes: bytes::Bytes) -> Result<(), Error> {
        manifest::put(&self.session, &name, &descriptor, bytes, &self.name()).await
    }

    /// The tag to push as; without one the digest, which must then be the content's own.
    fn root_name(&self, root: &Descriptor) -> Result<String, Error> {
        let digest = manifest::required_digest(root, &self.name())?;
        if let Some(pinned) = self.push.reference.digest()
            && *pinned != digest
        {
            return Err(Error::DigestMismatch {
                what: self.name(),
                expected: *pinned,
                actual: digest,
            });
        }
        Ok(self
            .push
            .reference
            .tag()
            .map_or_else(|| digest.to_string(), str::to_owned))
    }
}
