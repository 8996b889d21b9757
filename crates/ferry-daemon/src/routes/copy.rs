//! Files into and out of containers. Docker Engine API `ContainerArchive`, `ContainerArchiveInfo`, `PutContainerArchive`.

use std::io::Write;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::head;
use ferry_engine::Engine;
use ferry_engine::container::{ExtractOptions, ExtractedOwner, PathStat, Replacing};
use serde::Deserialize;

use crate::blocking_body::{BodyReader, BodyWriter};
use crate::convert;
use crate::error::ApiError;
use crate::extract::{Flag, Query};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new().route("/containers/{id}/archive", head(stat).get(read).put(write))
}

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

#[derive(Deserialize)]
struct PathQuery {
    #[serde(default)]
    path: String,
}

impl PathQuery {
    fn path(&self) -> Result<&str, ApiError> {
        match self.path.as_str() {
            "" => Err(ApiError::bad_request("bad parameter: path cannot be empty")),
            path => Ok(path),
        }
    }
}

async fn stat(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<PathQuery>,
) -> Result<Response, ApiError> {
    let stat = engine.stat_container_path(&id, query.path()?).await?;
    Ok([described(&stat)?].into_response())
}

async fn read(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<PathQuery>,
) -> Result<Response, ApiError> {
    let archive = engine.container_archive(&id, query.path()?).await?;
    let stat = described(&archive.stat)?;
    let (mut writer, body) = BodyWriter::new();
    tokio::task::spawn_blocking(move || match archive.write(&mut writer).map(|()| writer.flush()) {
        Ok(_flushed_or_client_gone) => {}
        Err(error) => {
            tracing::warn!(%error, "a container's files could not be copied whole");
            writer.fail(&error);
        }
    });
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(([kind, stat], body).into_response())
}

fn described(stat: &PathStat) -> Result<(HeaderName, HeaderValue), ApiError> {
    let text = convert::path_stat::encode(stat);
    match HeaderValue::from_str(&text) {
        Ok(value) => Ok((PATH_STAT, value)),
        Err(error) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

#[derive(Deserialize)]
struct ExtractQuery {
    #[serde(flatten)]
    path: PathQuery,
    #[serde(default, rename = "noOverwriteDirNonDir")]
    no_overwrite: Flag,
    #[serde(default, rename = "copyUIDGID")]
    copy_ids: Flag,
}

async fn write(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<ExtractQuery>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let path = query.path.path()?;
    let options = ExtractOptions {
        owner: if query.copy_ids.0 {
            ExtractedOwner::ContainerUser
        } else {
            ExtractedOwner::Archived
        },
        replacing: if query.no_overwrite.0 {
            Replacing::SameKind
        } else {
            Replacing::Anything
        },
    };
    let tar = BodyReader::new(request.into_body());
    engine.extract_into_container(&id, path, options, tar).await?;
    Ok(StatusCode::OK)
}
