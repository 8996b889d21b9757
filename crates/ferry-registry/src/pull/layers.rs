//! The pipeline of a pull: each layer is downloaded, checked and unpacked in one pass, several at once.

use std::io;

use ferry_store::{Limits, Store};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::task::TaskTracker;

use super::Pull;
use super::plan::{LayerPlan, Plan, UseAs};
use crate::blob::{Direction, Downloaded, Meter, PipeReader, download, pipe};
use crate::{Error, LayerProgress};

/// Bytes of one layer that wait between download and unpacking.
const PIPE_LEN_BYTES: u32 = 4 << 20;

/// Fetches what the plan names and the store lacks. When one layer fails, the others stop; threads
/// that still unpack are in `workers`.
pub(super) async fn fetch_layers(pull: &Pull<'_>, plan: &Plan, workers: &TaskTracker) -> Result<(), Error> {
    for layer in &plan.layers {
        pull.progress.layer(&layer.digest, LayerProgress::Waiting);
    }
    // Collected first: a closure over borrowed items would make the pull's future not Send.
    let jobs: Vec<_> = plan
        .layers
        .iter()
        .map(|layer| fetch_layer(pull, layer, workers))
        .collect();
    stream::iter(jobs)
        .buffer_unordered(pull.session.shared.config.downloads.get())
        .try_collect::<()>()
        .await
}

async fn fetch_layer(pull: &Pull<'_>, layer: &LayerPlan, workers: &TaskTracker) -> Result<(), Error> {
    let has_blob = pull.store.content().has(&layer.digest);
    let is_unpacked = match &layer.use_as {
        UseAs::Layer(diff_id) => pull.store.layers().has(diff_id),
        UseAs::Blob => true,
    };
    let size = layer.descriptor.size();
    let mut meter = Meter::new(pull.progress, layer.digest, size, Direction::Download);
    let what = format!("layer {} of {}", layer.digest, pull.name());
    match (has_blob, is_unpacked) {
        (true, true) => {
            meter.state(LayerProgress::AlreadyExists);
            return Ok(());
        }
        (true, false) => unpack_stored(pull, layer, &what, &mut meter, workers).await?,
        // Also where the layer is here under another compression: push and save give this blob.
        (false, _) => transfer(pull, layer, &what, &mut meter, workers).await?,
    }
    meter.state(LayerProgress::Complete);
    Ok(())
}

/// Downloads into one blocking thread that hashes, writes, decompresses and unpacks.
async fn transfer(
    pull: &Pull<'_>,
    layer: &LayerPlan,
    what: &str,
    meter: &mut Meter<'_>,
    workers: &TaskTracker,
) -> Result<(), Error> {
    let (writer, reader) = pipe(PIPE_LEN_BYTES);
    let (store, job) = (pull.store.clone(), layer.clone());
    let worker = workers.spawn_blocking(move || match &job.use_as {
        UseAs::Layer(diff_id) => store
            .layers()
            .import(reader, &job.descriptor, diff_id, &Limits::default()),
        UseAs::Blob => store_blob(&store, &job, reader),
    });
    let downloading = async {
        let size = layer.descriptor.size();
        let downloaded = download(&pull.session, &layer.digest, size, what, meter, &writer).await?;
        if downloaded == Downloaded::Whole {
            writer.finish();
            meter.state(LayerProgress::Extracting);
        }
        Ok(())
    };
    let (downloaded, stored): (Result<(), Error>, _) = tokio::join!(downloading, worker);
    downloaded?;
    stored_as(stored, what)
}

/// Unpacks a layer whose blob is here already, left by an earlier attempt or another image.
async fn unpack_stored(
    pull: &Pull<'_>,
    layer: &LayerPlan,
    what: &str,
    meter: &mut Meter<'_>,
    workers: &TaskTracker,
) -> Result<(), Error> {
    meter.state(LayerProgress::Extracting);
    let (store, job) = (pull.store.clone(), layer.clone());
    let worker = workers.spawn_blocking(move || match &job.use_as {
        UseAs::Layer(diff_id) => store
            .layers()
            .import_stored(&job.descriptor, diff_id, &Limits::default()),
        UseAs::Blob => Ok(()),
    });
    stored_as(worker.await, what)
}

fn store_blob(store: &Store, layer: &LayerPlan, mut bytes: PipeReader) -> Result<(), ferry_store::Error> {
    let mut ingest = store.content().ingest()?;
    io::copy(&mut bytes, &mut ingest).map_err(ferry_store::Error::Input)?;
    ingest.commit(Some((&layer.digest, layer.descriptor.size())))?;
    Ok(())
}

/// The result of a worker as an error that names the layer.
fn stored_as(stored: Result<Result<(), ferry_store::Error>, tokio::task::JoinError>, what: &str) -> Result<(), Error> {
    match stored {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ferry_store::Error::DigestMismatch { expected, actual })) => Err(Error::DigestMismatch {
            what: what.to_owned(),
            expected,
            actual,
        }),
        Ok(Err(source)) => Err(Error::Store {
            what: what.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Worker { what: what.to_owned() }),
    }
}
