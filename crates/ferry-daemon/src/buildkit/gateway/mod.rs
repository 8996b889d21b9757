//! `moby.buildkit.v1.frontend.LLBBridge`: how buildx drives a build itself, between `Control.Solve`'s begin and end.

mod answer;
mod capabilities;

use std::pin::Pin;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_server::LlbBridge;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    EvaluateRequest, EvaluateResponse, ExecMessage, InputsRequest, InputsResponse, NewContainerRequest,
    NewContainerResponse, PingRequest, PongResponse, ReadDirRequest, ReadDirResponse, ReadFileRequest,
    ReadFileResponse, ReleaseContainerRequest, ReleaseContainerResponse, ResolveImageConfigRequest,
    ResolveImageConfigResponse, ResolveSourceMetaRequest, ResolveSourceMetaResponse, Result as GatewayResult,
    ReturnRequest, ReturnResponse, SolveRequest, SolveResponse, StatFileRequest, StatFileResponse, WarnRequest,
    WarnResponse, result,
};
use futures_util::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::BuildKit;
use super::control::dockerfile;
use super::control::job::{Job, Returned};
use super::control::workers;

/// Names the build that a call belongs to.
const BUILD_ID: &str = "buildkit-controlapi-buildid";

impl BuildKit {
    /// The build that a call belongs to.
    async fn job_of(&self, metadata: &MetadataMap) -> Result<Arc<Job>, Status> {
        let name = metadata
            .get(BUILD_ID)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| Status::invalid_argument(format!("no {BUILD_ID} in the call")))?;
        self.jobs().find(name).await
    }
}

#[tonic::async_trait]
impl LlbBridge for BuildKit {
    type ExecProcessStream = Pin<Box<dyn Stream<Item = Result<ExecMessage, Status>> + Send>>;

    async fn ping(&self, _request: Request<PingRequest>) -> Result<Response<PongResponse>, Status> {
        Ok(Response::new(PongResponse {
            frontend_api_caps: capabilities::frontend(),
            llb_caps: capabilities::graph(),
            workers: vec![workers::record(self)],
        }))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        let job = self.job_of(request.metadata()).await?;
        let request = request.into_inner();
        let has_graph = request.definition.is_some_and(|graph| !graph.def.is_empty());
        if has_graph || !request.frontend_inputs.is_empty() {
            return Err(Status::unimplemented(
                "a build graph (LLB) made by the client is not supported; Ferry builds Dockerfiles",
            ));
        }
        if request.frontend.is_empty() {
            return Ok(Response::new(answer::nothing()));
        }
        if request.frontend != dockerfile::FRONTEND {
            return Err(dockerfile::other_frontend(&request.frontend));
        }
        let session = job.driver()?;
        let result = dockerfile::build(self, &job, &session, &request.frontend_opt).await?;
        answer::result(&job, &result, &request.frontend_opt).map(Response::new)
    }

    async fn r#return(&self, request: Request<ReturnRequest>) -> Result<Response<ReturnResponse>, Status> {
        let job = self.job_of(request.metadata()).await?;
        let returned = returned(&job, request.into_inner());
        job.give_back(returned)?;
        Ok(Response::new(ReturnResponse {}))
    }

    async fn inputs(&self, _request: Request<InputsRequest>) -> Result<Response<InputsResponse>, Status> {
        Ok(Response::new(InputsResponse::default()))
    }

    /// Results are whole when they are handed out, so there is nothing left to evaluate.
    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        let job = self.job_of(request.metadata()).await?;
        job.result(&request.into_inner().r#ref)?;
        Ok(Response::new(EvaluateResponse {}))
    }

    async fn warn(&self, _request: Request<WarnRequest>) -> Result<Response<WarnResponse>, Status> {
        Ok(Response::new(WarnResponse {}))
    }

    async fn resolve_image_config(
        &self,
        _request: Request<ResolveImageConfigRequest>,
    ) -> Result<Response<ResolveImageConfigResponse>, Status> {
        Err(unsupported("resolving an image's config for the client"))
    }

    async fn resolve_source_meta(
        &self,
        _request: Request<ResolveSourceMetaRequest>,
    ) -> Result<Response<ResolveSourceMetaResponse>, Status> {
        Err(unsupported("resolving a source for the client"))
    }

    async fn read_file(&self, _request: Request<ReadFileRequest>) -> Result<Response<ReadFileResponse>, Status> {
        Err(unsupported("reading files out of a result"))
    }

    async fn read_dir(&self, _request: Request<ReadDirRequest>) -> Result<Response<ReadDirResponse>, Status> {
        Err(unsupported("reading files out of a result"))
    }

    async fn stat_file(&self, _request: Request<StatFileRequest>) -> Result<Response<StatFileResponse>, Status> {
        Err(unsupported("reading files out of a result"))
    }

    async fn new_container(
        &self,
        _request: Request<NewContainerRequest>,
    ) -> Result<Response<NewContainerResponse>, Status> {
        Err(unsupported("running a process in a result"))
    }

    async fn release_container(
        &self,
        _request: Request<ReleaseContainerRequest>,
    ) -> Result<Response<ReleaseContainerResponse>, Status> {
        Err(unsupported("running a process in a result"))
    }

    async fn exec_process(
        &self,
        _request: Request<Streaming<ExecMessage>>,
    ) -> Result<Response<Self::ExecProcessStream>, Status> {
        Err(unsupported("running a process in a result"))
    }

    async fn read_file_container(
        &self,
        _request: Request<ReadFileRequest>,
    ) -> Result<Response<ReadFileResponse>, Status> {
        Err(unsupported("running a process in a result"))
    }

    async fn read_dir_container(&self, _request: Request<ReadDirRequest>) -> Result<Response<ReadDirResponse>, Status> {
        Err(unsupported("running a process in a result"))
    }

    async fn stat_file_container(
        &self,
        _request: Request<StatFileRequest>,
    ) -> Result<Response<StatFileResponse>, Status> {
        Err(unsupported("running a process in a result"))
    }
}

/// What the client returns: its own error, a result that was kept for it, or nothing.
fn returned(job: &Job, request: ReturnRequest) -> Returned {
    if let Some(error) = request.error {
        let code = Code::from_i32(error.code);
        let code = if code == Code::Ok { Code::Unknown } else { code };
        let details = prost::Message::encode_to_vec(&error);
        return Err(Status::with_details(code, error.message, details.into()));
    }
    let name = request.result.and_then(|result: GatewayResult| match result.result? {
        result::Result::Ref(single) => Some(single.id),
        result::Result::RefDeprecated(id) => Some(id),
        // All references of one result are one build: any of them finds it.
        result::Result::Refs(several) => several.refs.into_values().map(|one| one.id).next(),
        result::Result::RefsDeprecated(several) => several.refs.into_values().next(),
    });
    match name.filter(|name| !name.is_empty()) {
        Some(name) => job.result(&name).map(Some),
        None => Ok(None),
    }
}

fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported yet"))
}
