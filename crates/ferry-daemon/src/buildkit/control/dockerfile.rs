//! The frontend `dockerfile.v0`: attributes and a session become a build of the engine.

use std::collections::HashMap;
use std::sync::Arc;

use ferry_engine::build::{BuildOrder, Built};
use tokio::sync::mpsc;
use tonic::Status;

use super::activity::Activity;
use super::attributes::{self, AttributeError, ContextNames};
use super::job::Job;
use super::{failure, status};
use crate::buildkit::BuildKit;
use crate::buildkit::context::{ClientDirectory, SessionContext, Source};
use crate::buildkit::session::auth::SessionCredentials;
use crate::buildkit::session::{Session, SessionId, upload};

/// Events between the builder and the progress of its job; the builder waits when they are taken slowly.
const EVENTS_QUEUED: usize = 256;

/// The name of the frontend.
pub(crate) const FRONTEND: &str = "dockerfile.v0";

/// The refusal of any other frontend.
pub(crate) fn other_frontend(name: &str) -> Status {
    Status::unimplemented(format!(
        "the frontend {name:?} is not supported; Dockerfiles are built natively, by {FRONTEND}"
    ))
}

/// Builds what `attributes` ask for from the files in `session`. Dropping the future cancels the build.
pub(crate) async fn build(
    buildkit: &BuildKit,
    job: &Job,
    session: &SessionId,
    attributes: &HashMap<String, String>,
) -> Result<Arc<Built>, Status> {
    let asked = attributes::read(attributes).map_err(refusal)?;
    let session = buildkit.session(session).await?;
    let context = context(buildkit, job, &session, asked.context).await?;
    let (sender, mut events) = mpsc::channel(EVENTS_QUEUED);
    let order = BuildOrder {
        request: asked.request,
        context: Arc::new(context),
        credentials: Arc::new(SessionCredentials::new(session.clone())),
    };
    let progress = Arc::clone(job.progress());
    // The builder drops its sender when it ends, and with that the telling ends.
    let telling = async move {
        while let Some(event) = events.recv().await {
            progress.push(status::message(event));
        }
    };
    let building = async {
        let (result, ()) = tokio::join!(buildkit.engine().build(order, sender), telling);
        result
    };
    let gone = async {
        tokio::select! {
            () = session.closed() => Status::cancelled("the client has gone"),
            () = job.ended() => Status::cancelled("the build was cancelled"),
        }
    };
    tokio::select! {
        result = building => result.map(Arc::new).map_err(|error| failure::status(&error)),
        status = gone => Err(status),
    }
}

async fn context(
    buildkit: &BuildKit,
    job: &Job,
    session: &Session,
    names: ContextNames,
) -> Result<SessionContext, Status> {
    let contexts = buildkit.engine().contexts();
    let directory = async |name: &str| {
        let session = match names.sessions.get(name) {
            Some(id) => {
                let id = id
                    .parse()
                    .map_err(|error| Status::invalid_argument(format!("{error}")))?;
                buildkit.session(&id).await?
            }
            None => session.clone(),
        };
        Ok::<_, Status>(Source::Directory(ClientDirectory {
            session,
            name: name.to_owned(),
        }))
    };
    let context = match &names.upload {
        Some(path) => {
            let received = upload::receive_archive(session, path, contexts).await;
            Source::Archive(received.map_err(|error| Status::invalid_argument(error.to_string()))?)
        }
        None => directory(&names.context_dir).await?,
    };
    let dockerfile = match &context {
        Source::Archive(_) if !names.has_own_dockerfile_dir => context.clone(),
        _ => directory(&names.dockerfile_dir).await?,
    };
    Ok(SessionContext::new(
        contexts.clone(),
        Activity::new(Arc::clone(job.progress())),
        dockerfile,
        names.file.clone(),
        context,
        session.clone(),
    ))
}

fn refusal(error: AttributeError) -> Status {
    match error {
        AttributeError::Invalid { .. } => Status::invalid_argument(error.to_string()),
        AttributeError::Unsupported { .. } => Status::unimplemented(error.to_string()),
    }
}
