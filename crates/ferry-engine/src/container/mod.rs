//! Containers: one file a verb; here what a container is while the engine knows it.

mod attach;
mod cgroup_parent;
mod commit;
mod copy;
mod create;
mod device;
mod diff;
mod error;
mod exec;
mod export;
mod files;
mod health;
mod id;
mod join;
mod kill;
mod limits;
mod list;
mod log_details;
mod logs;
mod options;
mod path;
mod pause;
mod process;
mod prune;
mod record;
mod recover;
mod remove;
mod rename;
mod resize;
mod restart;
mod security;
mod size;
pub(crate) mod spec;
pub(crate) mod start;
mod state;
mod stats;
mod stop;
mod table;
mod tmpfs;
mod top;
mod ulimit;
mod update;
mod wait;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ferry_runtime::Monitor;
use ferry_runtime::cgroup::{Cgroup, ChildName};
use ferry_store::{Durability, SnapshotId};
use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};

pub use attach::{AttachOptions, Attached};
pub(crate) use cgroup_parent::CgroupParents;
pub use commit::CommitOptions;
pub use copy::{ExtractOptions, ExtractedOwner, PathArchive, PathStat};
pub use create::Created;
pub use device::Device;
pub use error::Error;
pub use exec::{Exec, ExecOptions, ExecOwner, ExecState};
pub use export::Export;
pub(crate) use files::{NETWORK_FILES, write_network_files};
pub use health::{Health, HealthStatus, Probe};
pub use id::{ContainerId, is_name};
pub(crate) use limits::{Abilities, Purpose};
pub use limits::{
    BlockIoLimits, ChangeError, CpuLimits, DeviceRate, Lifted, LimitError, Limits, MemoryLimits, OomKiller, Swap,
};
pub use list::ListFilter;
pub use logs::{LogEntry, LogReader, LogRequest, LogSink, LogStream};
pub use options::{
    Bind, Confinement, ContainerOptions, DnsOptions, FileDriver, FileLog, HostOptions, LogOptions, MissingSource,
    NetworkMode, OnExit, RootAccess, StdinMode, StopTimeout, Terminal,
};
pub use prune::{PruneFilter, Pruned};
pub use record::ContainerConfig;
pub use remove::Removal;
pub use restart::RestartPolicy;
pub use security::{Filter, IpcScope, NamespaceOptions, NewPrivileges, Scope, Security};
pub use size::ContainerSize;
pub use start::Started;
pub use state::{Phase, State, WaitCondition};
pub use stats::{Counters, InterfaceCounters, Usage};
pub use stop::Stopped;
pub(crate) use table::Table;
pub use tmpfs::{Tmpfs, TmpfsForm};
pub use top::ProcessList;
pub use ulimit::{RlimitValue, Ulimit};
pub use update::{Adjustable, UpdateOptions};

pub use ferry_store::archive::Replacing;
pub use ferry_store::{Change, ChangeKind};

use crate::launch::Launched;

/// One container.
#[derive(Debug)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// What it was created with; never changes. What can change, [`Container::adjustable`] says.
    pub config: ContainerConfig,
    adjustable: RwLock<Adjustable>,
    name: RwLock<String>,
    state: watch::Sender<State>,
    /// Held while a file is written into a folder of its own, and while that is removed: nothing is left.
    files: Mutex<()>,
    life: Mutex<restart::Life>,
    health: Mutex<Option<Health>>,
    /// Held by the verb that changes the state: of conflicting calls, one wins.
    lifecycle: tokio::sync::Mutex<()>,
    /// Held for writing while its processes are frozen or thawed; for reading by whoever signals it or
    /// adds a process to it, which must not be frozen half-way.
    freezing: tokio::sync::RwLock<()>,
    live: Mutex<Live>,
}

/// What exists only while the engine and the container's process live.
#[derive(Debug, Default)]
struct Live {
    launched: Option<Arc<Launched>>,
    /// Clients that attached before the start.
    waiting: Vec<(AttachOptions, oneshot::Sender<std::os::unix::net::UnixStream>)>,
    execs: HashMap<String, Arc<Exec>>,
}

impl Container {
    fn new(id: ContainerId, name: String, created_at: OffsetDateTime, config: ContainerConfig) -> Self {
        Self {
            id,
            created_at,
            adjustable: RwLock::new(config.options.host.adjustable()),
            config,
            name: RwLock::new(name),
            state: watch::Sender::new(State::created()),
            files: Mutex::default(),
            life: Mutex::default(),
            health: Mutex::default(),
            lifecycle: tokio::sync::Mutex::new(()),
            freezing: tokio::sync::RwLock::new(()),
            live: Mutex::default(),
        }
    }

    /// Its name, without a slash.
    pub fn name(&self) -> String {
        self.name.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its state now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Its network endpoint's address and the like, while it runs on a bridge.
    pub fn endpoint(&self) -> Option<crate::network::Endpoint> {
        self.live()
            .launched
            .as_ref()
            .and_then(|launched| launched.endpoint.clone())
    }

    /// Where its output is logged, if it is kept.
    pub fn log_path(&self, instance: &crate::Instance) -> Option<PathBuf> {
        match self.config.options.host.log {
            LogOptions::None => None,
            LogOptions::JsonFile { .. } => Some(self.dir(instance).join("log")),
        }
    }

    fn dir(&self, instance: &crate::Instance) -> PathBuf {
        instance.container_dir(self.id.as_str())
    }

    /// The writable layer on top of its image.
    fn snapshot_id(&self) -> Result<SnapshotId, Error> {
        Ok(self.id.as_str().parse()?)
    }

    /// What of it survives a power cut: nothing, if it is removed when it ends anyway.
    fn durability(&self) -> Durability {
        match self.config.options.host.on_exit {
            OnExit::Keep => Durability::Durable,
            OnExit::Remove => Durability::Volatile,
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> std::sync::MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The monitor of its running process.
    fn monitor(&self) -> Result<Arc<Launched>, Error> {
        match &self.live().launched {
            Some(launched) if self.state.borrow().is_running() => Ok(launched.clone()),
            _ if self.state.borrow().phase == Phase::Restarting => Err(Error::Restarting(self.id.to_string())),
            _ => Err(Error::NotRunning(self.id.to_string())),
        }
    }

    /// The monitor of its process, which is not frozen.
    fn awake_monitor(&self, wanted: &'static str) -> Result<Arc<Launched>, Error> {
        if self.state.borrow().is_paused() {
            return Err(Error::Paused {
                id: self.id.to_string(),
                wanted,
            });
        }
        self.monitor()
    }

    /// Its control group, whether or not it exists.
    fn cgroup(&self, engine: &crate::Engine) -> Cgroup {
        let name = ChildName::parse(self.id.as_str()).expect("ids are names of cgroups");
        let own = self.config.options.host.cgroup_parent.as_ref();
        match own.and_then(|path| engine.cgroup_parents.get(path)) {
            Some(parent) => parent.child(&name),
            None => engine.cgroups.child(&name),
        }
    }

    /// What events say about it.
    fn attributes(&self) -> std::collections::BTreeMap<String, String> {
        let mut attributes = self.config.labels.clone();
        attributes.insert("image".to_owned(), self.config.options.image.clone());
        attributes.insert("name".to_owned(), self.name());
        attributes
    }
}

impl Launched {
    /// The handle on the monitor.
    pub(crate) fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}
