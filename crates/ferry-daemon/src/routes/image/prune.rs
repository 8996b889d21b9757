//! `POST /images/prune`.

use axum::Json;
use axum::extract::State;
use bollard_stubs::models::ImagePruneResponse;
use ferry_engine::Engine;
use ferry_engine::image::{PruneFilter, PruneScope};

use super::failure;
use super::parameters::Parameters;
use crate::convert::{image, moment};
use crate::error::ApiError;
use crate::extract::Filters;

const FILTERS: &[&str] = &["dangling", "label", "label!", "until"];

/// Docker Engine API `ImagePrune`.
pub(super) async fn prune(
    State(engine): State<Engine>,
    parameters: Parameters,
) -> Result<Json<ImagePruneResponse>, ApiError> {
    let filters = Filters::parse(parameters.get("filters"), FILTERS)?;
    let first = |key: &str| filters.get(key).first().map(String::as_str);
    let is_dangling = first("dangling").map(image::truth).transpose()?.unwrap_or(true);
    let filter = PruneFilter {
        scope: if is_dangling {
            PruneScope::Dangling
        } else {
            PruneScope::All
        },
        until: first("until").map(moment::parse).transpose()?,
        labels: filters.get("label").to_vec(),
        not_labels: filters.get("label!").to_vec(),
    };
    let pruned = engine.prune_images(filter).await.map_err(failure)?;
    Ok(Json(ImagePruneResponse {
        images_deleted: Some(image::removed(pruned.removed)),
        space_reclaimed: Some(i64::try_from(pruned.reclaimed_bytes).unwrap_or(i64::MAX)),
    }))
}
