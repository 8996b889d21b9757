//! Endpoints of networks. Docker Engine API, tag `Network`.

use axum::Router;
use axum::routing::post;
use bollard_stubs::models::NetworkPruneResponse;
use ferry_engine::Engine;
use serde::Deserialize;

use crate::error::ApiError;
use crate::extract::{Filters, Query};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new().route("/networks/prune", post(prune))
}

#[derive(Deserialize)]
struct PruneQuery {
    filters: Option<String>,
}

/// Nobody can make a network yet, and those that there are stay.
async fn prune(Query(query): Query<PruneQuery>) -> Result<axum::Json<NetworkPruneResponse>, ApiError> {
    Filters::parse(query.filters.as_deref(), &["label", "label!", "until"])?;
    Ok(axum::Json(NetworkPruneResponse {
        networks_deleted: Some(Vec::new()),
    }))
}
