//! Pull: reference → index → platforms → configs → all layers at once → synced, then handed to the caller.

mod layers;
mod plan;

use std::sync::Arc;

use ferry_oci::media_type::MediaKind;
use ferry_oci::{Descriptor, Digest, Reference};
use ferry_store::Store;
use tokio_util::task::TaskTracker;

use self::layers::fetch_layers;
use self::plan::{Plan, plan};
use crate::manifest::{self, Resolved};
use crate::session::{Session, Shared};
use crate::{Access, Credentials, Error, Manifest, Progress, Selection};

/// What a pull works with.
pub(crate) struct Pull<'a> {
    session: Session,
    store: &'a Store,
    reference: &'a Reference,
    progress: &'a dyn Progress,
}

/// See [`crate::Client::pull`].
pub(crate) async fn pull(
    shared: &Arc<Shared>,
    store: &Store,
    reference: &Reference,
    selection: &Selection,
    credentials: &dyn Credentials,
    progress: &dyn Progress,
) -> Result<Descriptor, Error> {
    let _lease = store.lease();
    let credential = credentials.for_registry(reference.domain()).await;
    let session = Session::open(shared, reference.domain(), reference.path(), Access::Pull, credential).await?;
    let pull = Pull {
        session,
        store,
        reference,
        progress,
    };
    progress.status(&format!("Pulling from {}", reference.path()));
    let root = pull.root().await?;
    let plan = plan(&pull, &root, selection).await?;
    let workers = TaskTracker::new();
    let fetched = fetch_layers(&pull, &plan, &workers).await;
    // Threads that were unpacking when another layer failed clean up first: nothing is left behind
    // when this returns.
    workers.close();
    workers.wait().await;
    fetched?;
    pull.keep(&root, plan).await?;
    progress.status(&format!("Digest: {}", root.descriptor.digest()));
    Ok(root.descriptor)
}

impl Pull<'_> {
    /// The reference as errors name it.
    fn name(&self) -> String {
        self.reference.familiar()
    }

    /// The index or manifest that the reference names, from the store where it has been before.
    async fn root(&self) -> Result<Manifest, Error> {
        if let Some(digest) = self.reference.digest()
            && let Some(manifest) = self.stored_manifest("", digest)
        {
            return Ok(manifest);
        }
        let descriptor = match manifest::resolve(&self.session, self.reference).await? {
            Resolved::Manifest(manifest) => return Ok(manifest),
            Resolved::Descriptor(descriptor) => descriptor,
        };
        self.manifest(&descriptor).await
    }

    /// The index or manifest that `descriptor` names. By digest: a tag that moves meanwhile does no harm.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        let what = self.name();
        let digest = manifest::required_digest(descriptor, &what)?;
        let media_type = descriptor.media_type().to_string();
        let manifest = match self.stored_manifest(&media_type, &digest) {
            Some(manifest) => manifest,
            None => manifest::get(&self.session, &digest.to_string(), Some(&digest), &what).await?,
        };
        if manifest.bytes.len() as u64 != descriptor.size() {
            return Err(Error::SizeMismatch {
                what: format!("manifest of {what}"),
                expected: descriptor.size(),
                actual: manifest.bytes.len() as u64,
            });
        }
        if MediaKind::of(&media_type) != MediaKind::of(manifest.descriptor.media_type().as_ref()) {
            return Err(Error::Descriptor {
                what: format!("manifest of {what}"),
                problem: format!("is {}, expected {media_type}", manifest.descriptor.media_type()),
            });
        }
        Ok(manifest)
    }

    fn stored_manifest(&self, media_type: &str, digest: &Digest) -> Option<Manifest> {
        if !self.store.content().has(digest) {
            return None;
        }
        let limit = ferry_oci::document::MAX_LEN_BYTES as u64;
        // What is damaged, was just collected or is no manifest after all, the registry will tell.
        let bytes = self.store.content().read(digest, limit).ok()?;
        manifest::read(media_type, bytes.into(), &self.name()).ok()
    }

    /// Writes the documents, lowest first, so that whatever a document names is there before it is;
    /// then makes everything survive a power cut.
    async fn keep(&self, root: &Manifest, plan: Plan) -> Result<(), Error> {
        let mut documents = Vec::new();
        for image in plan.images {
            documents.extend(image.config);
            documents.push(image.manifest.bytes);
        }
        documents.push(root.bytes.clone());
        let store = self.store.clone();
        blocking(&format!("storing {}", self.name()), move || {
            for document in &documents {
                store.content().write(document)?;
            }
            store.sync()
        })
        .await
    }
}

/// Runs a store operation on a thread that may block.
async fn blocking<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> Result<T, ferry_store::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result.map_err(|source| Error::Store {
            what: what.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Worker { what: what.to_owned() }),
    }
}
