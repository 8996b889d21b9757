//! `POST /images/{name}/tag`.

use axum::response::{IntoResponse, Response};
use ferry_engine::Engine;
use http::StatusCode;

use super::failure;
use super::parameters::{Parameters, reference};
use crate::error::ApiError;

/// Docker Engine API `ImageTag`.
pub(super) async fn tag(engine: &Engine, name: &str, parameters: &Parameters) -> Result<Response, ApiError> {
    let repository = parameters
        .get("repo")
        .ok_or_else(|| ApiError::bad_request("invalid reference format: repo is needed"))?;
    let new = reference(repository, parameters.get("tag"))?;
    engine.tag_image(name, new).await.map_err(failure)?;
    Ok(StatusCode::CREATED.into_response())
}
