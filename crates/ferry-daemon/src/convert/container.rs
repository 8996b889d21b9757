//! Containers: the API's body to the engine's options, the engine's container to the API's answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bollard_stubs::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    ContainerSummary, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings, ContainerSummaryStateEnum,
    EndpointSettings, HostConfig, MountPoint, MountType, NetworkSettings,
};
use ferry_engine::cgroup::ParentPath;
use ferry_engine::container::{
    Bind, Confinement, Container, ContainerOptions, ContainerSize, DnsOptions, HealthStatus, HostOptions,
    MissingSource, NetworkMode, OnExit, Phase, RootAccess, State, StdinMode, StopTimeout, Terminal,
};
use ferry_engine::network::Endpoint;
use ferry_engine::{FirstProcess, Instance};
use ferry_oci::Platform;
use time::OffsetDateTime;

use super::image::bytes;
use super::time::{rfc3339, rfc3339_or_zero};
use super::{health, limits, log, restart, security, tmpfs};
use crate::error::ApiError;

/// What a create asks for; what Ferry does not do is refused by name.
pub(crate) fn options(body: ContainerCreateBody, platform: Option<Platform>) -> Result<ContainerOptions, ApiError> {
    refuse_in_joined_network(&body)?;
    refuse_unsupported_config(&body)?;
    let host_config = body.host_config.unwrap_or_default();
    refuse_unsupported(&host_config)?;
    refuse_as_docker(&host_config)?;
    let console = host_config.console_size.as_deref().unwrap_or_default();
    let size = |at: usize| console.get(at).and_then(|size| u16::try_from(*size).ok()).unwrap_or(0);
    let terminal = if body.tty == Some(true) {
        Terminal::Pty {
            rows: size(0),
            columns: size(1),
        }
    } else {
        Terminal::None
    };
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(ContainerOptions {
        image: body.image.unwrap_or_default(),
        platform,
        entrypoint: body.entrypoint,
        command: body.cmd,
        env: body.env.unwrap_or_default(),
        working_dir: non_empty(body.working_dir),
        user: non_empty(body.user),
        terminal,
        stdin: match (body.open_stdin, body.stdin_once) {
            (Some(true), Some(true)) => StdinMode::Once,
            (Some(true), _) => StdinMode::Open,
            _ => StdinMode::Closed,
        },
        hostname: non_empty(body.hostname),
        domainname: non_empty(body.domainname),
        labels: body.labels.unwrap_or_default().into_iter().collect(),
        stop_signal: non_empty(body.stop_signal),
        stop_timeout: stop_timeout(body.stop_timeout),
        healthcheck: body.healthcheck.map(health::parse),
        host: host_options(host_config)?,
    })
}

/// Seconds as the API gives them: −1 waits without end.
pub(crate) fn stop_timeout(seconds: Option<i64>) -> StopTimeout {
    match seconds {
        None => StopTimeout::Default,
        Some(seconds) => u64::try_from(seconds).map_or(StopTimeout::Never, |seconds| {
            StopTimeout::After(Duration::from_secs(seconds))
        }),
    }
}

fn host_options(host: HostConfig) -> Result<HostOptions, ApiError> {
    let limits = limits::parse(&host)?;
    let security = security::parse(&host)?;
    let namespaces = security::parse_namespaces(&host)?;
    let devices = security::parse_devices(&host)?;
    let mut binds = Vec::new();
    for text in host.binds.unwrap_or_default() {
        binds.push(parse_bind(&text)?);
    }
    let mut tmpfs = tmpfs::parse_options(host.tmpfs.unwrap_or_default());
    for mount in host.mounts.unwrap_or_default() {
        match mount.typ {
            Some(MountType::TMPFS) => tmpfs.push(tmpfs::parse_mount(mount)?),
            _ => binds.push(parse_mount(mount)?),
        }
    }
    Ok(HostOptions {
        on_exit: if host.auto_remove == Some(true) {
            OnExit::Remove
        } else {
            OnExit::Keep
        },
        restart: restart::parse(host.restart_policy)?.unwrap_or_default(),
        first_process: if host.init == Some(true) {
            FirstProcess::Init
        } else {
            FirstProcess::Program
        },
        network: parse_network(host.network_mode.as_deref().unwrap_or_default())?,
        binds,
        root: access(host.readonly_rootfs),
        confinement: if host.privileged == Some(true) {
            Confinement::Privileged
        } else {
            Confinement::Default
        },
        cap_add: host.cap_add.unwrap_or_default(),
        cap_drop: host.cap_drop.unwrap_or_default(),
        extra_hosts: parse_extra_hosts(host.extra_hosts.unwrap_or_default())?,
        dns: parse_dns(
            host.dns.unwrap_or_default(),
            host.dns_search.unwrap_or_default(),
            host.dns_options.unwrap_or_default(),
        )?,
        log: log::parse(host.log_config)?,
        limits,
        ulimits: host.ulimits.iter().flatten().map(limits::parse_ulimit).collect(),
        oom_score_adj: parse_oom_score_adj(host.oom_score_adj)?,
        groups: host.group_add.unwrap_or_default(),
        shm_size_bytes: parse_shm_size(host.shm_size)?,
        sysctls: host.sysctls.unwrap_or_default().into_iter().collect(),
        tmpfs,
        security,
        namespaces,
        cgroup_parent: parse_cgroup_parent(host.cgroup_parent.as_deref())?,
        annotations: host.annotations.unwrap_or_default().into_iter().collect(),
        devices,
        device_rules: host.device_cgroup_rules.unwrap_or_default(),
    })
}

fn parse_cgroup_parent(path: Option<&str>) -> Result<Option<ParentPath>, ApiError> {
    let path = path.filter(|path| !path.is_empty());
    let invalid = |error| ApiError::bad_request(format!("invalid cgroup parent: {error}"));
    path.map(ParentPath::parse).transpose().map_err(invalid)
}

fn parse_oom_score_adj(score: Option<i64>) -> Result<i32, ApiError> {
    let score = score.unwrap_or_default();
    i32::try_from(score).map_err(|_| {
        ApiError::bad_request(format!(
            "Invalid value {score}, range for oom score adj is [-1000, 1000]"
        ))
    })
}

fn parse_shm_size(size: Option<i64>) -> Result<Option<u64>, ApiError> {
    let size = u64::try_from(size.unwrap_or_default());
    let size = size.map_err(|_| ApiError::bad_request("SHM size can not be less than 0"))?;
    Ok(Some(size).filter(|size| *size > 0))
}

fn access(read_only: Option<bool>) -> RootAccess {
    if read_only == Some(true) {
        RootAccess::ReadOnly
    } else {
        RootAccess::ReadWrite
    }
}

fn parse_network(mode: &str) -> Result<NetworkMode, ApiError> {
    match mode {
        "" | "default" | "bridge" => Ok(NetworkMode::Bridge),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        "container:" => Err(ApiError::bad_request("invalid container format container:<name|id>")),
        other => match security::other_container(other) {
            Some(container) => Ok(NetworkMode::Container(container)),
            None => Err(ApiError::not_implemented(format!(
                "network {other:?} is not supported yet: use bridge, host, none or container:NAME"
            ))),
        },
    }
}

/// `source:target[:options]`. Source: Docker Engine API `HostConfig.Binds`.
fn parse_bind(text: &str) -> Result<Bind, ApiError> {
    let invalid = |reason: &str| ApiError::bad_request(format!("invalid volume specification: '{text}': {reason}"));
    let mut parts = text.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err(invalid("expected source:target[:options]"));
    };
    let options = parts.next().unwrap_or_default();
    if parts.next().is_some() {
        return Err(invalid("too many colons"));
    }
    if !source.starts_with('/') {
        return Err(ApiError::not_implemented(format!(
            "named volumes are not supported yet: {source:?}; give an absolute path of the host"
        )));
    }
    let mut bind = Bind {
        source: PathBuf::from(source),
        target: PathBuf::from(target),
        access: RootAccess::ReadWrite,
        propagation: None,
        missing_source: MissingSource::Create,
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => bind.access = RootAccess::ReadOnly,
            "rw" | "z" | "Z" => {}
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.propagation = Some(option.to_owned());
            }
            other => return Err(invalid(&format!("unknown option {other:?}"))),
        }
    }
    Ok(bind)
}

fn parse_mount(mount: bollard_stubs::models::Mount) -> Result<Bind, ApiError> {
    if mount.typ != Some(MountType::BIND) {
        return Err(ApiError::not_implemented(
            "mounts of a type other than bind and tmpfs are not supported yet",
        ));
    }
    let options = mount.bind_options.unwrap_or_default();
    let creates = options.create_mountpoint == Some(true);
    Ok(Bind {
        source: PathBuf::from(mount.source.unwrap_or_default()),
        target: PathBuf::from(mount.target.unwrap_or_default()),
        access: access(mount.read_only),
        propagation: options
            .propagation
            .map(|mode| mode.to_string())
            .filter(|mode| !mode.is_empty()),
        missing_source: if creates {
            MissingSource::Create
        } else {
            MissingSource::Refuse
        },
    })
}

/// In the words of Docker's clients, which look at these before the engine does.
fn parse_dns(servers: Vec<String>, search: Vec<String>, options: Vec<String>) -> Result<DnsOptions, ApiError> {
    let server = |text: &String| {
        text.trim()
            .parse::<IpAddr>()
            .map_err(|_| ApiError::bad_request(format!("IP address is not correctly formatted: {text}")))
    };
    let servers = servers.iter().map(server).collect::<Result<_, _>>()?;
    let search: Vec<String> = search.iter().map(|domain| domain.trim().to_owned()).collect();
    if let Some(domain) = search.iter().find(|domain| *domain != "." && !is_domain(domain)) {
        return Err(ApiError::bad_request(format!("{domain} is not a valid domain")));
    }
    let is_option = |option: &&String| !option.is_empty() && option.chars().all(|c| c.is_ascii_graphic());
    if let Some(option) = options.iter().find(|option| !is_option(option)) {
        return Err(ApiError::bad_request(format!("invalid DNS option {option:?}")));
    }
    Ok(DnsOptions {
        servers,
        search,
        options,
    })
}

/// Labels of letters, digits and hyphens inside, a letter among them, at most 254 characters.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(is_inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.len() < 255 && text.contains(|c: char| c.is_ascii_alphabetic()) && name.split('.').all(is_label)
}

/// `name:address`, and `host-gateway` for an address, as they were given.
fn parse_extra_hosts(lines: Vec<String>) -> Result<Vec<String>, ApiError> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '#');
    for line in &lines {
        let Some((name, address)) = line.split_once(['=', ':']) else {
            return Err(ApiError::bad_request(format!("bad format for add-host: {line:?}")));
        };
        if !is_name(name) {
            return Err(ApiError::bad_request(format!("bad format for add-host: {line:?}")));
        }
        if ferry_engine::network::parse_extra_host(line, None).is_none() {
            return Err(ApiError::bad_request(format!(
                "invalid IP address in add-host: {address:?}"
            )));
        }
    }
    Ok(lines)
}

/// Options of the API that Ferry does not have yet must not be ignored in silence.
fn refuse_unsupported(host: &HostConfig) -> Result<(), ApiError> {
    fn list<T>(value: Option<&Vec<T>>) -> bool {
        value.is_some_and(|list| !list.is_empty())
    }
    fn map<K, V>(value: Option<&HashMap<K, V>>) -> bool {
        value.is_some_and(|map| !map.is_empty())
    }
    fn mode(value: Option<&String>, known: &[&str]) -> bool {
        value.is_some_and(|value| !known.contains(&value.as_str()))
    }
    let given = [
        ("DeviceRequests", list(host.device_requests.as_ref())),
        ("PortBindings", map(host.port_bindings.as_ref())),
        ("PublishAllPorts", host.publish_all_ports == Some(true)),
        ("VolumesFrom", list(host.volumes_from.as_ref())),
        ("Links", list(host.links.as_ref())),
        ("UsernsMode", mode(host.userns_mode.as_ref(), &[""])),
    ];
    refuse_given("HostConfig.", &given)
}

/// What Docker knows and refuses, in its words.
fn refuse_as_docker(host: &HostConfig) -> Result<(), ApiError> {
    const RUNTIMES: &[&str] = &["", "ferry", "runc", "io.containerd.runc.v2"];
    let runtime = host.runtime.as_deref().unwrap_or_default();
    if !RUNTIMES.contains(&runtime) {
        return Err(ApiError::bad_request(format!(
            "unknown or invalid runtime name: {runtime}"
        )));
    }
    if host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()) {
        return Err(ApiError::bad_request(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ));
    }
    let mut annotations = host.annotations.iter().flatten();
    if annotations.any(|(key, _)| key.trim().is_empty()) {
        return Err(ApiError::bad_request(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    Ok(())
}

/// What cannot be asked for together with another container's network, as far as only the API's body shows it.
/// Source: moby `runconfig/hostconfig_unix.go`.
fn refuse_in_joined_network(body: &ContainerCreateBody) -> Result<(), ApiError> {
    let host = body.host_config.clone().unwrap_or_default();
    if !host.network_mode.is_some_and(|mode| mode.starts_with("container:")) {
        return Ok(());
    }
    let is_filled = |map: Option<usize>| map.is_some_and(|len| len > 0);
    let conflicts = [
        (
            is_filled(host.links.map(|links| links.len())),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (
            is_filled(host.port_bindings.map(|ports| ports.len())) || host.publish_all_ports == Some(true),
            "port publishing and the container type network mode",
        ),
        (
            is_filled(body.exposed_ports.as_ref().map(Vec::len)),
            "port exposing and the container type network mode",
        ),
    ];
    match conflicts.into_iter().find(|(is_given, _)| *is_given) {
        Some((_, what)) => Err(ApiError::bad_request(format!("conflicting options: {what}"))),
        None => Ok(()),
    }
}

/// The same for what stands beside `HostConfig`.
fn refuse_unsupported_config(body: &ContainerCreateBody) -> Result<(), ApiError> {
    let endpoints = body
        .networking_config
        .as_ref()
        .and_then(|config| config.endpoints_config.as_ref());
    let has_settings = |endpoint: &EndpointSettings| {
        endpoint.ipam_config.is_some()
            || endpoint.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty())
            || endpoint.links.as_ref().is_some_and(|links| !links.is_empty())
            || endpoint.mac_address.as_ref().is_some_and(|mac| !mac.is_empty())
            || endpoint.driver_opts.as_ref().is_some_and(|options| !options.is_empty())
    };
    let given = [
        (
            "Volumes",
            body.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty()),
        ),
        ("NetworkDisabled", body.network_disabled == Some(true)),
        (
            "NetworkingConfig.EndpointsConfig",
            endpoints.is_some_and(|all| all.values().any(has_settings)),
        ),
    ];
    refuse_given("", &given)
}

fn refuse_given(prefix: &str, given: &[(&str, bool)]) -> Result<(), ApiError> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(ApiError::not_implemented(format!(
            "{prefix}{name} is not supported yet"
        ))),
        None => Ok(()),
    }
}

/// One row of the list. Docker Engine API `ContainerSummary`.
pub(crate) fn summary(container: &Container, size: Option<ContainerSize>, instance: &Instance) -> ContainerSummary {
    let (state, health) = (container.state(), container.health());
    let config = &container.config;
    ContainerSummary {
        id: Some(container.id.to_string()),
        names: Some(vec![format!("/{}", container.name())]),
        image: Some(config.options.image.clone()),
        image_id: Some(config.image_id().to_string()),
        command: Some(command_line(&config.args)),
        size_rw: size.map(|size| bytes(size.writable_bytes)),
        size_root_fs: size.map(|size| bytes(size.whole_bytes)),
        created: Some(container.created_at.unix_timestamp()),
        ports: Some(Vec::new()),
        labels: Some(config.labels.clone().into_iter().collect()),
        state: Some(match state.phase {
            Phase::Created => ContainerSummaryStateEnum::CREATED,
            Phase::Running => ContainerSummaryStateEnum::RUNNING,
            Phase::Paused => ContainerSummaryStateEnum::PAUSED,
            Phase::Restarting => ContainerSummaryStateEnum::RESTARTING,
            Phase::Exited => ContainerSummaryStateEnum::EXITED,
            Phase::Removed => ContainerSummaryStateEnum::REMOVING,
        }),
        status: Some(status(&state, health.as_ref().map(|health| health.status))),
        health: health::summary(health.as_ref()),
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: Some(network_name(&config.options.host.network)),
            ..Default::default()
        }),
        network_settings: Some(ContainerSummaryNetworkSettings {
            networks: Some(networks(container, instance)),
        }),
        mounts: Some(mounts(container)),
        ..Default::default()
    }
}

/// A command as Docker's list has it: arguments with a blank stand in quotes, and nothing is escaped.
fn command_line(args: &[String]) -> String {
    let quoted = |(at, arg): (usize, &String)| match arg.contains(' ') && at > 0 {
        true => format!("'{arg}'"),
        false => arg.clone(),
    };
    args.iter().enumerate().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `Up 5 minutes`, `Exited (0) 2 hours ago`, in Docker's words.
pub(crate) fn status(state: &State, health: Option<HealthStatus>) -> String {
    let ago =
        |at: Option<OffsetDateTime>| at.map_or_else(String::new, |at| human_duration(OffsetDateTime::now_utc() - at));
    match state.phase {
        Phase::Created => "Created".to_owned(),
        Phase::Running => match health {
            Some(HealthStatus::Starting) => format!("Up {} (health: starting)", ago(state.started_at)),
            Some(health) => format!("Up {} ({})", ago(state.started_at), health.as_str()),
            None => format!("Up {}", ago(state.started_at)),
        },
        Phase::Paused => format!("Up {} (Paused)", ago(state.started_at)),
        Phase::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ago(state.finished_at)),
        Phase::Exited => format!("Exited ({}) {} ago", state.exit_code, ago(state.finished_at)),
        Phase::Removed => "Removal In Progress".to_owned(),
    }
}

/// Go's `units.HumanDuration`, which people know from `docker ps`.
fn human_duration(duration: time::Duration) -> String {
    let (seconds, minutes) = (duration.whole_seconds(), duration.whole_minutes());
    let hours = (duration.as_seconds_f64() / 3600.0).round();
    match (seconds, minutes) {
        (..1, _) => "Less than a second".to_owned(),
        (1, _) => "1 second".to_owned(),
        (..60, _) => format!("{seconds} seconds"),
        (_, 1) => "About a minute".to_owned(),
        (_, ..60) => format!("{minutes} minutes"),
        _ if hours <= 1.0 => "About an hour".to_owned(),
        _ if hours < 48.0 => format!("{hours} hours"),
        _ if hours < 24.0 * 7.0 * 2.0 => format!("{} days", duration.whole_days()),
        _ if hours < 24.0 * 30.0 * 2.0 => format!("{} weeks", duration.whole_days() / 7),
        _ if hours < 24.0 * 365.0 * 2.0 => format!("{} months", duration.whole_days() / 30),
        _ => format!("{} years", duration.whole_days() / 365),
    }
}

/// All about one container. Docker Engine API `ContainerInspect`.
pub(crate) fn inspect(
    container: &Container,
    size: Option<ContainerSize>,
    instance: &Instance,
) -> ContainerInspectResponse {
    let config = &container.config;
    let files_of = match &config.options.host.network {
        NetworkMode::Container(id) => id,
        _ => container.id.as_str(),
    };
    let dir = instance.container_dir(files_of);
    let file = |name: &str| Some(dir.join(name).to_string_lossy().into_owned());
    let (path, args) = config
        .args
        .split_first()
        .map_or((String::new(), Vec::new()), |(path, args)| {
            (path.clone(), args.to_vec())
        });
    ContainerInspectResponse {
        id: Some(container.id.to_string()),
        created: Some(rfc3339(container.created_at)),
        path: Some(path),
        args: Some(args),
        state: Some(container_state(container)),
        image: Some(config.image_id().to_string()),
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        log_path: container
            .log_path(instance)
            .filter(|_| log::has_public_file(&config.options.host.log))
            .map_or_else(|| Some(String::new()), |path| Some(path.to_string_lossy().into_owned())),
        name: Some(format!("/{}", container.name())),
        restart_count: Some(i64::from(container.restarts())),
        size_rw: size.map(|size| bytes(size.writable_bytes)),
        size_root_fs: size.map(|size| bytes(size.whole_bytes)),
        driver: Some("overlayfs".to_owned()),
        platform: Some(config.platform.os.clone()),
        mount_label: Some(String::new()),
        process_label: Some(String::new()),
        app_armor_profile: Some(String::new()),
        host_config: Some(host_config(container)),
        mounts: Some(mounts(container)),
        config: Some(api_config(container)),
        network_settings: Some(NetworkSettings {
            sandbox_id: Some(String::new()),
            sandbox_key: Some(String::new()),
            ports: Some(HashMap::new()),
            networks: Some(networks(container, instance)),
        }),
        ..Default::default()
    }
}

fn container_state(container: &Container) -> ContainerState {
    let state = container.state();
    ContainerState {
        status: Some(match state.phase {
            Phase::Created => ContainerStateStatusEnum::CREATED,
            Phase::Running => ContainerStateStatusEnum::RUNNING,
            Phase::Paused => ContainerStateStatusEnum::PAUSED,
            Phase::Restarting => ContainerStateStatusEnum::RESTARTING,
            Phase::Exited => ContainerStateStatusEnum::EXITED,
            Phase::Removed => ContainerStateStatusEnum::REMOVING,
        }),
        running: Some(state.is_running()),
        paused: Some(state.is_paused()),
        restarting: Some(state.phase == Phase::Restarting),
        oom_killed: Some(state.oom_killed),
        dead: Some(false),
        pid: Some(state.pid.map_or(0, i64::from)),
        exit_code: Some(i64::from(state.exit_code)),
        error: Some(state.error.clone()),
        started_at: Some(rfc3339_or_zero(state.started_at)),
        finished_at: Some(rfc3339_or_zero(state.finished_at)),
        health: container.health().as_ref().map(health::show),
    }
}

fn api_config(container: &Container) -> ContainerConfig {
    let config = &container.config;
    let options = &config.options;
    let has_terminal = options.terminal != Terminal::None;
    ContainerConfig {
        hostname: Some(config.hostname.clone()),
        domainname: Some(options.domainname.clone().unwrap_or_default()),
        user: Some(config.user.clone()),
        attach_stdin: Some(options.stdin == StdinMode::Once),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(has_terminal),
        open_stdin: Some(options.stdin != StdinMode::Closed),
        stdin_once: Some(options.stdin == StdinMode::Once),
        env: Some(config.env.clone()),
        cmd: options.command.clone(),
        image: Some(options.image.clone()),
        working_dir: Some(config.working_dir.clone()),
        entrypoint: options.entrypoint.clone(),
        labels: Some(config.labels.clone().into_iter().collect()),
        stop_signal: config.stop_signal.clone(),
        healthcheck: config.healthcheck.as_ref().map(health::show_check),
        ..Default::default()
    }
}

fn host_config(container: &Container) -> HostConfig {
    let mut host = container.config.options.host.clone();
    host.adjust(&container.adjustable());
    let host = &host;
    let bind = |bind: &Bind| {
        let suffix = if bind.access == RootAccess::ReadOnly { ":ro" } else { "" };
        format!("{}:{}{suffix}", bind.source.display(), bind.target.display())
    };
    let mut shown = HostConfig {
        binds: (!host.binds.is_empty()).then(|| host.binds.iter().map(bind).collect()),
        log_config: Some(log::show(&host.log)),
        network_mode: Some(network_name(&host.network)),
        cgroup_parent: Some(
            host.cgroup_parent
                .as_ref()
                .map_or_else(String::new, |path| format!("/{}", path.as_str())),
        ),
        annotations: (!host.annotations.is_empty()).then(|| host.annotations.clone().into_iter().collect()),
        restart_policy: Some(restart::show(host.restart)),
        auto_remove: Some(host.on_exit == OnExit::Remove),
        init: (host.first_process == FirstProcess::Init).then_some(true),
        cap_add: (!host.cap_add.is_empty()).then(|| host.cap_add.clone()),
        cap_drop: (!host.cap_drop.is_empty()).then(|| host.cap_drop.clone()),
        extra_hosts: (!host.extra_hosts.is_empty()).then(|| host.extra_hosts.clone()),
        dns: Some(host.dns.servers.iter().map(ToString::to_string).collect()),
        dns_search: Some(host.dns.search.clone()),
        dns_options: Some(host.dns.options.clone()),
        privileged: Some(host.confinement == Confinement::Privileged),
        readonly_rootfs: Some(host.root == RootAccess::ReadOnly),
        shm_size: host
            .shm_size_bytes
            .map_or(Some(64 << 20), |size| i64::try_from(size).ok()),
        ulimits: Some(host.ulimits.iter().map(limits::show_ulimit).collect()),
        oom_score_adj: Some(i64::from(host.oom_score_adj)),
        group_add: (!host.groups.is_empty()).then(|| host.groups.clone()),
        sysctls: (!host.sysctls.is_empty()).then(|| host.sysctls.clone().into_iter().collect()),
        tmpfs: tmpfs::show_options(&host.tmpfs),
        mounts: tmpfs::show_mounts(&host.tmpfs),
        runtime: Some("ferry".to_owned()),
        ..Default::default()
    };
    limits::show(&host.limits, &mut shown);
    security::show(host, &mut shown);
    shown
}

fn network_name(network: &NetworkMode) -> String {
    match network {
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Container(id) => format!("container:{id}"),
    }
}

/// The container's one network; what it has there only while it runs is empty else, as in Docker.
fn networks(container: &Container, instance: &Instance) -> HashMap<String, EndpointSettings> {
    let network = &container.config.options.host.network;
    if matches!(network, NetworkMode::Container(_)) {
        return HashMap::new();
    }
    let endpoint = container.endpoint();
    let text = |value: &dyn Fn(&Endpoint) -> String| Some(endpoint.as_ref().map(value).unwrap_or_default());
    let settings = EndpointSettings {
        network_id: Some(ferry_engine::network::id_of(instance, network)),
        endpoint_id: text(&Endpoint::id),
        mac_address: text(&|endpoint| endpoint.mac().to_string()),
        gateway: text(&|endpoint| endpoint.gateway.to_string()),
        ip_address: text(&|endpoint| endpoint.address.to_string()),
        ip_prefix_len: Some(endpoint.as_ref().map_or(0, |endpoint| i64::from(endpoint.prefix_len))),
        ipv6_gateway: Some(String::new()),
        global_ipv6_address: Some(String::new()),
        global_ipv6_prefix_len: Some(0),
        ..Default::default()
    };
    HashMap::from([(network_name(network), settings)])
}

fn mounts(container: &Container) -> Vec<MountPoint> {
    let mount = |bind: &Bind| MountPoint {
        typ: Some(MountType::BIND.to_string()),
        source: Some(bind.source.to_string_lossy().into_owned()),
        destination: Some(bind.target.to_string_lossy().into_owned()),
        mode: Some(if bind.access == RootAccess::ReadOnly { "ro" } else { "" }.to_owned()),
        rw: Some(bind.access == RootAccess::ReadWrite),
        propagation: Some(bind.propagation.clone().unwrap_or_else(|| "rprivate".to_owned())),
        ..Default::default()
    };
    let host = &container.config.options.host;
    let binds = host.binds.iter().map(mount);
    binds.chain(tmpfs::mount_points(&host.tmpfs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_parsed_or_refused() {
        let bind = parse_bind("/a:/b:ro,rslave").unwrap();
        assert_eq!(
            (bind.access, bind.propagation.as_deref()),
            (RootAccess::ReadOnly, Some("rslave"))
        );
        for text in ["/a", "/a:/b:x", "/a:/b:ro:z", "name:/b"] {
            assert!(parse_bind(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_read_as_in_docker_s_list() {
        for (args, shown) in [
            (&["sh", "-c", "sleep 1"][..], "sh -c 'sleep 1'"),
            (&["a b", "c'd e", ""], "a b 'c'd e' "),
            (&["true"], "true"),
        ] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            assert_eq!(command_line(&args), shown);
        }
    }

    #[test]
    fn names_are_checked_with_docker_s_words() {
        let dns = |server: &str, search: &str, option: &str| {
            let one = |text: &str| {
                if text.is_empty() {
                    Vec::new()
                } else {
                    vec![text.to_owned()]
                }
            };
            match parse_dns(one(server), one(search), one(option)) {
                Ok(_) => String::new(),
                Err(error) => error.message().to_owned(),
            }
        };
        assert_eq!(dns("192.0.2.1", "a-b.example.", "ndots:2"), "");
        assert_eq!(dns("::1", ".", ""), "");
        assert_eq!(dns("one", "", ""), "IP address is not correctly formatted: one");
        for domain in ["a b", "-a", "a..b", "1.2", "a\nnameserver"] {
            assert_eq!(dns("", domain, ""), format!("{domain} is not a valid domain"));
        }
        assert!(dns("", "", "a\nb").starts_with("invalid DNS option"));
        let hosts = |line: &str| parse_extra_hosts(vec![line.to_owned()]).map_err(|error| error.message().to_owned());
        for line in ["a:1.2.3.4", "a=::1", "a:::1", "a:host-gateway"] {
            assert_eq!(hosts(line), Ok(vec![line.to_owned()]));
        }
        assert_eq!(hosts("a"), Err("bad format for add-host: \"a\"".to_owned()));
        assert_eq!(
            hosts("a b:1.2.3.4"),
            Err("bad format for add-host: \"a b:1.2.3.4\"".to_owned())
        );
        assert_eq!(hosts("a:x"), Err("invalid IP address in add-host: \"x\"".to_owned()));
    }

    #[test]
    fn what_is_not_supported_is_refused_and_defaults_are_not() {
        assert!(refuse_unsupported(&HostConfig::default()).is_ok());
        let published = HostConfig {
            publish_all_ports: Some(true),
            ..Default::default()
        };
        assert!(refuse_unsupported(&published).is_err());
    }

    #[test]
    fn durations_read_as_docker_s() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (600, "10 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (86400 * 3, "3 days"),
        ] {
            assert_eq!(human_duration(time::Duration::seconds(seconds)), text);
        }
    }
}
