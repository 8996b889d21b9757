//! Endpoints of builds: connections for BuildKit's protocol, and the build cache.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bollard_stubs::models::BuildPruneResponse;
use ferry_engine::Engine;
use ferry_engine::build::{CachePruneFilter, CachePruneScope};
use futures_util::StreamExt;
use http::StatusCode;
use serde::Deserialize;

use crate::buildkit::BuildKit;
use crate::convert::moment;
use crate::error::ApiError;
use crate::extract::{Filters, Flag, Query};
use crate::hijack::hijack;

/// How much of a context is read before it is refused.
const CLASSIC_CONTEXT_BYTES: usize = 64 << 20;

/// The noun's endpoints: connections that are upgraded, and gRPC on the socket itself.
pub(crate) fn rows(buildkit: &BuildKit) -> Router<Engine> {
    let (for_grpc, for_session) = (buildkit.clone(), buildkit.clone());
    Router::new()
        .route("/grpc", post(move |request| grpc(for_grpc.clone(), request)))
        .route("/session", post(move |request| session(for_session.clone(), request)))
        .route("/build", post(classic))
        .route("/build/prune", post(prune))
        .merge(buildkit.routes().with_state(()))
}

/// The client calls our services on this connection. Not in Docker's description; see moby `builder` router.
async fn grpc(buildkit: BuildKit, request: Request) -> Result<Response<Body>, ApiError> {
    require_h2c(&request)?;
    hijack(request, None, |connection| async move {
        buildkit.serve(connection).await;
    })
}

/// We call the client's services on this connection. Docker Engine API `Session`.
async fn session(buildkit: BuildKit, request: Request) -> Result<Response<Body>, ApiError> {
    require_h2c(&request)?;
    let announcement = buildkit
        .announcement(request.headers())
        .map_err(|status| ApiError::bad_request(status.message()))?;
    hijack(request, None, |connection| async move {
        buildkit.carry_session(connection, announcement).await;
    })
}

/// Docker Engine API `ImageBuild`, for clients that build without BuildKit: refused.
///
/// The context is read first, as far as it is small: clients that are still sending it would say only that.
async fn classic(request: Request) -> ApiError {
    let mut body = request.into_body().into_data_stream();
    let mut read_bytes = 0;
    while let Some(Ok(piece)) = body.next().await {
        read_bytes += piece.len();
        if read_bytes > CLASSIC_CONTEXT_BYTES {
            break;
        }
    }
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "the classic builder is not supported; build with BuildKit: leave DOCKER_BUILDKIT=0 away and install docker-buildx, or use ferry build",
    )
}

/// Docker Engine API `BuildPrune`.
async fn prune(
    State(engine): State<Engine>,
    Query(query): Query<PruneQuery>,
) -> Result<axum::Json<BuildPruneResponse>, ApiError> {
    for (name, amount) in [
        ("keep-storage", &query.keep_storage),
        ("reserved-space", &query.reserved_space),
        ("max-used-space", &query.max_used_space),
        ("min-free-space", &query.min_free_space),
    ] {
        if amount.is_given() {
            return Err(ApiError::not_implemented(format!("{name} is not supported yet")));
        }
    }
    let filters = Filters::parse(query.filters.as_deref(), &["until"])?;
    let until = filters
        .get("until")
        .first()
        .map(|text| moment::parse(text))
        .transpose()?;
    let filter = CachePruneFilter {
        scope: if query.all.0 {
            CachePruneScope::All
        } else {
            CachePruneScope::Unused
        },
        until: until.map(Into::into),
    };
    let pruned = engine.prune_build_cache(filter).await?;
    Ok(axum::Json(BuildPruneResponse {
        caches_deleted: Some(pruned.steps.iter().map(|step| step.key.hex()).collect()),
        space_reclaimed: Some(i64::try_from(pruned.reclaimed_bytes).unwrap_or(i64::MAX)),
    }))
}

/// The parameters of [`prune`].
#[derive(Debug, Deserialize)]
struct PruneQuery {
    #[serde(default)]
    all: Flag,
    filters: Option<String>,
    #[serde(default, rename = "keep-storage")]
    keep_storage: Amount,
    #[serde(default, rename = "reserved-space")]
    reserved_space: Amount,
    #[serde(default, rename = "max-used-space")]
    max_used_space: Amount,
    #[serde(default, rename = "min-free-space")]
    min_free_space: Amount,
}

/// Bytes; clients send 0 for what was not asked for.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Amount(String);

impl Amount {
    fn is_given(&self) -> bool {
        !matches!(self.0.as_str(), "" | "0")
    }
}

fn require_h2c(request: &Request) -> Result<(), ApiError> {
    match request.headers().get(http::header::UPGRADE) {
        Some(protocol) if protocol == "h2c" => Ok(()),
        Some(protocol) => Err(ApiError::bad_request(format!(
            "protocol {} not supported",
            String::from_utf8_lossy(protocol.as_bytes())
        ))),
        None => Err(ApiError::bad_request("no upgrade proto in request")),
    }
}
