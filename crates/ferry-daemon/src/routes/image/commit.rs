//! `POST /commit`: makes an image of a container.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use bollard_stubs::models::{ContainerConfig, IdResponse};
use ferry_engine::Engine;
use ferry_engine::container::CommitOptions;

use super::parameters::{Parameters, reference};
use crate::error::ApiError;
use crate::extract::{parse_json, read_body};

/// Docker Engine API `ImageCommit`.
pub(super) async fn commit(
    State(engine): State<Engine>,
    parameters: Parameters,
    request: Request,
) -> Result<(StatusCode, Json<IdResponse>), ApiError> {
    let config: Option<ContainerConfig> = parse_json(&read_body(request).await?)?;
    if config.is_some_and(|config| config != ContainerConfig::default()) {
        return Err(ApiError::not_implemented(
            "a configuration in the body of a commit is not supported yet: use changes",
        ));
    }
    let text = |key: &str| parameters.get(key).unwrap_or_default().to_owned();
    let name = parameters.get("repo");
    let options = CommitOptions {
        name: name.map(|name| reference(name, parameters.get("tag"))).transpose()?,
        author: text("author"),
        comment: text("comment"),
        pause: parameters.get("pause").is_none() || parameters.is_set("pause"),
        changes: parameters
            .all("changes")
            .flat_map(str::lines)
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect(),
    };
    let target = engine.commit_container(&text("container"), options).await?;
    let id = target.digest().to_string();
    Ok((StatusCode::CREATED, Json(IdResponse { id })))
}
