//! BuildKit's protocol, as far as clients of a Docker engine speak it: control, gateway and session.
//!
//! No LLB is executed: Dockerfiles are built by `ferry-build`, and requests that carry a graph of
//! their own are refused with a message that says so.

mod bytes_stream;
mod context;
mod control;
mod gateway;
mod health;
pub(crate) mod session;
mod telemetry;
pub(crate) mod transport;

use std::time::Duration;

use axum::Router;
use bollard_buildkit_proto::moby::buildkit::v1::control_server::ControlServer;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_server::LlbBridgeServer;
use ferry_engine::Engine;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::Status;
use tonic::service::Routes;

use control::jobs::Jobs;
use session::{Announcement, Session, SessionId, Sessions};
use transport::MAX_MESSAGE_BYTES;

/// How long a call waits for the session that it names: clients open both at the same time.
const SESSION_PATIENCE: Duration = Duration::from_secs(10);

/// The services of one engine; clones are the same services.
#[derive(Debug, Clone)]
pub(crate) struct BuildKit {
    engine: Engine,
    sessions: Sessions,
    jobs: Jobs,
}

impl BuildKit {
    /// The services of `engine`.
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            sessions: Sessions::default(),
            jobs: Jobs::default(),
        }
    }

    /// The services as routes, for clients that speak gRPC on the engine's socket itself.
    ///
    /// Paths that no service has are left to the router that these routes become part of.
    pub(crate) fn routes(&self) -> Router {
        self.services()
            .into_axum_router()
            .reset_fallback()
            .merge(telemetry::routes())
    }

    /// Serves one connection that a client upgraded by `POST /grpc`, until it closes.
    pub(crate) async fn serve<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let services = self.services().into_axum_router().merge(telemetry::routes());
        if let Err(error) = transport::serve(io, services).await {
            tracing::debug!(%error, "a gRPC connection ended");
        }
    }

    /// Reads what a client says of the session that it opens.
    pub(crate) fn announcement(&self, headers: &HeaderMap) -> Result<Announcement, Status> {
        Announcement::from_headers(headers).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    /// Carries the session that a client opened by `POST /session`, until it closes.
    pub(crate) async fn carry_session<I>(&self, io: I, announcement: Announcement)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let id = announcement.id.clone();
        if let Err(error) = self.sessions.run(io, announcement).await {
            tracing::debug!(session = %id, %error, "a session ended");
        }
    }

    fn services(&self) -> Routes {
        let control = ControlServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let gateway = LlbBridgeServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Routes::new(control).add_service(gateway).add_service(health::service())
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    async fn session(&self, id: &SessionId) -> Result<Session, Status> {
        self.sessions
            .find(id, SESSION_PATIENCE)
            .await
            .map_err(|error| Status::not_found(error.to_string()))
    }
}
