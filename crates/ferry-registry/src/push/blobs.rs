//! The blobs of a push: each once, however many platforms share it, several at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ferry_oci::media_type::MediaKind;
use ferry_oci::{Descriptor, Digest};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::Pushing;
use super::plan::PushedImage;
use super::sources::mount_sources;
use crate::blob::{Direction, Meter, Upload, Uploaded, presence, upload};
use crate::manifest::{Presence, required_digest};
use crate::{Error, LayerProgress};

/// One blob of some manifest.
struct Blob {
    digest: Digest,
    size: u64,
    /// Configs are not shown.
    is_shown: bool,
}

/// Sends what the repository lacks.
pub(super) async fn push_blobs(pushing: &Pushing<'_>, images: &[PushedImage]) -> Result<(), Error> {
    let blobs = blobs_of(pushing, images)?;
    for blob in blobs.iter().filter(|blob| blob.is_shown) {
        pushing.progress.layer(&blob.digest, LayerProgress::Waiting);
    }
    let sources = Sources::default();
    // Collected first: a closure over borrowed items would make the push's future not Send.
    let jobs: Vec<_> = blobs.iter().map(|blob| push_blob(pushing, blob, &sources)).collect();
    stream::iter(jobs)
        .buffer_unordered(pushing.session.shared.config.uploads.get())
        .try_collect::<()>()
        .await
}

/// All blobs of all images, each once.
fn blobs_of(pushing: &Pushing<'_>, images: &[PushedImage]) -> Result<Vec<Blob>, Error> {
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    let mut add = |descriptor: &Descriptor, is_shown: bool| -> Result<(), Error> {
        let digest = required_digest(descriptor, &pushing.name())?;
        if seen.insert(digest) {
            blobs.push(Blob {
                digest,
                size: descriptor.size(),
                is_shown,
            });
        }
        Ok(())
    };
    for image in images {
        for layer in image.parsed.layers() {
            let media_type = layer.media_type().to_string();
            if let Some(MediaKind::ForeignLayer(_)) = MediaKind::of(&media_type) {
                return Err(Error::ForeignLayer {
                    reference: pushing.name(),
                    digest: layer.digest().to_string(),
                    media_type,
                });
            }
            add(layer, true)?;
        }
        add(image.parsed.config(), false)?;
    }
    Ok(blobs)
}

/// Read from the store once, and only when some blob has to be sent.
#[derive(Default)]
struct Sources(OnceCell<HashMap<Digest, Vec<String>>>);

impl Sources {
    async fn of(&self, pushing: &Pushing<'_>, digest: &Digest) -> &[String] {
        let all = self
            .0
            .get_or_init(|| async {
                let (store, reference) = (pushing.store.clone(), pushing.push.reference.clone());
                // Mounting is a short cut: without it, blobs are sent.
                tokio::task::spawn_blocking(move || mount_sources(&store, &reference))
                    .await
                    .unwrap_or_default()
            })
            .await;
        all.get(digest).map(Vec::as_slice).unwrap_or_default()
    }
}

async fn push_blob(pushing: &Pushing<'_>, blob: &Blob, sources: &Sources) -> Result<(), Error> {
    let silent = crate::Silent;
    let progress = if blob.is_shown { pushing.progress } else { &silent };
    let mut meter = Meter::new(progress, blob.digest, blob.size, Direction::Upload);
    if presence(&pushing.session, &blob.digest).await? == Presence::There {
        meter.state(LayerProgress::AlreadyExists);
        return Ok(());
    }
    let store = pushing.store.clone();
    let digest = blob.digest;
    let open = store.content().has(&digest).then(|| {
        Arc::new(move || match store.content().open(&digest) {
            Ok(blob) => Ok(blob.into_file()),
            Err(error) => Err(std::io::Error::other(error)),
        }) as _
    });
    let job = Upload {
        digest,
        size: blob.size,
        open,
        sources: sources.of(pushing, &digest).await,
        what: format!("blob {digest} of {}", pushing.name()),
    };
    match upload(&pushing.session, &job, &mut meter).await? {
        Uploaded::Sent => meter.state(LayerProgress::Complete),
        Uploaded::Mounted => meter.state(LayerProgress::Mounted),
    }
    Ok(())
}
