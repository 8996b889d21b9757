//! `moby.buildkit.v1.Control`: builds, their progress, and what the builder is.

mod activity;
mod attributes;
pub(super) mod dockerfile;
mod export;
mod exports;
pub(super) mod failure;
pub(super) mod job;
pub(super) mod jobs;
mod progress;
mod solve;
mod status;
mod usage;
pub(super) mod workers;

use std::pin::Pin;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::control_server::Control;
use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEvent, BuildHistoryRequest, BytesMessage, DiskUsageRequest, DiskUsageResponse, InfoRequest,
    InfoResponse, ListWorkersRequest, ListWorkersResponse, PruneRequest, SolveRequest, SolveResponse, StatusRequest,
    StatusResponse, UpdateBuildHistoryRequest, UpdateBuildHistoryResponse, UsageRecord,
};
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

pub(super) use activity::Activity;

use super::{BuildKit, bytes_stream};

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Control for BuildKit {
    type PruneStream = Messages<UsageRecord>;
    type StatusStream = Messages<StatusResponse>;
    type SessionStream = Messages<BytesMessage>;
    type ListenBuildHistoryStream = Messages<BuildHistoryEvent>;

    async fn disk_usage(&self, _request: Request<DiskUsageRequest>) -> Result<Response<DiskUsageResponse>, Status> {
        let record = usage::disk_usage(self).await?;
        Ok(Response::new(DiskUsageResponse { record }))
    }

    async fn prune(&self, request: Request<PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        let records = usage::prune(self, &request.into_inner()).await?;
        Ok(Response::new(Box::pin(stream::iter(records.into_iter().map(Ok)))))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        solve::solve(self, request.into_inner()).await.map(Response::new)
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<Self::StatusStream>, Status> {
        let job = self.jobs().find(&request.into_inner().r#ref).await?;
        let messages = Arc::clone(job.progress()).watch().map(Ok);
        Ok(Response::new(Box::pin(messages)))
    }

    /// A session inside a gRPC call, for clients that cannot have a connection of its own.
    async fn session(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let headers = request.metadata().clone().into_headers();
        let (ours, bytes) = bytes_stream::pipe(request.into_inner());
        let buildkit = self.clone();
        let announcement = buildkit.announcement(&headers)?;
        tokio::spawn(async move { buildkit.carry_session(ours, announcement).await });
        Ok(Response::new(Box::pin(bytes)))
    }

    async fn list_workers(
        &self,
        _request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        Ok(Response::new(ListWorkersResponse {
            record: vec![workers::record(self)],
        }))
    }

    async fn info(&self, _request: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            buildkit_version: Some(workers::version()),
        }))
    }

    async fn listen_build_history(
        &self,
        _request: Request<BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        Err(Status::unimplemented("no history of builds is kept"))
    }

    async fn update_build_history(
        &self,
        _request: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        Err(Status::unimplemented("no history of builds is kept"))
    }
}
