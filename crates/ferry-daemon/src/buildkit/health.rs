//! `grpc.health.v1.Health`: clients ask it before they trust a connection.

use std::collections::HashMap;
use std::pin::Pin;

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};

/// The service. It answers that all is well: an engine that is not does not answer.
pub(super) fn service() -> HealthServer<Alive> {
    HealthServer::new(Alive)
}

/// Answers that the engine serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alive;

const SERVING: HealthCheckResponse = HealthCheckResponse {
    status: ServingStatus::Serving as i32,
};

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, _request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(SERVING))
    }

    async fn list(&self, _request: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Ok(Response::new(HealthListResponse {
            statuses: HashMap::from([(String::new(), SERVING)]),
        }))
    }

    async fn watch(&self, _request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let states = stream::once(async { Ok(SERVING) }).chain(stream::pending());
        Ok(Response::new(Box::pin(states)))
    }
}
