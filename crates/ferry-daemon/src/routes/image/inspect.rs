//! `GET /images/{name}/json` and `GET /images/{name}/history`.

use axum::response::{IntoResponse, Response};
use ferry_engine::Engine;

use super::failure;
use super::parameters::Parameters;
use crate::convert::image::{self, Manifests};
use crate::error::ApiError;

/// Docker Engine API `ImageInspect`.
pub(super) async fn inspect(engine: &Engine, name: &str, parameters: &Parameters) -> Result<Response, ApiError> {
    let platform = parameters.platform("platform")?;
    let manifests = if parameters.is_set("manifests") {
        Manifests::Shown
    } else {
        Manifests::Left
    };
    let detail = engine.inspect_image(name, platform).await.map_err(failure)?;
    Ok(axum::Json(image::detail(&detail, manifests)).into_response())
}

/// Docker Engine API `ImageHistory`.
pub(super) async fn history(engine: &Engine, name: &str, parameters: &Parameters) -> Result<Response, ApiError> {
    let platform = parameters.platform("platform")?;
    let history = engine.image_history(name, platform).await.map_err(failure)?;
    Ok(axum::Json(image::history(&history)).into_response())
}
