//! Endpoints of images. Docker Engine API, tags `Image` and `Distribution`, and `SystemAuth`.
//!
//! What Docker's API cannot say, as further query keys: `POST /images/create` takes several platforms with
//! commas in `platform`, and `allPlatforms=1`; `POST /images/{name}/push` takes `allPlatforms=1`, which refuses
//! to send an index of which not all is here.

mod archive;
mod commit;
mod create;
mod distribution;
mod inspect;
mod list;
mod parameters;
mod prune;
mod push;
mod remove;
mod tag;
mod transfer;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use ferry_engine::Engine;

use crate::error::ApiError;
use parameters::Parameters;

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new()
        .route("/images/json", get(list::list))
        .route("/images/create", post(create::create))
        .route("/images/load", post(archive::load))
        .route("/images/get", get(archive::save))
        .route("/images/prune", post(prune::prune))
        .route("/images/{*path}", get(get_one).post(post_one).delete(remove::remove))
        .route("/distribution/{*path}", get(distribution::inspect))
        .route("/commit", post(commit::commit))
        .route("/auth", post(distribution::login))
        .layer(DefaultBodyLimit::disable())
}

/// Names hold slashes, so that what is asked for comes last.
async fn get_one(
    State(engine): State<Engine>,
    Path(path): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    match path.rsplit_once('/') {
        Some((name, "json")) => inspect::inspect(&engine, name, &parameters).await,
        Some((name, "history")) => inspect::history(&engine, name, &parameters).await,
        Some((name, "get")) => archive::save_names(&engine, vec![name.to_owned()], &parameters).await,
        _ => Err(not_found(&path)),
    }
}

async fn post_one(
    State(engine): State<Engine>,
    Path(path): Path<String>,
    parameters: Parameters,
    request: Request,
) -> Result<Response, ApiError> {
    match path.rsplit_once('/') {
        Some((name, "push")) => push::push(&engine, name, &parameters, request.headers()).await,
        Some((name, "tag")) => tag::tag(&engine, name, &parameters).await,
        _ => Err(not_found(&path)),
    }
}

fn not_found(path: &str) -> ApiError {
    ApiError::new(http::StatusCode::NOT_FOUND, format!("page not found: /images/{path}"))
}

/// An error of an image, with its hint on a line of its own.
fn failure(error: ferry_engine::image::Error) -> ApiError {
    let status = ApiError::status_of(error.class());
    match error.hint() {
        Some(hint) => ApiError::new(status, format!("{error}\nhint: {hint}")),
        None => ApiError::new(status, error.to_string()),
    }
}
