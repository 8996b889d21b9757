//! What a container shares with another one that runs: network, processes, shared memory; and the files of its network.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::{Container, ContainerOptions, Error, IpcScope, NetworkMode, Scope};
use crate::Engine;
use crate::launch::Launched;

/// Namespaces of other containers, held open from before a container's start until it is in them.
#[derive(Debug, Default)]
pub(super) struct Joined {
    network: Option<OwnedFd>,
    pid: Option<OwnedFd>,
    ipc: Option<OwnedFd>,
    /// The other's /dev/shm.
    pub(super) shared_memory: Option<OwnedFd>,
    /// Whose network files it sees.
    pub(super) files_of: Option<Arc<Container>>,
}

impl Joined {
    pub(super) fn network(&self) -> Option<PathBuf> {
        self.network.as_ref().map(path)
    }

    pub(super) fn pid(&self) -> Option<PathBuf> {
        self.pid.as_ref().map(path)
    }

    pub(super) fn ipc(&self) -> Option<PathBuf> {
        self.ipc.as_ref().map(path)
    }
}

/// A descriptor of the engine's, as other processes of the host find it: it means the same namespace whatever becomes
/// of the process that it was taken from.
fn path(namespace: &OwnedFd) -> PathBuf {
    Path::new("/proc")
        .join(std::process::id().to_string())
        .join("fd")
        .join(namespace.as_raw_fd().to_string())
}

impl Engine {
    /// Finds the containers that one is to join, and keeps their ids in place of their names, which may change. Gives
    /// the one whose network it joins.
    pub(super) fn find_joined(&self, options: &mut ContainerOptions) -> Result<Option<Arc<Container>>, Error> {
        let host = &mut options.host;
        for name in [host.namespaces.pid.container_mut(), host.namespaces.ipc.container_mut()]
            .into_iter()
            .flatten()
        {
            *name = self.containers.find(name)?.id.to_string();
        }
        let NetworkMode::Container(name) = &mut host.network else {
            return Ok(None);
        };
        let container = self.containers.find(name)?;
        *name = container.id.to_string();
        Ok(Some(container))
    }

    /// Opens what a container shares with others. Blocking.
    pub(super) fn join(&self, container: &Container) -> Result<Joined, Error> {
        let host = &container.config.options.host;
        let mut joined = Joined::default();
        if let NetworkMode::Container(id) = &host.network {
            let other = self.containers.find(id)?;
            let launched = other.monitor().map_err(|_| Error::NetworkOfIdle(id.clone()))?;
            joined.network = Some(launched.monitor().network_namespace()?);
            joined.files_of = Some(self.owner_of_network(other)?);
        }
        if let Scope::Container(id) = &host.namespaces.pid {
            let fail = |source| cannot_join("PID", source);
            let launched = self
                .containers
                .find(id)
                .and_then(|other| other.monitor())
                .map_err(fail)?;
            joined.pid = Some(namespace(&launched, "pid").map_err(fail)?.0);
        }
        if let IpcScope::Container(id) = &host.namespaces.ipc {
            let fail = |source| cannot_join("IPC", source);
            let other = self.containers.find(id).map_err(fail)?;
            let launched = other.monitor().map_err(fail)?;
            let refuse = || cannot_join("IPC", Error::NotShareable(id.clone()));
            if matches!(
                other.config.options.host.namespaces.ipc,
                IpcScope::Private | IpcScope::None
            ) {
                return Err(refuse());
            }
            let (ipc, process) = namespace(&launched, "ipc").map_err(fail)?;
            joined.ipc = Some(ipc);
            joined.shared_memory = Some(ferry_runtime::shared_memory(process.as_fd())?.ok_or_else(refuse)?);
        }
        Ok(joined)
    }

    /// The container that a network began with: those that join one may be joined too.
    fn owner_of_network(&self, mut container: Arc<Container>) -> Result<Arc<Container>, Error> {
        while let NetworkMode::Container(id) = &container.config.options.host.network {
            container = self.containers.find(&id.clone())?;
        }
        Ok(container)
    }
}

fn cannot_join(kind: &'static str, source: Error) -> Error {
    Error::CannotJoin {
        kind,
        source: Box::new(source),
    }
}

/// A namespace of a container's process, and the process.
fn namespace(launched: &Launched, kind: &str) -> Result<(OwnedFd, OwnedFd), Error> {
    let monitor = launched.monitor();
    let process = monitor.pidfd()?;
    let path = PathBuf::from(format!("/proc/{}/ns/{kind}", monitor.pid()));
    let fail = |errno: rustix::io::Errno| Error::File {
        path: path.clone(),
        source: errno.into(),
    };
    let namespace = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
    // Had it ended before, the number might have been another's.
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    match poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_err(fail)? {
        0 => Ok((namespace, process)),
        _ => Err(fail(rustix::io::Errno::SRCH)),
    }
}
