//! The engine: the one place where store, runtime, networks and builder meet.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ferry_build::BuildCache;
use ferry_oci::Platform;
use ferry_oci::cpu::Cpu;
use ferry_runtime::capability::CapabilitySet;
use ferry_runtime::emulation::{Emulators, Support};
use ferry_runtime::profile::{self, CgroupVersion, UserNamespace};
use ferry_runtime::{Zygote, ZygoteOptions, cgroup, seccomp};
use ferry_store::Store;
use tokio_util::task::TaskTracker;

use crate::build::context::Contexts;
use crate::container::{self, Abilities, CgroupParents, Confinement, Filter, HostOptions, Table};
use crate::error::Error;
use crate::event::Events;
use crate::image::Naming;
use crate::network::Networks;
use crate::{Instance, build, folder, image};

/// How an engine is opened.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Its folders and names.
    pub instance: Instance,
    /// Where emulators are looked for, besides the usual places.
    pub emulator_dirs: Vec<PathBuf>,
    /// How registries are spoken to.
    pub registry: ferry_registry::Config,
}

/// A handle on the engine; clones are the same engine.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Parts>);

/// What the engine consists of; the verbs of each noun lie in that noun's folder.
#[derive(Debug)]
pub struct Parts {
    /// Folders and names.
    pub instance: Instance,
    /// Content, layers, snapshots, image names.
    pub store: Store,
    /// What happened.
    pub events: Events,
    pub(crate) zygote: Zygote,
    pub(crate) containers: Table,
    pub(crate) networks: Networks,
    /// What is removed after a container's end without anyone waiting, except [`Engine::close`].
    pub(crate) reaper: TaskTracker,
    pub(crate) registry: ferry_registry::Client,
    pub(crate) naming: Naming,
    pub(crate) contexts: Contexts,
    /// The cgroup below which containers get theirs.
    pub(crate) cgroups: cgroup::Parent,
    /// Those that some containers get theirs below instead.
    pub(crate) cgroup_parents: CgroupParents,
    host: Host,
    emulator_dirs: Vec<PathBuf>,
    emulators: OnceLock<Emulators>,
    abilities: OnceLock<Abilities>,
    /// Compiled filters, one for each set of capabilities: compiling costs more than a start.
    filters: Mutex<HashMap<CapabilitySet, seccomp::Program>>,
    _lock: File,
}

/// What the host is, as far as it shapes a runtime spec.
#[derive(Debug, Clone)]
pub struct Host {
    /// Version of its control groups.
    pub cgroups: CgroupVersion,
    /// Masked paths whose names depend on the machine, such as those of each CPU.
    pub masked: Vec<String>,
}

impl std::ops::Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// Opens the folders, starts the zygote and finds what an engine before left. Call it inside a
    /// tokio runtime; it blocks for some milliseconds, and up to a second while another engine has the folders.
    pub fn open(options: EngineOptions) -> Result<Self, Error> {
        let instance = &options.instance;
        for root in [&instance.data_root, &instance.exec_root] {
            folder::create_with_mode(root, 0o710)?;
        }
        let lock = patiently(|| lock(&instance.exec_root))?;
        // The store locks the data-root.
        let store = patiently(|| Ok(Store::open(&instance.data_root)?))?;
        for root in [&instance.data_root, &instance.exec_root] {
            folder::create(&root.join("containers"))?;
        }
        let layout = cgroup::Layout::detect().map_err(ferry_runtime::Error::from)?;
        let cgroups = cgroup::Parent::open(&layout, &instance.cgroup_parent()).map_err(ferry_runtime::Error::from)?;
        Self::assemble(options, cgroups.clone(), store, lock).inspect_err(|_| {
            // Refused while a container of an engine before has a cgroup below it.
            let _ = cgroups.remove();
        })
    }

    fn assemble(options: EngineOptions, cgroups: cgroup::Parent, store: Store, lock: File) -> Result<Self, Error> {
        let instance = options.instance;
        let engine = Self(Arc::new(Parts {
            cgroup_parents: CgroupParents::open(cgroups.layout().clone(), &instance.exec_root),
            cgroups,
            store,
            events: Events::default(),
            zygote: Zygote::spawn(ZygoteOptions::new(instance.cgroup_parent()))?,
            containers: Table::default(),
            networks: Networks::new(instance.clone()),
            reaper: TaskTracker::new(),
            registry: ferry_registry::Client::new(options.registry).map_err(image::Error::from)?,
            naming: Naming::default(),
            contexts: Contexts::open(&instance.data_root.join("build/contexts")).map_err(build::Error::from)?,
            host: Host::look(),
            emulator_dirs: options.emulator_dirs,
            emulators: OnceLock::new(),
            abilities: OnceLock::new(),
            filters: Mutex::default(),
            instance,
            _lock: lock,
        }));
        engine.recover_containers();
        engine.cgroup_parents.tidy();
        BuildCache::open(&engine.store).recover()?;
        let store = engine.store.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.empty_trash() {
                tracing::warn!(%error, "cannot delete what was removed before");
            }
        });
        Ok(engine)
    }

    /// Ends the engine in order: containers go on; without any, network and cgroup are removed.
    pub async fn close(&self) {
        self.reaper.close();
        self.reaper.wait().await;
        let engine = self.clone();
        let removed = tokio::task::spawn_blocking(move || {
            engine.networks.remove_if_unused();
            // Refused while a container has a cgroup below it.
            let _ = engine.cgroups.remove();
        });
        let _ = removed.await;
    }

    /// What the host is.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Which limits can be kept here; looked up once.
    pub(crate) fn abilities(&self) -> &Abilities {
        self.abilities.get_or_init(|| Abilities::of(&self.cgroups))
    }

    /// How the programs of each CPU run here; looked up once.
    pub fn emulators(&self) -> &Emulators {
        self.emulators.get_or_init(|| Emulators::discover(&self.emulator_dirs))
    }

    /// The CPU to emulate for images of `platform`; `None` when it runs natively.
    pub(crate) fn emulation_for(&self, platform: &Platform) -> Result<Option<&'static Cpu>, container::Error> {
        if platform.architecture == Platform::host().architecture {
            return Ok(None);
        }
        let refuse = |reason: String| {
            Err(container::Error::CannotEmulate {
                platform: platform.to_string(),
                reason,
            })
        };
        let Some(cpu) = Cpu::of(platform) else {
            return refuse("Ferry does not know this CPU".to_owned());
        };
        match self.emulators().of(cpu).map(|entry| &entry.support) {
            Some(Support::Native | Support::GloballyRegistered(_)) => Ok(None),
            Some(Support::Emulated(_)) => Ok(Some(cpu)),
            Some(Support::Unregistered { reason, .. }) => refuse(reason.clone()),
            Some(Support::Missing { packages }) => refuse(format!(
                "no emulator found for {}; install one of the packages {}",
                cpu.machine_name,
                packages.join(", ")
            )),
            None => refuse("Ferry does not know this CPU".to_owned()),
        }
    }

    /// The compiled default filter for a container with these capabilities.
    pub(crate) fn seccomp(
        &self,
        confinement: Confinement,
        capabilities: &CapabilitySet,
    ) -> Result<Option<seccomp::Program>, container::Error> {
        if confinement == Confinement::Privileged {
            return Ok(None);
        }
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = filters.get(capabilities) {
            return Ok(Some(program.clone()));
        }
        let program = seccomp::compile(&seccomp::default_profile(*capabilities)).map_err(|error| {
            container::Error::InvalidOption {
                option: "seccomp",
                value: "the default profile".to_owned(),
                reason: error.to_string(),
            }
        })?;
        filters.insert(*capabilities, program.clone());
        Ok(Some(program))
    }

    /// The compiled filter for the processes of a container, or of an exec in it with a confinement of its own.
    pub(crate) fn filter_of(
        &self,
        host: &HostOptions,
        confinement: Confinement,
    ) -> Result<Option<seccomp::Program>, container::Error> {
        match &host.security.seccomp {
            Filter::Unconfined => Ok(None),
            // Of a privileged container too: it was asked for.
            Filter::Profile(json) => own_filter(json, container::spec::capabilities(host)?),
            Filter::Default => self.seccomp(confinement, &container::spec::capabilities(host)?),
        }
    }

    /// In which user namespace containers of `platform` live.
    pub(crate) fn user_namespace(&self, platform: &Platform) -> Result<UserNamespace, container::Error> {
        Ok(match self.emulation_for(platform)? {
            Some(_) => UserNamespace::Emulation,
            None => UserNamespace::Host,
        })
    }
}

impl Host {
    fn look() -> Self {
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        Self {
            cgroups: if is_v2 { CgroupVersion::V2 } else { CgroupVersion::V1 },
            masked: profile::masked_on_this_host(),
        }
    }
}

/// Not kept: whoever creates containers would decide how many there are.
fn own_filter(json: &str, capabilities: CapabilitySet) -> Result<Option<seccomp::Program>, container::Error> {
    let native = seccomp::Architecture::native().ok_or(seccomp::CompileError::Unsupported {
        feature: std::env::consts::ARCH,
    })?;
    let context = seccomp::ProfileContext {
        native,
        capabilities,
        kernel: kernel_version(&rustix::system::uname().release().to_string_lossy()),
    };
    match seccomp::parse_profile(json, &context)? {
        Some(profile) => Ok(Some(seccomp::compile_for(&profile, native)?)),
        None => Ok(None),
    }
}

/// The first two numbers of a release such as `6.1.0-13-amd64`.
fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut number = || numbers.next().and_then(Result::ok).unwrap_or_default();
    (number(), number())
}

/// How long a process that was killed may hold its locks.
const DEATH_LIMIT: Duration = Duration::from_secs(1);

/// Tries again while another engine holds a lock: one that was killed does so for a moment longer than it listens.
fn patiently<T>(open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let begin = Instant::now();
    loop {
        match open() {
            Err(Error::Locked { .. } | Error::Store(ferry_store::Error::Locked { .. }))
                if begin.elapsed() < DEATH_LIMIT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// One engine a folder: two would take each other's containers for leftovers.
fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("engine.lock");
    let failed = |source| Error::Folder {
        path: path.clone(),
        source,
    };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked { path: root.to_owned() }),
        Err(errno) => Err(failed(errno.into())),
    }
}
