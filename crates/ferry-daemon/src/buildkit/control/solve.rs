//! `Control.Solve`: one build from its request to the name of its image.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bollard_buildkit_proto::moby::buildkit::v1::{SolveRequest, SolveResponse};
use ferry_build::BuildResult;
use tonic::Status;

use super::activity::Activity;
use super::exports::{self, Export};
use super::job::Job;
use super::{dockerfile, failure};
use crate::buildkit::BuildKit;
use crate::buildkit::session::SessionId;

/// Builds and exports. Dropping the future cancels the build.
pub(super) async fn solve(buildkit: &BuildKit, request: SolveRequest) -> Result<SolveResponse, Status> {
    refuse_unsupported(&request)?;
    let export = exports::read(&request)?;
    let session: SessionId = request
        .session
        .parse()
        .map_err(|error| Status::invalid_argument(format!("{error}")))?;
    let registered = buildkit.jobs().register(&request.r#ref)?;
    let job = registered.job();
    let result = match request.frontend.as_str() {
        dockerfile::FRONTEND => {
            let attributes = &request.frontend_attrs;
            Some(dockerfile::build(buildkit, job, &session, attributes).await?)
        }
        "" => driven_by_client(buildkit, job, session).await?,
        other => {
            return Err(Status::unimplemented(format!(
                "the frontend {other:?} is not supported; Dockerfiles are built natively, by {}",
                dockerfile::FRONTEND
            )));
        }
    };
    let exporter_response = match (result, export) {
        (Some(result), Some(export)) => self::export(buildkit, job, &result, &export).await?,
        _ => HashMap::new(),
    };
    Ok(SolveResponse { exporter_response })
}

/// Waits for what the client returns by `LLBBridge`, as long as the client is there.
async fn driven_by_client(
    buildkit: &BuildKit,
    job: &Job,
    session: SessionId,
) -> Result<Option<Arc<BuildResult>>, Status> {
    let returned = job.hand_over(session.clone());
    let session = buildkit.session(&session).await?;
    tokio::select! {
        returned = returned => {
            returned.map_err(|_closed| Status::cancelled("the build was cancelled"))?
        }
        () = session.closed() => Err(Status::cancelled("the client has gone")),
    }
}

fn refuse_unsupported(request: &SolveRequest) -> Result<(), Status> {
    let has_graph = |definition: &bollard_buildkit_proto::pb::Definition| !definition.def.is_empty();
    if request.definition.as_ref().is_some_and(has_graph) {
        return Err(Status::unimplemented(
            "a build graph (LLB) made by the client is not supported; Ferry builds Dockerfiles",
        ));
    }
    if !request.frontend_inputs.is_empty() {
        return Err(Status::unimplemented(
            "build contexts that are results of other builds are not supported yet",
        ));
    }
    let exports_cache = request
        .cache
        .as_ref()
        .is_some_and(|cache| !cache.exports.is_empty() || !cache.export_ref_deprecated.is_empty());
    if exports_cache {
        return Err(Status::unimplemented("exporting the build cache is not supported yet"));
    }
    Ok(())
}

/// Names the image and says what it is, under BuildKit's keys.
async fn export(
    buildkit: &BuildKit,
    job: &Job,
    result: &BuildResult,
    export: &Export,
) -> Result<HashMap<String, String>, Status> {
    name_result(buildkit, job, result, export).await?;
    let mut response = HashMap::new();
    let mut say = |key: &str, value: String| response.insert(key.to_owned(), value);
    say("containerimage.digest", result.target.digest().to_string());
    // Not `containerimage.config.digest`: clients would take it for the image's id, which here, as with
    // Docker's containerd store, is the digest of the index or manifest.
    if let Ok(descriptor) = serde_json::to_vec(&result.target) {
        say("containerimage.descriptor", BASE64.encode(descriptor));
    }
    if !export.names.is_empty() {
        let names: Vec<String> = export.names.iter().map(ToString::to_string).collect();
        say("image.name", names.join(","));
    }
    Ok(response)
}

/// Gives the result its names; without one it is kept under its id.
async fn name_result(buildkit: &BuildKit, job: &Job, result: &BuildResult, export: &Export) -> Result<(), Status> {
    let step = (!export.names.is_empty()).then(|| {
        let names: Vec<String> = export.names.iter().map(ToString::to_string).collect();
        Activity::new(Arc::clone(job.progress())).begin(format!("naming to {}", names.join(", ")))
    });
    let named = buildkit.engine().tag_built(&result.target, &export.names).await;
    match (named, step) {
        (Ok(()), step) => {
            if let Some(step) = step {
                step.did(&format!("image {}", result.target.digest()));
                step.complete();
            }
            Ok(())
        }
        (Err(error), step) => {
            if let Some(step) = step {
                step.fail(&error);
            }
            Err(failure::of_engine(&error.into()))
        }
    }
}
