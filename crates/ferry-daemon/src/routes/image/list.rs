//! `GET /images/json`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ferry_engine::Engine;
use ferry_engine::image::ListFilter;

use super::failure;
use super::parameters::Parameters;
use crate::convert::image::{self, Manifests};
use crate::convert::moment;
use crate::error::ApiError;
use crate::extract::Filters;

const FILTERS: &[&str] = &["before", "dangling", "label", "reference", "since", "until"];

/// Docker Engine API `ImageList`.
pub(super) async fn list(State(engine): State<Engine>, parameters: Parameters) -> Result<Response, ApiError> {
    let filters = Filters::parse(parameters.get("filters"), FILTERS)?;
    let first = |key: &str| filters.get(key).first().cloned();
    let filter = ListFilter {
        references: filters.get("reference").to_vec(),
        dangling: first("dangling").as_deref().map(image::truth).transpose()?,
        labels: filters.get("label").to_vec(),
        before: first("before"),
        since: first("since"),
        until: first("until").as_deref().map(moment::parse).transpose()?,
    };
    let manifests = if parameters.is_set("manifests") {
        Manifests::Shown
    } else {
        Manifests::Left
    };
    let images = engine.list_images(filter).await.map_err(failure)?;
    let list: Vec<_> = images.iter().map(|found| image::summary(found, manifests)).collect();
    Ok(axum::Json(list).into_response())
}
