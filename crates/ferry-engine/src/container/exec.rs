//! Runs another process in a running container.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferry_runtime::{Durability, Log, Monitor, Stdin, Stdio, WindowSize};
use oci_spec::runtime::Process;
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::start::{KILLED_WITH_MONITOR, exit_code_of, read_exit, start_error, window_size};
use super::{AttachOptions, Confinement, Container, ContainerId, Error, Terminal, spec};
use crate::{Engine, folder};

/// What is to be run. Source: Docker Engine API `ContainerExec`.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// The command; never empty.
    pub command: Vec<String>,
    /// Environment, on top of the container's.
    pub env: Vec<String>,
    /// Where it starts; the container's own by default.
    pub working_dir: Option<String>,
    /// `user[:group]`; the container's own by default.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub terminal: Terminal,
    /// Which streams are connected.
    pub attach: AttachOptions,
    /// `--privileged`: all capabilities, no seccomp.
    pub confinement: Confinement,
    /// Who wants it.
    pub owner: ExecOwner,
}

/// Who wants an exec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExecOwner {
    /// A client, which may ask how it ended.
    #[default]
    Client,
    /// The engine, to check the container's health: it is forgotten when it has ended.
    Health,
}

/// One exec of a container.
#[derive(Debug)]
pub struct Exec {
    /// Its id.
    pub id: ContainerId,
    /// The container that it runs in.
    pub container: ContainerId,
    /// What was asked for.
    pub options: ExecOptions,
    state: watch::Sender<ExecState>,
}

/// How far an exec is.
#[derive(Debug, Clone)]
pub enum ExecState {
    /// Not started.
    Created,
    /// Its process is being made.
    Starting,
    /// Its process runs.
    Running {
        /// The handle on its monitor.
        monitor: Arc<Monitor>,
    },
    /// It has ended.
    Ended {
        /// Its exit code; 128 + n after signal n.
        code: i32,
    },
}

impl ExecState {
    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

impl Exec {
    /// How far it is now.
    pub fn state(&self) -> ExecState {
        self.state.borrow().clone()
    }

    fn set_state(&self, state: ExecState) {
        self.state.send_replace(state);
    }

    /// Waits until it has ended; gives its exit code.
    pub(super) async fn ended(&self) -> i32 {
        let mut state = self.state.subscribe();
        match state.wait_for(ExecState::has_ended).await.as_deref() {
            Ok(ExecState::Ended { code }) => *code,
            // The exec holds its sender.
            _ => KILLED_WITH_MONITOR,
        }
    }

    /// What events say about it.
    fn attributes(&self, container: &Container) -> BTreeMap<String, String> {
        let mut attributes = container.attributes();
        attributes.insert("execID".to_owned(), self.id.to_string());
        attributes
    }

    pub(super) fn forget_if_nobody_asks(&self, container: &Container) {
        if self.options.owner == ExecOwner::Health {
            container.live().execs.remove(self.id.as_str());
        }
    }

    pub(super) fn resize(&self, size: WindowSize) -> Result<(), Error> {
        match self.state() {
            ExecState::Running { monitor } => Ok(monitor.resize(size)?),
            _ => Err(Error::NotRunning(self.id.to_string())),
        }
    }

    /// Of several starts, one wins.
    fn begin(&self) -> Result<(), Error> {
        let has_begun = self.state.send_if_modified(|state| {
            let is_first = matches!(state, ExecState::Created);
            if is_first {
                *state = ExecState::Starting;
            }
            is_first
        });
        if has_begun {
            Ok(())
        } else {
            Err(Error::ExecAlreadyStarted(self.id.to_string()))
        }
    }
}

impl Engine {
    /// Prepares an exec. Docker Engine API `ContainerExec`.
    pub fn create_exec(&self, wanted: &str, options: ExecOptions) -> Result<Arc<Exec>, Error> {
        let container = self.containers.find(wanted)?;
        if options.command.is_empty() {
            return Err(Error::NoCommand);
        }
        container.awake_monitor("exec")?;
        let exec = Arc::new(Exec {
            id: ContainerId::random(),
            container: container.id.clone(),
            options,
            state: watch::Sender::new(ExecState::Created),
        });
        container.live().execs.insert(exec.id.to_string(), exec.clone());
        self.tell_exec("exec_create", &exec, &container);
        Ok(exec)
    }

    /// Tells of an exec, with its command in the action, as Docker does.
    fn tell_exec(&self, action: &str, exec: &Exec, container: &Container) {
        let action = format!("{action}: {}", exec.options.command.join(" "));
        let attributes = exec.attributes(container);
        self.events.send("container", action, container.id.as_str(), attributes);
    }

    /// The exec with this id. Docker Engine API `ExecInspect`.
    pub fn exec(&self, id: &str) -> Result<Arc<Exec>, Error> {
        self.containers
            .all()
            .iter()
            .find_map(|container| container.live().execs.get(id).cloned())
            .ok_or_else(|| Error::NoSuchExec(id.chars().take(200).collect()))
    }

    /// Starts an exec; the stream carries what its options attach, `None` when that is nothing.
    /// Docker Engine API `ExecStart`. Goes on to its end if the caller goes away, as a container's start does.
    pub async fn start_exec(&self, id: &str, size: Option<WindowSize>) -> Result<Option<UnixStream>, Error> {
        let exec = self.exec(id)?;
        let container = self.containers.find(exec.container.as_str())?;
        container.awake_monitor("exec")?;
        exec.begin()?;
        self.tell_exec("exec_start", &exec, &container);
        let engine = self.clone();
        let start = async move { engine.start_begun_exec(exec, container, size).await };
        self.reaper.spawn(start).await?
    }

    async fn start_begun_exec(
        &self,
        exec: Arc<Exec>,
        container: Arc<Container>,
        size: Option<WindowSize>,
    ) -> Result<Option<UnixStream>, Error> {
        let (engine, starting) = (self.clone(), exec.clone());
        let _not_freezing = container.freezing.read().await;
        let of = container.clone();
        let started = tokio::task::spawn_blocking(move || engine.start_exec_process(&of, &starting, size)).await?;
        let (monitor, watch, stream) = match started {
            Ok(started) => started,
            Err(error) => {
                exec.set_state(ExecState::Ended {
                    code: exit_code_of(&error),
                });
                folder::remove(&self.instance.state_dir(exec.id.as_str()));
                exec.forget_if_nobody_asks(&container);
                return Err(error);
            }
        };
        exec.set_state(ExecState::Running { monitor });
        let (engine, ending, of) = (self.clone(), exec.clone(), container.clone());
        tokio::spawn(async move {
            let exit = read_exit(watch).await;
            let code = exit.map_or(KILLED_WITH_MONITOR, |exit| i32::from(exit.code));
            ending.set_state(ExecState::Ended { code });
            ending.forget_if_nobody_asks(&of);
            let mut attributes = ending.attributes(&of);
            attributes.insert("exitCode".to_owned(), code.to_string());
            engine.events.send("container", "exec_die", of.id.as_str(), attributes);
            let dir = engine.instance.state_dir(ending.id.as_str());
            tokio::task::spawn_blocking(move || folder::remove(&dir));
        });
        let Some(stream) = stream else {
            return Ok(None);
        };
        let into_tokio = || -> std::io::Result<UnixStream> {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        };
        Ok(into_tokio().ok())
    }

    /// Blocking.
    #[allow(clippy::type_complexity)]
    fn start_exec_process(
        &self,
        container: &Container,
        exec: &Exec,
        size: Option<WindowSize>,
    ) -> Result<
        (
            Arc<Monitor>,
            std::os::unix::net::UnixStream,
            Option<std::os::unix::net::UnixStream>,
        ),
        Error,
    > {
        let launched = container.awake_monitor("exec")?;
        let state_dir = self.instance.state_dir(exec.id.as_str());
        folder::create(&state_dir)?;
        let options = &exec.options;
        let process: Process = spec::exec_process(container, options)?;
        let confinement = match container.config.options.host.confinement {
            Confinement::Privileged => Confinement::Privileged,
            Confinement::Default => options.confinement,
        };
        let monitor = self.zygote.exec(&ferry_runtime::Exec {
            id: exec.id.to_string(),
            container: launched.state_dir.clone(),
            process,
            seccomp: self.filter_of(&container.config.options.host, confinement)?,
            user: options.user.clone().unwrap_or_else(|| container.config.user.clone()),
            groups: container.config.options.host.groups.clone(),
            stdio: Stdio {
                tty: size
                    .or(window_size(options.terminal))
                    .filter(|_| options.terminal != Terminal::None),
                stdin: if options.attach.stdin {
                    Stdin::Once
                } else {
                    Stdin::Closed
                },
                log: Log::None,
            },
            state_dir: state_dir.clone(),
            exit_record: state_dir.join(super::start::EXIT_RECORD),
            durability: Durability::Volatile,
        })?;
        let attach = options.attach;
        let stream = if attach == AttachOptions::default() {
            None
        } else {
            Some(monitor.attach(attach.to_runtime())?)
        };
        let watch = monitor.watch()?;
        monitor.start().map_err(start_error)?;
        Ok((Arc::new(monitor), watch, stream))
    }
}
