//! Brings a result to where it was asked for, and says what it is under BuildKit's keys.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ferry_build::BuildResult;
use ferry_engine::image::Platforms;
use ferry_oci::{Digest, Reference};
use ferry_registry::{LayerProgress, Progress};
use tonic::Status;

use super::activity::{Activity, Step};
use super::exports::{Destination, Export, FilesForm};
use super::failure;
use super::job::Job;
use crate::buildkit::BuildKit;
use crate::buildkit::session::auth::SessionCredentials;
use crate::buildkit::session::{Session, directory_send, file_send};

/// Exports `result` for the client of `session`.
pub(super) async fn export(
    buildkit: &BuildKit,
    job: &Job,
    session: &Session,
    result: &BuildResult,
    export: &Export,
) -> Result<HashMap<String, String>, Status> {
    let activity = Activity::new(Arc::clone(job.progress()));
    match export.destination {
        Destination::Store => keep(buildkit, &activity, result, export).await?,
        Destination::Registry => {
            if export.names.is_empty() {
                return Err(Status::invalid_argument("an image needs a name to be pushed"));
            }
            keep(buildkit, &activity, result, export).await?;
            for name in &export.names {
                push(buildkit, &activity, session, name).await?;
            }
        }
        Destination::Client => send(buildkit, &activity, session, result, export).await?,
        Destination::Files(form) => {
            send_files(buildkit, &activity, session, result, form).await?;
            return Ok(HashMap::new());
        }
    }
    Ok(answer(result, export))
}

fn answer(result: &BuildResult, export: &Export) -> HashMap<String, String> {
    let mut answer = HashMap::new();
    let mut say = |key: &str, value: String| answer.insert(key.to_owned(), value);
    // Not `containerimage.config.digest`: clients would take it for the image's id, which here, as with
    // Docker's containerd store, is the digest of the index or manifest.
    say("containerimage.digest", result.target.digest().to_string());
    if let Ok(descriptor) = serde_json::to_vec(&result.target) {
        say("containerimage.descriptor", BASE64.encode(descriptor));
    }
    if !export.names.is_empty() {
        say("image.name", joined(&export.names, ","));
    }
    answer
}

/// Gives the result its names; without one it is kept under its id.
async fn keep(buildkit: &BuildKit, activity: &Activity, result: &BuildResult, export: &Export) -> Result<(), Status> {
    let names = &export.names;
    let step = (!names.is_empty()).then(|| activity.begin(format!("naming to {}", joined(names, ", "))));
    let named = buildkit.engine().tag_built(&result.target, names).await;
    let named = named.map_err(|error| failure::of_engine(&error.into()));
    match step {
        Some(step) => {
            step.did(&format!("image {}", result.target.digest()));
            step.end(named)
        }
        None => named,
    }
}

async fn push(buildkit: &BuildKit, activity: &Activity, session: &Session, name: &Reference) -> Result<(), Status> {
    let transfer = Transfer(activity.begin(format!("pushing {name}")));
    let credentials = SessionCredentials::new(session.clone());
    // On the heap: it is large, and nested deep.
    let push = buildkit
        .engine()
        .push_image(name, &Platforms::All, &credentials, &transfer);
    let pushed = Box::pin(push).await.map(drop);
    transfer
        .0
        .end(pushed.map_err(|error| failure::of_engine(&error.into())))
}

async fn send(
    buildkit: &BuildKit,
    activity: &Activity,
    session: &Session,
    result: &BuildResult,
    export: &Export,
) -> Result<(), Status> {
    let step = activity.begin("sending tarball".to_owned());
    let engine = buildkit.engine().clone();
    let images = engine.built_to_save(&result.target, &export.names);
    let sent = file_send::send(session, move |out| engine.save_images(&images, out)).await;
    step.end(sent.map_err(|error| Status::unknown(error.to_string())))
}

async fn send_files(
    buildkit: &BuildKit,
    activity: &Activity,
    session: &Session,
    result: &BuildResult,
    form: FilesForm,
) -> Result<(), Status> {
    let step = activity.begin(match form {
        FilesForm::Directory => "copying files".to_owned(),
        FilesForm::Tar => "sending tarball".to_owned(),
    });
    let send = async {
        let files = buildkit.engine().built_files(result).await;
        let files = files.map_err(|error| Status::unknown(error.to_string()))?;
        match form {
            FilesForm::Tar => file_send::send(session, move |out| files.write_tar(out))
                .await
                .map_err(|error| Status::unknown(error.to_string())),
            FilesForm::Directory => {
                let directory = files.directory().map_err(|error| Status::unknown(error.to_string()))?;
                let sent = directory_send::send(session, directory).await;
                drop(files);
                sent.map_err(|error| Status::unknown(error.to_string()))
            }
        }
    };
    let sent = send.await;
    step.end(sent)
}

/// Tells how a push goes as parts of its step.
struct Transfer(Step);

impl Progress for Transfer {
    fn layer(&self, id: &Digest, state: LayerProgress) {
        match state {
            LayerProgress::Pushing { done, total } => self.0.progresses(&id.to_string(), done, total),
            LayerProgress::Complete => self.0.did(&id.to_string()),
            _ => {}
        }
    }

    fn status(&self, _text: &str) {}
}

fn joined(names: &[Reference], separator: &str) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(separator)
}
