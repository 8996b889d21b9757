//! What can fail between the engine, the zygote and the monitors.

use std::{io, path::PathBuf};

use crate::{Errno, Fault, StartError};

/// Why a call of [`crate::Zygote`] or [`crate::Monitor`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The zygote process cannot be started.
    #[error("start the zygote: {source}")]
    SpawnZygote {
        /// Why.
        source: io::Error,
    },
    /// No monitor answers at a state folder: it ended or was killed, see [`crate::Remains`].
    #[error("no monitor answers in {}: {source}", state_dir.display())]
    Gone {
        /// The folder.
        state_dir: PathBuf,
        /// How that was noticed.
        source: io::Error,
    },
    /// The monitor ended in the middle of a request.
    #[error("the monitor ended unexpectedly")]
    MonitorDied,
    /// The monitor's answer makes no sense: another release's, beyond what the protocol promises.
    #[error("the monitor's answer is malformed: {source}")]
    Protocol {
        /// Where and how.
        source: serde_json::Error,
    },
    /// The monitor answered something else than what was asked.
    #[error("the monitor's answer is not one to the question")]
    UnexpectedAnswer,
    /// The monitor does not know the request.
    #[error("the monitor is of another release: it speaks version {version} of the protocol")]
    TooOld {
        /// What it speaks.
        version: u32,
    },
    /// A system call of the monitor failed, that should not.
    #[error("monitor: {call}: {errno}")]
    MonitorCall {
        /// Which.
        call: String,
        /// Why.
        errno: Errno,
    },
    /// More clients are attached than a monitor serves.
    #[error("too many clients are attached")]
    TooManyClients,
    /// What a dead monitor left cannot be looked at or removed.
    #[error("remains of a monitor in {}: {source}", state_dir.display())]
    Remains {
        /// Its state folder.
        state_dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A dead container's cgroup cannot be removed.
    #[error(transparent)]
    Cgroup(#[from] crate::cgroup::Error),
    /// The socket to a monitor failed.
    #[error("{operation} to a monitor: {source}")]
    Socket {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The container could not be made; everything was undone.
    #[error(transparent)]
    Launch(#[from] Fault),
    /// The program could not be executed; the container is gone.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The process has ended (or never began) and cannot do this any more.
    #[error("the process is not running")]
    NotRunning,
    /// The process runs already.
    #[error("the process was started before")]
    AlreadyStarted,
    /// A window size was given to a process without a terminal.
    #[error("the process has no terminal")]
    NoTerminal,
    /// An emulated container was asked for before [`crate::Zygote::prepare_emulation`].
    #[error("no emulators were prepared for {architecture}")]
    NoEmulation {
        /// The CPU asked for.
        architecture: String,
    },
}
