//! Starts a container: network, root, process; and watches it from then on.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ferry_runtime::{Durability, Exit, Log, Overlay, Stdin, Stdio, WindowSize};
use ferry_store::Snapshot;
use tokio::io::AsyncReadExt;

use super::health::Past;
use super::{
    Container, Error, FileLog, LogOptions, NETWORK_FILES, OnExit, Phase, RootAccess, StdinMode, Terminal, join::Joined,
    spec, write_network_files,
};
use crate::Engine;
use crate::launch::{LaunchRequest, Launched};

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// The process runs.
    Now,
    /// It ran already.
    Already,
}

/// Who starts a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartedBy {
    /// Somebody, or an engine that begins: its restarts are counted from here.
    Person,
    /// Its restart policy.
    Policy,
}

/// A container that has just been started, and the stream that will tell of its end.
type Running = (Arc<Launched>, UnixStream, time::OffsetDateTime);

impl Engine {
    /// Starts a container. Docker Engine API `ContainerStart`. Goes on to its end if the caller goes away:
    /// half a start would be a process that nobody watches.
    pub async fn start_container(&self, wanted: &str) -> Result<Started, Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        let start = async move { engine.start_found(container).await };
        self.reaper.spawn(start).await?
    }

    async fn start_found(&self, container: Arc<Container>) -> Result<Started, Error> {
        let _lifecycle = container.lifecycle.lock().await;
        match container.state.borrow().phase {
            Phase::Running | Phase::Restarting => return Ok(Started::Already),
            Phase::Paused => return Err(Error::StartedPaused),
            Phase::Removed => return Err(Error::BeingRemoved(container.id.to_string())),
            Phase::Created | Phase::Exited => {}
        }
        self.start_idle(&container, StartedBy::Person).await
    }

    /// Starts a container in which nothing runs; the caller holds its `lifecycle`.
    pub(super) async fn start_idle(&self, container: &Arc<Container>, by: StartedBy) -> Result<Started, Error> {
        let (engine, starting) = (self.clone(), container.clone());
        let running = tokio::task::spawn_blocking(move || {
            let running = engine.start_process(&starting)?;
            if by == StartedBy::Person {
                starting.begin_life(&starting.dir(&engine.instance), running.2);
            }
            Ok::<_, Error>(running)
        });
        match running.await? {
            Ok((launched, watch, started_at)) => {
                let check = self.begin_health(container, Past::Over);
                container.state.send_modify(|state| {
                    state.phase = Phase::Running;
                    state.pid = u32::try_from(launched.monitor().pid()).ok();
                    state.started_at = Some(started_at);
                    state.finished_at = None;
                    state.exit_code = 0;
                    state.oom_killed = false;
                    state.error.clear();
                });
                self.watch_health(container, check);
                self.events
                    .send("container", "start", container.id.as_str(), container.attributes());
                self.watch_exit(container.clone(), launched, watch);
                Ok(Started::Now)
            }
            Err(error) => {
                container.live().waiting.clear();
                container.state.send_modify(|state| {
                    if state.phase == Phase::Restarting {
                        state.phase = Phase::Exited;
                    }
                    state.error = error.to_string();
                    state.exit_code = exit_code_of(&error);
                    state.exits += 1;
                });
                if container.config.options.host.on_exit == OnExit::Remove {
                    self.remove_now(container);
                }
                Err(error)
            }
        }
    }

    /// Blocking: all that lies between a created container and its running process.
    fn start_process(&self, container: &Arc<Container>) -> Result<Running, Error> {
        let joined = self.join(container)?;
        let parent = container.config.options.host.cgroup_parent.as_ref();
        parent.map_or(Ok(()), |path| self.cgroup_parents.take(path))?;
        let started = self.start_in(container, &joined);
        if let (Err(_), Some(path)) = (&started, parent) {
            self.cgroup_parents.release(path);
        }
        started
    }

    /// With what others give it, and below its control group's parent.
    fn start_in(&self, container: &Arc<Container>, joined: &Joined) -> Result<Running, Error> {
        let endpoint = self.take_endpoint(&container.config.options.host.network)?;
        let launched = self.launch_request(container, joined, endpoint.clone());
        let launched = match launched.and_then(|request| self.launch(request)) {
            Ok(launched) => launched,
            Err(error) => {
                self.release_endpoint(endpoint);
                return Err(error);
            }
        };
        if !container.config.options.host.ulimits.is_empty() {
            for warning in launched.monitor().warnings() {
                tracing::warn!(container.id = %container.id, %warning, "limited otherwise than asked");
            }
        }
        match serve_waiting_and_start(container, &launched) {
            Ok((watch, started_at)) => {
                let launched = Arc::new(launched);
                container.live().launched = Some(launched.clone());
                Ok((launched, watch, started_at))
            }
            Err(error) => {
                self.release(&launched);
                Err(error)
            }
        }
    }

    fn launch_request<'a>(
        &self,
        container: &'a Container,
        joined: &'a Joined,
        endpoint: Option<crate::network::Endpoint>,
    ) -> Result<LaunchRequest<'a>, Error> {
        let options = &container.config.options;
        let dir = container.dir(&self.instance);
        let files = match &joined.files_of {
            Some(owner) => owner.dir(&self.instance),
            None => {
                write_network_files(&dir, &container.config.hostname, &options.host, endpoint.as_ref())?;
                dir.clone()
            }
        };
        Ok(LaunchRequest {
            id: container.id.as_str(),
            spec: spec::of_container(
                container,
                &files,
                joined,
                self.host(),
                self.user_namespace(&container.config.platform)?,
            )?,
            seccomp: self.filter_of(&options.host, options.host.confinement)?,
            overlay: self.root_of(container)?,
            user: &container.config.user,
            groups: &options.host.groups,
            first_process: options.host.first_process,
            stdio: Stdio {
                tty: window_size(options.terminal),
                stdin: match options.stdin {
                    StdinMode::Closed => Stdin::Closed,
                    StdinMode::Open => Stdin::Open,
                    StdinMode::Once => Stdin::Once,
                },
                log: match &options.host.log {
                    LogOptions::None => Log::None,
                    LogOptions::JsonFile {
                        max_size_bytes,
                        max_files,
                        more: FileLog { compress: true, .. },
                    } => Log::CompressedFile {
                        path: dir.join("log"),
                        max_size_bytes: *max_size_bytes,
                        max_files: *max_files,
                    },
                    LogOptions::JsonFile {
                        max_size_bytes,
                        max_files,
                        ..
                    } => Log::JsonFile {
                        path: dir.join("log"),
                        max_size_bytes: Some(*max_size_bytes),
                        max_files: *max_files,
                    },
                },
            },
            emulate: self.emulation_for(&container.config.platform)?,
            endpoint,
            shared_memory: joined.shared_memory.as_ref().map(AsFd::as_fd),
            exit_record: match options.host.on_exit {
                OnExit::Keep => dir.join(EXIT_RECORD),
                // Nobody reads it: with its end the container is gone.
                OnExit::Remove => self.instance.state_dir(container.id.as_str()).join(EXIT_RECORD),
            },
            durability: match options.host.on_exit {
                OnExit::Keep => Durability::Durable,
                OnExit::Remove => Durability::Volatile,
            },
        })
    }

    /// The root of a container that does not run, to be mounted by one at a time.
    pub(super) fn root_of(&self, container: &Container) -> Result<Overlay, Error> {
        let snapshot = self.store.snapshots().renew(&container.snapshot_id()?)?;
        self.overlay_of(container, snapshot)
    }

    /// What the root of a container is mounted from.
    pub(super) fn overlay_of(&self, container: &Container, snapshot: Snapshot) -> Result<Overlay, Error> {
        let mut overlay = snapshot.overlay;
        let snapshots = self.store.snapshots();
        let points = snapshots.mount_points(&container.config.layers, NETWORK_FILES)?;
        overlay.lower.splice(0..0, points);
        let host = &container.config.options.host;
        Ok(Overlay {
            lower: overlay.lower,
            upper: overlay.upper,
            work: overlay.work,
            volatile: host.on_exit == OnExit::Remove,
            read_only: host.root == RootAccess::ReadOnly,
        })
    }

    /// Follows the process to its end, on a task of its own.
    pub(super) fn watch_exit(&self, container: Arc<Container>, launched: Arc<Launched>, watch: UnixStream) {
        let engine = self.clone();
        tokio::spawn(async move {
            let exit = read_exit(watch).await;
            // Before anyone is told: the next start uses the same folder.
            if exit.is_none() {
                let (reaper, ended) = (engine.clone(), launched.clone());
                let cleared = tokio::task::spawn_blocking(move || reaper.clear_remains(&ended.state_dir));
                let _ = cleared.await;
            }
            // The monitor has emptied it but for a small file; a thread for that, on a tmpfs, would cost more than it.
            {
                let _files = container.files();
                crate::folder::remove(&launched.state_dir);
            }
            engine.container_exited(&container, &launched, exit);
        });
    }

    fn container_exited(&self, container: &Arc<Container>, launched: &Arc<Launched>, exit: Option<Exit>) {
        // Without a record the monitor was killed, and its container with it.
        let code = exit.as_ref().map_or(KILLED_WITH_MONITOR, |exit| i32::from(exit.code));
        {
            let mut live = container.live();
            live.launched = None;
            live.execs.retain(|_, exec| !exec.state().has_ended());
        }
        container.end_health();
        let finished_at = exit
            .as_ref()
            .map_or_else(time::OffsetDateTime::now_utc, |exit| exit.finished_at);
        let started_at = container.state.borrow().started_at.unwrap_or(finished_at);
        let ran_for = Duration::try_from(finished_at - started_at).unwrap_or_default();
        let delay = container.after_exit(code, ran_for);
        let mut attributes = container.attributes();
        attributes.insert("exitCode".to_owned(), code.to_string());
        attributes.insert("execDuration".to_owned(), ran_for.as_secs().to_string());
        self.events.send("container", "die", container.id.as_str(), attributes);
        container.state.send_modify(|state| {
            state.phase = match delay {
                Some(_) => Phase::Restarting,
                None => Phase::Exited,
            };
            state.pid = None;
            state.exit_code = code;
            state.exits += 1;
            state.oom_killed = exit.as_ref().is_some_and(|exit| exit.oom_killed);
            state.finished_at = Some(finished_at);
        });
        // Somebody may have asked it to end since the policy decided.
        container.stay_ended_if_called_off();
        let restarting = delay.map(|delay| {
            self.restart_later(container.clone(), delay);
            container.clone()
        });
        let (engine, endpoint) = (self.clone(), launched.endpoint.clone());
        let removed = container.goes_with_its_end().then(|| {
            self.containers.remove(container);
            container.clone()
        });
        if let Some(container) = &removed {
            self.announce_removal(container);
        }
        // Nothing that a caller waits for.
        let parent = container.config.options.host.cgroup_parent.clone();
        self.reaper.spawn_blocking(move || {
            if let Some(path) = parent {
                engine.cgroup_parents.release(&path);
            }
            engine.release_endpoint(endpoint);
            if let Some(container) = restarting {
                container.keep_life(&container.dir(&engine.instance));
            }
            if let Some(container) = removed {
                engine.delete_files(&container);
            }
        });
    }
}

/// What a container's exit code is when its monitor was killed: as if SIGKILL had come.
pub(super) const KILLED_WITH_MONITOR: i32 = 128 + 9;

/// The exit record of a container, within its folder.
pub(super) const EXIT_RECORD: &str = "exit.json";

/// Lets clients in that attached before the start, then starts: none of them misses a byte.
fn serve_waiting_and_start(
    container: &Container,
    launched: &Launched,
) -> Result<(UnixStream, time::OffsetDateTime), Error> {
    let watch = launched.monitor().watch()?;
    for (options, client) in std::mem::take(&mut container.live().waiting) {
        // A client that has gone in the meantime is none of the container's business.
        let _ = client.send(launched.monitor().attach(options.to_runtime())?);
    }
    Ok((watch, launched.monitor().start().map_err(start_error)?))
}

/// The command's own failures are told apart from the runtime's: they have exit codes of their own.
pub(crate) fn start_error(error: ferry_runtime::Error) -> Error {
    match error {
        ferry_runtime::Error::Start(error) => Error::Start(error),
        other => Error::Runtime(other),
    }
}

/// The exit code that Docker gives a container whose start failed so.
pub(super) fn exit_code_of(error: &Error) -> i32 {
    match error {
        Error::Start(ferry_runtime::StartError::NotFound { .. }) => 127,
        Error::Start(_) => 126,
        _ => 128,
    }
}

pub(super) fn window_size(terminal: Terminal) -> Option<WindowSize> {
    match terminal {
        Terminal::None => None,
        Terminal::Pty { rows, columns } => Some(WindowSize { rows, columns }),
    }
}

/// Reads the one record of a watch stream; `None` if the monitor died without one.
pub(crate) async fn read_exit(watch: UnixStream) -> Option<Exit> {
    watch.set_nonblocking(true).ok()?;
    let mut watch = tokio::net::UnixStream::from_std(watch).ok()?;
    let mut record = Vec::new();
    watch.read_to_end(&mut record).await.ok()?;
    serde_json::from_slice(&record).ok()
}
