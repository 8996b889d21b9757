//! `Control.Solve`: one build from its request to the name of its image.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{SolveRequest, SolveResponse};
use tokio::sync::oneshot;
use tonic::Status;

use super::job::{Job, Returned};
use super::{dockerfile, export, exports};
use crate::buildkit::BuildKit;
use crate::buildkit::session::{Session, SessionId, file_send};

/// Builds and exports. Dropping the future cancels the build.
pub(super) async fn solve(buildkit: &BuildKit, request: SolveRequest) -> Result<SolveResponse, Status> {
    refuse_unsupported(&request)?;
    let session: SessionId = request
        .session
        .parse()
        .map_err(|error| Status::invalid_argument(format!("{error}")))?;
    let (job, returned) = match request.frontend.as_str() {
        "" => {
            let (job, returned) = Job::driven_by_client(session.clone());
            (job, Some(returned))
        }
        _ => (Job::default(), None),
    };
    let registered = buildkit.jobs().register(&request.r#ref, job)?;
    let session = buildkit.session(&session).await?;
    let export = exports::read(&request, || session.offers(file_send::METHOD))?;
    let job = registered.job();
    let result = match (returned, request.frontend.as_str()) {
        (Some(returned), _) => client_s_own(returned, &session).await?,
        (None, dockerfile::FRONTEND) => {
            let attributes = &request.frontend_attrs;
            Some(dockerfile::build(buildkit, job, session.id(), attributes).await?)
        }
        (None, other) => return Err(dockerfile::other_frontend(other)),
    };
    let exporter_response = match (result, export) {
        (Some(result), Some(export)) => export::export(buildkit, job, &session, &result, &export).await?,
        _ => HashMap::new(),
    };
    Ok(SolveResponse { exporter_response })
}

/// Waits for what the client returns by `LLBBridge`, as long as the client is there.
async fn client_s_own(returned: oneshot::Receiver<Returned>, session: &Session) -> Returned {
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
