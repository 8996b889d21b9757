//! Endpoints of the engine itself. Docker Engine API, tag `System`, and `/ferry/v1/platforms`.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bollard_stubs::models::{
    EventActor, EventMessage, EventMessageScopeEnum, SystemInfo, SystemInfoCgroupDriverEnum,
    SystemInfoCgroupVersionEnum, SystemVersion, SystemVersionComponents, SystemVersionPlatform,
};
use bytes::Bytes;
use ferry_engine::container::{ListFilter, Phase};
use ferry_engine::event::Event;
use ferry_engine::system::Resource;
use ferry_engine::{Engine, PlatformReport};
use ferry_oci::cpu::Cpu;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio_stream::wrappers::BroadcastStream;

use crate::convert;
use crate::convert::usage::{Items, Usage};
use crate::error::ApiError;
use crate::extract::{Filters, Query};
use crate::router::{API_VERSION, MIN_API_VERSION};

/// The noun's endpoints.
pub(crate) fn rows() -> Router<Engine> {
    Router::new()
        .route("/_ping", get(ping))
        .route("/version", get(version))
        .route("/info", get(info))
        .route("/events", get(events))
        .route("/system/df", get(disk_usage))
        .route("/ferry/v1/platforms", get(platforms))
}

const BUILDER_VERSION: HeaderName = HeaderName::from_static("builder-version");

async fn ping() -> Response {
    let mut response = ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "OK").into_response();
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(BUILDER_VERSION, HeaderValue::from_static("2"));
    response
}

async fn version() -> axum::Json<SystemVersion> {
    let own = env!("CARGO_PKG_VERSION");
    // What the Docker CLI prints of an engine that names its components; its keys are moby's.
    let details = [
        ("ApiVersion", API_VERSION.to_owned()),
        ("Arch", Cpu::host().architecture.to_owned()),
        ("Experimental", "false".to_owned()),
        ("KernelVersion", kernel_release()),
        ("MinAPIVersion", MIN_API_VERSION.to_owned()),
        ("Os", "linux".to_owned()),
    ];
    let details = details.map(|(key, value)| (key.to_owned(), value)).into();
    axum::Json(SystemVersion {
        platform: Some(SystemVersionPlatform {
            name: "Ferry".to_owned(),
        }),
        components: Some(vec![SystemVersionComponents {
            name: "Engine".to_owned(),
            version: own.to_owned(),
            details: Some(details),
        }]),
        version: Some(own.to_owned()),
        api_version: Some(API_VERSION.to_owned()),
        min_api_version: Some(MIN_API_VERSION.to_owned()),
        os: Some("linux".to_owned()),
        arch: Some(Cpu::host().architecture.to_owned()),
        kernel_version: Some(kernel_release()),
        experimental: Some(false),
        ..Default::default()
    })
}

fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

async fn info(State(engine): State<Engine>) -> Result<axum::Json<SystemInfo>, ApiError> {
    let all = engine.list_containers(&ListFilter {
        all: true,
        ..Default::default()
    });
    let count = |phase: Option<Phase>| {
        let matching = all
            .iter()
            .filter(|container| phase.is_none_or(|phase| container.state().phase == phase));
        i64::try_from(matching.count()).unwrap_or(i64::MAX)
    };
    let running = count(Some(Phase::Running));
    let paused = count(Some(Phase::Paused));
    let images = engine.store.images().list();
    let kept = engine.kept_limits();
    let memory = rustix::system::sysinfo();
    let total_bytes = u64::from(memory.mem_unit) * memory.totalram;
    Ok(axum::Json(SystemInfo {
        id: Some(engine.instance.name()),
        containers: Some(count(None)),
        containers_running: Some(running),
        containers_paused: Some(paused),
        containers_stopped: Some(count(None) - running - paused),
        images: i64::try_from(images.len()).ok(),
        driver: Some("overlayfs".to_owned()),
        // This is how clients know that several platforms of one image can be kept.
        driver_status: Some(vec![vec![
            "driver-type".to_owned(),
            "io.containerd.snapshotter.v1".to_owned(),
        ]]),
        docker_root_dir: Some(engine.instance.data_root.to_string_lossy().into_owned()),
        logging_driver: Some("json-file".to_owned()),
        cgroup_driver: Some(SystemInfoCgroupDriverEnum::CGROUPFS),
        cgroup_version: Some(match engine.host().cgroups {
            ferry_engine::CgroupVersion::V1 => SystemInfoCgroupVersionEnum::_1,
            ferry_engine::CgroupVersion::V2 => SystemInfoCgroupVersionEnum::_2,
        }),
        kernel_version: Some(kernel_release()),
        operating_system: Some(operating_system()),
        os_type: Some("linux".to_owned()),
        architecture: Some(Cpu::host().uname.to_owned()),
        ncpu: std::thread::available_parallelism()
            .ok()
            .and_then(|cores| i64::try_from(cores.get()).ok()),
        mem_total: i64::try_from(total_bytes).ok(),
        name: Some(rustix::system::uname().nodename().to_string_lossy().into_owned()),
        index_server_address: Some("https://index.docker.io/v1/".to_owned()),
        experimental_build: Some(false),
        server_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        default_runtime: Some("ferry".to_owned()),
        live_restore_enabled: Some(true),
        security_options: Some(vec!["name=seccomp,profile=builtin".to_owned()]),
        memory_limit: Some(kept.memory),
        swap_limit: Some(kept.swap),
        cpu_cfs_period: Some(kept.cpu_quota),
        cpu_cfs_quota: Some(kept.cpu_quota),
        cpu_shares: Some(kept.cpu_shares),
        cpu_set: Some(kept.cpuset),
        pids_limit: Some(kept.pids),
        oom_kill_disable: Some(kept.oom_kill_disable),
        ipv4_forwarding: Some(kept.ipv4_forwarding),
        warnings: Some(kept.warnings),
        ..Default::default()
    }))
}

/// `PRETTY_NAME` of the host. Source: `os-release(5)`.
fn operating_system() -> String {
    std::fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        })
        .unwrap_or_else(|| "Linux".to_owned())
}

/// Docker Engine API `SystemDataUsage`: of what `type` says, by default of everything.
async fn disk_usage(
    State(engine): State<Engine>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<axum::Json<Usage>, ApiError> {
    let mut resources = Vec::new();
    let (mut items, mut is_whole) = (Items::Counted, true);
    for (key, value) in &query {
        match (key.as_str(), value.as_str()) {
            ("verbose", "1" | "true") => items = Items::Listed,
            ("type", name) => {
                is_whole = false;
                resources.extend(match name {
                    "image" => Some(Resource::Images),
                    "container" => Some(Resource::Containers),
                    "build-cache" => Some(Resource::BuildCache),
                    "volume" => None,
                    other => return Err(ApiError::bad_request(format!("unknown object type: {other}"))),
                });
            }
            _ => {}
        }
    }
    if is_whole {
        resources = vec![Resource::Images, Resource::Containers, Resource::BuildCache];
    }
    let found = engine.disk_usage(&resources).await?;
    Ok(axum::Json(convert::usage::usage(&found, items, &engine.instance)))
}

#[derive(Deserialize)]
struct EventsQuery {
    since: Option<String>,
    until: Option<String>,
    filters: Option<String>,
}

const EVENT_FILTERS: &[&str] = &["container", "event", "image", "type"];

async fn events(State(engine): State<Engine>, Query(query): Query<EventsQuery>) -> Result<Response, ApiError> {
    let filters = Filters::parse(query.filters.as_deref(), EVENT_FILTERS)?;
    if convert::time::parse(query.since.as_deref())?.is_some() {
        return Err(ApiError::not_implemented("events of the past (since) are not kept yet"));
    }
    let until = convert::time::parse(query.until.as_deref())?;
    let deadline = async move {
        match until.map(|until| (until - time::OffsetDateTime::now_utc()).try_into()) {
            Some(Ok(left)) => tokio::time::sleep(left).await,
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    };
    let lines = BroadcastStream::new(engine.events.listen())
        .filter_map(move |event| {
            let line = event
                .ok()
                .filter(|event| is_wanted(event, &filters))
                .map(|event| line(&event));
            std::future::ready(line)
        })
        .take_until(deadline)
        .map(Ok::<_, std::convert::Infallible>);
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

fn is_wanted(event: &Event, filters: &Filters) -> bool {
    let any = |key: &str, test: &dyn Fn(&str) -> bool| {
        let values = filters.get(key);
        values.is_empty() || values.iter().any(|value| test(value))
    };
    let is_named =
        |value: &str| event.id.starts_with(value) || event.attributes.get("name").is_some_and(|name| name == value);
    any("type", &|value| event.noun == value)
        && any("event", &|value| event.action == value)
        && any("container", &|value| event.noun == "container" && is_named(value))
        && any("image", &|value| {
            event.attributes.get("image").is_some_and(|image| image == value) || is_named(value)
        })
}

fn line(event: &Event) -> Bytes {
    let nanos = event.at.unix_timestamp_nanos();
    let message = EventMessage {
        typ: serde_json::from_value(serde_json::Value::from(event.noun)).ok(),
        action: Some(event.action.clone()),
        actor: Some(EventActor {
            id: Some(event.id.clone()),
            attributes: Some(event.attributes.clone().into_iter().collect()),
        }),
        scope: Some(EventMessageScopeEnum::LOCAL),
        time: Some(event.at.unix_timestamp()),
        time_nano: i64::try_from(nanos).ok(),
    };
    let mut line = serde_json::to_vec(&message).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

async fn platforms(State(engine): State<Engine>) -> Result<axum::Json<Vec<PlatformReport>>, ApiError> {
    let looked = tokio::task::spawn_blocking(move || engine.platforms()).await;
    looked
        .map(axum::Json)
        .map_err(|error| ferry_engine::container::Error::from(error).into())
}
