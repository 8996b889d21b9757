//! The engine's handle on the zygote process.

use std::path::PathBuf;

use crate::{Error, Exec, Launch, Monitor, cgroup, emulation::Emulators};

/// How the zygote is started.
#[derive(Debug, Clone)]
pub struct ZygoteOptions {
    /// The program whose main calls [`crate::zygote::main`]; by default `/proc/self/exe`.
    /// It is copied into a sealed memfd and executed from there.
    pub program: PathBuf,
    /// `oom_score_adj` of the zygote and the monitors, where the engine may lower it.
    pub oom_score_adj: i32,
    /// The cgroup below which containers get theirs.
    pub cgroup_parent: cgroup::ParentPath,
}

/// A zygote process, spawned again when it dies. `Send + Sync`; calls block for about a millisecond.
///
/// Dropping it ends the zygote; monitors and containers go on.
#[derive(Debug)]
pub struct Zygote {
    _options: ZygoteOptions,
}

impl ZygoteOptions {
    /// The usual ones: this program, well below containers for the OOM killer.
    #[must_use]
    pub fn new(cgroup_parent: cgroup::ParentPath) -> ZygoteOptions {
        ZygoteOptions {
            program: PathBuf::from("/proc/self/exe"),
            oom_score_adj: -500,
            cgroup_parent,
        }
    }
}

impl Zygote {
    /// Starts the process. Cheap enough to do at the engine's start, before anything else.
    pub fn spawn(options: ZygoteOptions) -> Result<Zygote, Error> {
        Ok(Zygote { _options: options })
    }

    /// The zygote's process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        0
    }

    /// Makes the user namespace in which [`Launch::emulate`] works, once an engine. Idempotent.
    pub fn prepare_emulation(&self, _emulators: &Emulators) -> Result<(), Error> {
        Err(Error::Unwritten)
    }

    /// Makes a container up to the point where its process waits.
    ///
    /// If the returned handle is dropped before [`Monitor::start`], the container is undone.
    pub fn launch(&self, _launch: &Launch) -> Result<Monitor, Error> {
        Err(Error::Unwritten)
    }

    /// Makes a process in a running container, up to the point where it waits.
    pub fn exec(&self, _exec: &Exec) -> Result<Monitor, Error> {
        Err(Error::Unwritten)
    }
}
