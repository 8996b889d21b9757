//! Endpoints of execs. Docker Engine API, tag `Exec`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bollard_stubs::models::{ExecConfig, ExecInspectResponse, ExecStartConfig, ProcessConfig};
use ferry_engine::container::{AttachOptions, Confinement, ExecOptions, ExecOwner, ExecState, Terminal};
use ferry_engine::{Engine, WindowSize};

use super::container::{SizeQuery, format_of};
use crate::error::ApiError;
use crate::extract::{Json, Query, parse_json, read_body};
use crate::hijack::{hijack, relay};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new()
        .route("/containers/{id}/exec", post(create))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/resize", post(resize))
        .route("/exec/{id}/json", get(inspect))
}

/// The API's `IDResponse`; the generated type would write `id`.
#[derive(serde::Serialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

async fn create(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Json(config): Json<ExecConfig>,
) -> Result<(StatusCode, axum::Json<Created>), ApiError> {
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let options = ExecOptions {
        command: config.cmd.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        working_dir: non_empty(config.working_dir),
        user: non_empty(config.user),
        terminal: match window_size(config.console_size.as_deref()) {
            Some(size) if config.tty == Some(true) => Terminal::Pty {
                rows: size.rows,
                columns: size.columns,
            },
            None if config.tty == Some(true) => Terminal::Pty { rows: 0, columns: 0 },
            _ => Terminal::None,
        },
        attach: AttachOptions {
            stdin: config.attach_stdin == Some(true),
            stdout: config.attach_stdout == Some(true),
            stderr: config.attach_stderr == Some(true),
        },
        confinement: if config.privileged == Some(true) {
            Confinement::Privileged
        } else {
            Confinement::Default
        },
        owner: ExecOwner::Client,
    };
    let exec = engine.create_exec(&id, options)?;
    Ok((
        StatusCode::CREATED,
        axum::Json(Created {
            id: exec.id.to_string(),
        }),
    ))
}

fn window_size(size: Option<&[usize]>) -> Option<WindowSize> {
    let [rows, columns] = *size? else { return None };
    Some(WindowSize {
        rows: u16::try_from(rows).ok()?,
        columns: u16::try_from(columns).ok()?,
    })
}

async fn start(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let config: ExecStartConfig = parse_json(&read_body(Request::from_parts(parts.clone(), body)).await?)?;
    let exec = engine.exec(&id)?;
    let size = window_size(config.console_size.as_deref());
    let stream = engine.start_exec(&id, size).await?;
    match stream {
        Some(stream) if config.detach != Some(true) => {
            let request = Request::from_parts(parts, axum::body::Body::empty());
            let format = format_of(exec.options.terminal);
            hijack(request, Some(format.media_type()), move |client| relay(client, stream))
        }
        _ => Ok(StatusCode::OK.into_response()),
    }
}

async fn resize(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(query): Query<SizeQuery>,
) -> Result<StatusCode, ApiError> {
    engine.resize_exec(&id, query.size())?;
    Ok(StatusCode::OK)
}

async fn inspect(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<axum::Json<ExecInspectResponse>, ApiError> {
    let exec = engine.exec(&id)?;
    let options = &exec.options;
    let (pid, exit_code) = match exec.state() {
        ExecState::Running { monitor } => (monitor.pid(), None),
        ExecState::Ended { code } => (0, Some(i64::from(code))),
        ExecState::Created | ExecState::Starting => (0, None),
    };
    let (entrypoint, arguments) = options
        .command
        .split_first()
        .map_or((String::new(), Vec::new()), |(first, rest)| {
            (first.clone(), rest.to_vec())
        });
    Ok(axum::Json(ExecInspectResponse {
        id: Some(exec.id.to_string()),
        running: Some(matches!(exec.state(), ExecState::Running { .. })),
        exit_code,
        process_config: Some(ProcessConfig {
            privileged: Some(options.confinement == Confinement::Privileged),
            user: options.user.clone(),
            tty: Some(options.terminal != Terminal::None),
            entrypoint: Some(entrypoint),
            arguments: Some(arguments),
        }),
        open_stdin: Some(options.attach.stdin),
        open_stderr: Some(options.attach.stderr),
        open_stdout: Some(options.attach.stdout),
        can_remove: Some(exec.state().has_ended()),
        container_id: Some(exec.container.to_string()),
        detach_keys: Some(String::new()),
        pid: Some(i64::from(pid)),
    }))
}
