//! `DELETE /images/{name}`.

use axum::Json;
use axum::extract::{Path, State};
use bollard_stubs::models::ImageDeleteResponseItem;
use ferry_engine::Engine;
use ferry_engine::image::Removal;

use super::failure;
use super::parameters::Parameters;
use crate::convert::image;
use crate::error::ApiError;

/// Docker Engine API `ImageDelete`.
pub(super) async fn remove(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<Vec<ImageDeleteResponseItem>>, ApiError> {
    if parameters.get("platforms").is_some() {
        return Err(ApiError::not_implemented(
            "removing single platforms of an image is not supported yet",
        ));
    }
    let removal = if parameters.is_set("force") {
        Removal::Force
    } else {
        Removal::Careful
    };
    let removed = engine.remove_image(&name, removal).await.map_err(failure)?;
    Ok(Json(image::removed(removed)))
}
