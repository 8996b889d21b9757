//! From a spec and a root to a process that waits for its start: what containers and build steps share.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use ferry_oci::cpu::Cpu;
use ferry_runtime::cgroup::ChildName;
use ferry_runtime::{Durability, FirstProcess, Launch, Monitor, Overlay, Root, Stdio};
use ferry_store::record;
use oci_spec::runtime::Spec;

use crate::container::{self, NetworkMode};
use crate::network::Endpoint;
use crate::{Engine, folder};

/// What is to be launched.
pub(crate) struct LaunchRequest<'a> {
    /// Id of the container or build step.
    pub(crate) id: &'a str,
    /// Namespaces, mounts, capabilities and the process.
    pub(crate) spec: Spec,
    /// Filter of system calls.
    pub(crate) seccomp: Option<ferry_runtime::seccomp::Program>,
    /// Root file system.
    pub(crate) overlay: Overlay,
    /// `user[:group]` as in an image config.
    pub(crate) user: &'a str,
    /// Further groups, by name or number.
    pub(crate) groups: &'a [String],
    /// Whether an init starts the program.
    pub(crate) first_process: FirstProcess,
    /// Standard streams and log.
    pub(crate) stdio: Stdio,
    /// The CPU to emulate.
    pub(crate) emulate: Option<&'static Cpu>,
    /// The endpoint that was taken for it, on a bridge.
    pub(crate) endpoint: Option<Endpoint>,
    /// Another container's /dev/shm.
    pub(crate) shared_memory: Option<BorrowedFd<'a>>,
    /// Where the exit record goes.
    pub(crate) exit_record: PathBuf,
    /// Whether the exit record survives a power cut.
    pub(crate) durability: Durability,
}

/// A process that was launched: it waits for its start, runs, or has ended.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) monitor: Monitor,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) state_dir: PathBuf,
}

const ENDPOINT_FILE: &str = "endpoint.json";

impl Engine {
    /// Takes an address, if the network wants one. It is given back by [`Self::release`] or, when
    /// nothing was launched, by [`Self::release_endpoint`].
    pub(crate) fn take_endpoint(&self, network: &NetworkMode) -> Result<Option<Endpoint>, container::Error> {
        match network {
            NetworkMode::Bridge => Ok(Some(self.networks.take()?)),
            NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => Ok(None),
        }
    }

    /// Gives an address back.
    pub(crate) fn release_endpoint(&self, endpoint: Option<Endpoint>) {
        if let Some(endpoint) = endpoint {
            self.networks.release(&endpoint);
        }
    }

    /// Makes the process up to where it waits for its start. Whatever fails, nothing is left, except
    /// the endpoint, which stays the caller's.
    pub(crate) fn launch(&self, request: LaunchRequest<'_>) -> Result<Launched, container::Error> {
        let state_dir = self.instance.state_dir(request.id);
        folder::create(&state_dir)?;
        let launched = self.launch_into(request, &state_dir);
        if launched.is_err() {
            folder::remove(&state_dir);
        }
        launched
    }

    fn launch_into(&self, request: LaunchRequest<'_>, state_dir: &Path) -> Result<Launched, container::Error> {
        if let Some(cpu) = request.emulate {
            self.zygote
                .prepare_emulation(self.emulators())
                .map_err(|error| container::Error::CannotEmulate {
                    platform: cpu.platform().to_string(),
                    reason: error.to_string(),
                })?;
        }
        if let Some(endpoint) = &request.endpoint {
            record::write(&state_dir.join(ENDPOINT_FILE), endpoint, record::Durability::Volatile)?;
        }
        let launch = Launch {
            id: request.id.to_owned(),
            spec: request.spec,
            seccomp: request.seccomp,
            root: Root::Overlay(request.overlay),
            user: request.user.to_owned(),
            groups: request.groups.to_vec(),
            first_process: request.first_process,
            stdio: request.stdio,
            state_dir: state_dir.to_owned(),
            exit_record: request.exit_record,
            durability: request.durability,
            emulate: request.emulate.map(|cpu| cpu.architecture.to_owned()),
            cgroup: ChildName::parse(request.id).expect("ids are names of cgroups"),
        };
        let monitor = self.zygote.launch_sharing(&launch, request.shared_memory)?;
        if let Some(endpoint) = &request.endpoint {
            self.networks.attach(endpoint, &monitor.network_namespace()?)?;
        }
        Ok(Launched {
            monitor,
            endpoint: request.endpoint,
            state_dir: state_dir.to_owned(),
        })
    }

    /// Finds a launched process again after a restart of the engine.
    pub(crate) fn reconnect(&self, id: &str) -> Result<Launched, container::Error> {
        let state_dir = self.instance.state_dir(id);
        let monitor = Monitor::connect(&state_dir)?;
        let endpoint: Option<Endpoint> = record::read(&state_dir.join(ENDPOINT_FILE))?;
        if let Some(endpoint) = &endpoint {
            self.networks.restore(endpoint)?;
        }
        Ok(Launched {
            monitor,
            endpoint,
            state_dir,
        })
    }

    /// Removes what a process that has ended leaves on the host. Blocks up to some 20 ms.
    pub(crate) fn release(&self, launched: &Launched) {
        folder::remove(&launched.state_dir);
        self.release_endpoint(launched.endpoint.clone());
    }
}
