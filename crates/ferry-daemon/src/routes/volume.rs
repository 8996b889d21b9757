//! Endpoints of volumes. Docker Engine API, tag `Volume`.

use axum::Router;
use axum::routing::post;
use bollard_stubs::models::VolumePruneResponse;
use ferry_engine::Engine;
use serde::Deserialize;

use crate::error::ApiError;
use crate::extract::{Filters, Query};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new().route("/volumes/prune", post(prune))
}

#[derive(Deserialize)]
struct PruneQuery {
    filters: Option<String>,
}

/// Nobody can make a volume yet.
async fn prune(Query(query): Query<PruneQuery>) -> Result<axum::Json<VolumePruneResponse>, ApiError> {
    Filters::parse(query.filters.as_deref(), &["all", "label", "label!"])?;
    Ok(axum::Json(VolumePruneResponse {
        volumes_deleted: Some(Vec::new()),
        space_reclaimed: Some(0),
    }))
}
