//! Endpoints of containers. Docker Engine API, tag `Container`.

use std::io::{self, Write};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bollard_stubs::models::{
    ChangeType, ContainerCreateBody, ContainerCreateResponse, ContainerInspectResponse, ContainerPruneResponse,
    ContainerTopResponse, ContainerUpdateBody, ContainerUpdateResponse, ContainerWaitResponse, FilesystemChange,
};
use bytes::Bytes;
use ferry_engine::Engine;
use ferry_engine::container::{
    AttachOptions, ChangeKind, ContainerSize, ListFilter, LogEntry, LogRequest, LogSink, LogStream, Phase, PruneFilter,
    Removal, Started, Stopped, Terminal, WaitCondition,
};
use serde::Deserialize;

use crate::blocking_body::BodyWriter;
use crate::convert;
use crate::error::ApiError;
use crate::extract::{Filters, Flag, Json, Query};
use crate::hijack::{StreamFormat, hijack, relay};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new()
        .route("/containers/json", get(list))
        .route("/containers/create", post(create))
        .route("/containers/prune", post(prune))
        .route("/containers/{id}", delete(remove))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/pause", post(pause))
        .route("/containers/{id}/unpause", post(unpause))
        .route("/containers/{id}/changes", get(changes))
        .route("/containers/{id}/export", get(export))
        .route("/containers/{id}/top", get(top))
        .route("/containers/{id}/stats", get(stats))
        .route("/containers/{id}/wait", post(wait))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/update", post(update))
        .route("/containers/{id}/resize", post(resize))
        .route("/containers/{id}/attach", post(attach))
        .route("/containers/{id}/logs", get(logs))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    all: Flag,
    #[serde(default)]
    size: Flag,
    limit: Option<i64>,
    filters: Option<String>,
}

const LIST_FILTERS: &[&str] = &["ancestor", "exited", "health", "id", "label", "name", "status"];

async fn list(State(engine): State<Engine>, Query(query): Query<ListQuery>) -> Result<Response, ApiError> {
    let filters = Filters::parse(query.filters.as_deref(), LIST_FILTERS)?;
    let exit_code = |code: &String| {
        code.parse()
            .map_err(|_| ApiError::bad_request(format!("invalid filter 'exited={code}'")))
    };
    let filter = ListFilter {
        all: query.all.0,
        limit: query
            .limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0),
        ids: filters.get("id").to_vec(),
        names: filters.get("name").to_vec(),
        labels: filters.get("label").to_vec(),
        states: filters.get("status").to_vec(),
        exit_codes: filters.get("exited").iter().map(exit_code).collect::<Result<_, _>>()?,
        healths: filters
            .get("health")
            .iter()
            .map(|word| convert::health::parse_status(word))
            .collect::<Result<_, _>>()?,
        images: filters.get("ancestor").to_vec(),
    };
    let list = engine.list_containers(&filter);
    let sizes: Vec<Option<ContainerSize>> = if query.size.0 {
        let sizes = engine.container_sizes(list.clone()).await?;
        sizes.into_iter().map(Some).collect()
    } else {
        vec![None; list.len()]
    };
    // Written row by row: a thousand rows at once would be megabytes.
    let mut body = Vec::with_capacity(2 + list.len() * ROW_BYTES);
    body.push(b'[');
    for (container, size) in list.iter().zip(sizes) {
        if body.len() > 1 {
            body.push(b',');
        }
        let row = convert::container::summary(container, size, &engine.instance);
        serde_json::to_writer(&mut body, &row).expect("a summary can be written");
    }
    body.push(b']');
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// About what a container takes in a list.
const ROW_BYTES: usize = 768;

#[derive(Deserialize)]
struct PruneQuery {
    filters: Option<String>,
}

async fn prune(
    State(engine): State<Engine>,
    Query(query): Query<PruneQuery>,
) -> Result<axum::Json<ContainerPruneResponse>, ApiError> {
    let filters = Filters::parse(query.filters.as_deref(), &["label", "label!", "until"])?;
    let until = filters.get("until").first();
    let filter = PruneFilter {
        until: until.map(|text| convert::moment::parse(text)).transpose()?,
        labels: filters.get("label").to_vec(),
        not_labels: filters.get("label!").to_vec(),
    };
    let pruned = engine.prune_containers(filter).await?;
    Ok(axum::Json(ContainerPruneResponse {
        containers_deleted: Some(pruned.removed.iter().map(ToString::to_string).collect()),
        space_reclaimed: i64::try_from(pruned.reclaimed_bytes).ok(),
    }))
}

#[derive(Deserialize)]
struct CreateQuery {
    name: Option<String>,
    platform: Option<String>,
}

async fn create(
    State(engine): State<Engine>,
    Query(query): Query<CreateQuery>,
    Json(body): Json<ContainerCreateBody>,
) -> Result<(StatusCode, axum::Json<ContainerCreateResponse>), ApiError> {
    let platform = query
        .platform
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error| ApiError::bad_request(format!("{error}"))))
        .transpose()?;
    let options = convert::container::options(body, platform)?;
    let name = query.name.filter(|name| !name.is_empty());
    let created = engine.create_container(name.as_deref(), options).await?;
    let response = ContainerCreateResponse {
        id: created.id.to_string(),
        warnings: created.warnings,
    };
    Ok((StatusCode::CREATED, axum::Json(response)))
}

#[derive(Deserialize)]
struct InspectQuery {
    #[serde(default)]
    size: Flag,
}

async fn inspect(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<InspectQuery>,
) -> Result<axum::Json<ContainerInspectResponse>, ApiError> {
    let container = engine.container(&id)?;
    let size = if query.size.0 {
        engine.container_sizes(vec![container.clone()]).await?.pop()
    } else {
        None
    };
    Ok(axum::Json(convert::container::inspect(
        &container,
        size,
        &engine.instance,
    )))
}

async fn start(State(engine): State<Engine>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    Ok(match engine.start_container(&id).await? {
        Started::Now => StatusCode::NO_CONTENT,
        Started::Already => StatusCode::NOT_MODIFIED,
    })
}

#[derive(Deserialize)]
struct StopQuery {
    signal: Option<String>,
    t: Option<i64>,
}

impl StopQuery {
    fn signal(&self) -> Option<&str> {
        self.signal.as_deref().filter(|signal| !signal.is_empty())
    }

    fn timeout(&self) -> Option<ferry_engine::container::StopTimeout> {
        self.t.map(|seconds| convert::container::stop_timeout(Some(seconds)))
    }
}

async fn stop(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<StopQuery>,
) -> Result<StatusCode, ApiError> {
    Ok(
        match engine.stop_container(&id, query.signal(), query.timeout()).await? {
            Stopped::Now => StatusCode::NO_CONTENT,
            Stopped::Already => StatusCode::NOT_MODIFIED,
        },
    )
}

async fn restart(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<StopQuery>,
) -> Result<StatusCode, ApiError> {
    engine.restart_container(&id, query.signal(), query.timeout()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct KillQuery {
    signal: Option<String>,
}

async fn kill(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<KillQuery>,
) -> Result<StatusCode, ApiError> {
    let signal = query.signal.filter(|signal| !signal.is_empty());
    engine.kill_container(&id, signal.as_deref().unwrap_or("KILL")).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(State(engine): State<Engine>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    engine.pause_container(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unpause(State(engine): State<Engine>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    engine.unpause_container(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn changes(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<FilesystemChange>>, ApiError> {
    let changes = engine.container_changes(&id).await?;
    let changes = changes.into_iter().map(|change| FilesystemChange {
        path: String::from_utf8_lossy(&change.path).into_owned(),
        kind: match change.kind {
            ChangeKind::Modified => ChangeType::_0,
            ChangeKind::Added => ChangeType::_1,
            ChangeKind::Deleted => ChangeType::_2,
        },
    });
    Ok(axum::Json(changes.collect()))
}

async fn export(State(engine): State<Engine>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let export = engine.export_container(&id).await?;
    let (mut writer, body) = BodyWriter::new();
    tokio::task::spawn_blocking(move || match export.write(&mut writer).map(|()| writer.flush()) {
        Ok(_flushed_or_client_gone) => {}
        Err(error) => {
            tracing::warn!(%error, "a container could not be exported whole");
            writer.fail(&error);
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}

#[derive(Deserialize)]
struct TopQuery {
    #[serde(default)]
    ps_args: String,
}

async fn top(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<TopQuery>,
) -> Result<axum::Json<ContainerTopResponse>, ApiError> {
    let list = engine.top_container(&id, &query.ps_args).await?;
    Ok(axum::Json(ContainerTopResponse {
        titles: Some(list.titles),
        processes: Some(list.processes),
    }))
}

#[derive(Deserialize)]
struct StatsQuery {
    stream: Option<Flag>,
    #[serde(default, rename = "one-shot")]
    one_shot: Flag,
}

/// Between two messages, as in Docker.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

async fn stats(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<StatsQuery>,
) -> Result<Response, ApiError> {
    let container = engine.container(&id)?;
    let version = engine.host().cgroups;
    let is_stream = query.stream.is_none_or(|flag| flag.0);
    if is_stream && query.one_shot.0 {
        return Err(ApiError::bad_request("cannot have stream=true and one-shot=true"));
    }
    let first = engine.container_usage(&container).await?;
    if !is_stream {
        let (before, now) = if query.one_shot.0 || first.is_none() {
            (None, first)
        } else {
            tokio::time::sleep(STATS_INTERVAL).await;
            (first, engine.container_usage(&container).await?)
        };
        let message = convert::stats::message(&container, before.as_ref(), now.as_ref(), version);
        return Ok(axum::Json(message).into_response());
    }
    let messages = futures_util::stream::unfold((None, Some(first)), move |(before, first)| {
        let (engine, container) = (engine.clone(), container.clone());
        async move {
            let now = match first {
                Some(first) => first,
                None => {
                    tokio::time::sleep(STATS_INTERVAL).await;
                    engine.container_usage(&container).await.ok()?
                }
            };
            if container.state().phase == Phase::Removed {
                return None;
            }
            let mut line = convert::stats::message(&container, before.as_ref(), now.as_ref(), version).to_string();
            line.push('\n');
            Some((Ok::<_, std::convert::Infallible>(line), (now, None)))
        }
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(messages)).into_response())
}

#[derive(Deserialize)]
struct WaitQuery {
    condition: Option<String>,
}

/// The head of the answer goes out at once: clients start the container when they have it.
async fn wait(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Response, ApiError> {
    let condition = match query.condition.as_deref().unwrap_or_default() {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(ApiError::bad_request(format!("invalid condition: {other:?}"))),
    };
    let waiting = engine.wait_container(&id, condition)?;
    let body = futures_util::stream::once(async move {
        let state = waiting.await;
        let response = ContainerWaitResponse {
            status_code: i64::from(state.exit_code),
            error: None,
        };
        serde_json::to_vec(&response).map(Bytes::from)
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}

#[derive(Deserialize)]
struct RenameQuery {
    #[serde(default)]
    name: String,
}

async fn rename(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<RenameQuery>,
) -> Result<StatusCode, ApiError> {
    engine.rename_container(&id, &query.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn update(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Json(body): Json<ContainerUpdateBody>,
) -> Result<axum::Json<ContainerUpdateResponse>, ApiError> {
    let options = convert::limits::parse_update(body)?;
    let warnings = engine.update_container(&id, options).await?;
    Ok(axum::Json(ContainerUpdateResponse {
        warnings: Some(warnings),
    }))
}

/// A terminal's size as clients send it.
#[derive(Deserialize)]
pub(super) struct SizeQuery {
    h: u16,
    w: u16,
}

impl SizeQuery {
    pub(super) fn size(&self) -> ferry_engine::WindowSize {
        ferry_engine::WindowSize {
            rows: self.h,
            columns: self.w,
        }
    }
}

async fn resize(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<SizeQuery>,
) -> Result<StatusCode, ApiError> {
    engine.resize_container(&id, query.size())?;
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
struct RemoveQuery {
    #[serde(default)]
    force: Flag,
    #[serde(default)]
    link: Flag,
}

async fn remove(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode, ApiError> {
    if query.link.0 {
        return Err(ApiError::not_implemented("legacy links are not supported"));
    }
    let removal = if query.force.0 {
        Removal::Force
    } else {
        Removal::RefuseRunning
    };
    engine.remove_container(&id, removal).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct AttachQuery {
    #[serde(default)]
    logs: Flag,
    #[serde(default)]
    stream: Flag,
    #[serde(default)]
    stdin: Flag,
    #[serde(default)]
    stdout: Flag,
    #[serde(default)]
    stderr: Flag,
}

async fn attach(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<AttachQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    if query.logs.0 {
        return Err(ApiError::not_implemented(
            "attach with logs=1 is not supported yet: read the logs first",
        ));
    }
    if !query.stream.0 {
        return Err(ApiError::bad_request("attach needs stream=1"));
    }
    let options = AttachOptions {
        stdin: query.stdin.0,
        stdout: query.stdout.0,
        stderr: query.stderr.0,
    };
    let attached = engine.attach_container(&id, options).await?;
    hijack(
        request,
        Some(format_of(attached.terminal).media_type()),
        move |client| async move {
            if let Some(stream) = attached.stream().await {
                relay(client, stream).await;
            }
        },
    )
}

/// How the streams of a process with or without a terminal are sent.
pub(super) fn format_of(terminal: Terminal) -> StreamFormat {
    match terminal {
        Terminal::None => StreamFormat::Multiplexed,
        Terminal::Pty { .. } => StreamFormat::Raw,
    }
}

#[derive(Deserialize)]
struct LogsQuery {
    #[serde(default)]
    follow: Flag,
    #[serde(default)]
    stdout: Flag,
    #[serde(default)]
    stderr: Flag,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    timestamps: Flag,
    #[serde(default)]
    details: Flag,
    tail: Option<String>,
}

async fn logs(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, ApiError> {
    if !query.stdout.0 && !query.stderr.0 {
        return Err(ApiError::bad_request(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let container = engine.container(&id)?;
    let request = LogRequest {
        stdout: query.stdout.0,
        stderr: query.stderr.0,
        // Docker reads what is no number as all.
        tail: query.tail.as_deref().and_then(|tail| tail.parse().ok()),
        since: convert::time::parse(query.since.as_deref())?,
        until: convert::time::parse(query.until.as_deref())?,
        follow: query.follow.0 && container.state().phase != Phase::Created,
    };
    let format = format_of(container.config.options.terminal);
    let reader = engine.container_logs(&id, request)?;
    let (writer, body) = BodyWriter::new();
    let mut sink = LogBody {
        writer,
        format,
        has_timestamps: query.timestamps.0,
        details: match query.details.0 {
            true => convert::log::details(&container),
            false => String::new(),
        },
    };
    tokio::task::spawn_blocking(move || {
        if let Err(error) = reader.run(&mut sink) {
            tracing::warn!(container = id, %error, "cannot read a log");
            sink.writer.fail(&error);
        }
        let _ = sink.writer.flush();
    });
    Ok(([(CONTENT_TYPE, format.media_type())], body).into_response())
}

/// Entries as a client gets them: bare for a terminal, else with Docker's frame heads.
struct LogBody {
    writer: BodyWriter,
    format: StreamFormat,
    has_timestamps: bool,
    /// What stands before each line, a blank behind it.
    details: String,
}

impl LogSink for LogBody {
    fn take(&mut self, entry: LogEntry<'_>) -> io::Result<()> {
        let time = if self.has_timestamps { entry.time } else { "" };
        let space = usize::from(self.has_timestamps);
        if self.format == StreamFormat::Multiplexed {
            let stream = match entry.stream {
                LogStream::Stdout => 1,
                LogStream::Stderr => 2,
            };
            let len = time.len() + space + self.details.len() + entry.bytes.len();
            let len = u32::try_from(len).map_err(io::Error::other)?;
            self.writer.write_all(&[stream, 0, 0, 0])?;
            self.writer.write_all(&len.to_be_bytes())?;
        }
        self.writer.write_all(time.as_bytes())?;
        self.writer.write_all(&b" "[..space])?;
        self.writer.write_all(self.details.as_bytes())?;
        self.writer.write_all(entry.bytes)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        if self.writer.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}
