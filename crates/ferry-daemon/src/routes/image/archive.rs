//! `POST /images/load`, `GET /images/get` and `GET /images/{name}/get`.

use std::io::Write;

use axum::extract::{Request, State};
use axum::response::Response;
use ferry_engine::Engine;
use http::{HeaderValue, header};
use serde_json::json;

use super::failure;
use super::parameters::Parameters;
use crate::blocking_body::{BodyReader, BodyWriter};
use crate::error::ApiError;
use crate::json_stream;

/// Docker Engine API `ImageLoad`.
pub(super) async fn load(
    State(engine): State<Engine>,
    parameters: Parameters,
    request: Request,
) -> Result<Response, ApiError> {
    if parameters.get("platform").is_some() {
        return Err(ApiError::not_implemented(
            "loading single platforms of an archive is not supported yet",
        ));
    }
    let body = BodyReader::new(request.into_body());
    json_stream::answer(|messages| async move {
        let loaded = tokio::task::spawn_blocking(move || engine.load_images(body)).await;
        let loaded = loaded
            .map_err(ferry_engine::image::Error::from)
            .and_then(|loaded| loaded)
            .map_err(failure)?;
        for image in loaded {
            let words = match image.name {
                Some(name) => format!("Loaded image: {name}\n"),
                None => format!("Loaded image ID: {}\n", image.target.digest()),
            };
            messages.send(&json!({ "stream": words })).await;
        }
        Ok(())
    })
    .await
}

/// Docker Engine API `ImageGetAll`. Old clients put all names into one value, with commas.
pub(super) async fn save(State(engine): State<Engine>, parameters: Parameters) -> Result<Response, ApiError> {
    let names: Vec<String> = parameters
        .all("names")
        .flat_map(|value| value.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(ApiError::bad_request("no image was named: names is needed"));
    }
    save_names(&engine, names, &parameters).await
}

/// Docker Engine API `ImageGet`.
pub(super) async fn save_names(
    engine: &Engine,
    names: Vec<String>,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let platforms = parameters.platforms("platform")?;
    let engine = engine.clone();
    // What is missing has to be known before the first byte: after it, no status can say so.
    let (engine, images) = tokio::task::spawn_blocking(move || {
        let images = engine.images_to_save(&names, &platforms)?;
        Ok::<_, ferry_engine::image::Error>((engine, images))
    })
    .await
    .map_err(ferry_engine::image::Error::from)
    .and_then(|found| found)
    .map_err(failure)?;
    let (mut writer, body) = BodyWriter::new();
    tokio::task::spawn_blocking(move || {
        let saved = engine.save_images(&images, &mut writer);
        match saved.map(|()| writer.flush()) {
            Ok(_flushed_or_client_gone) => {}
            Err(error) => {
                tracing::warn!(%error, "an archive could not be written whole");
                writer.fail(&error);
            }
        }
    });
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(response)
}
