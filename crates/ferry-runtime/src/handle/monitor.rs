//! The engine's handle on one monitor.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Error, Signal, State, Warning, WindowSize};

/// Which streams an attached client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachOptions {
    /// What it writes becomes the process' standard input.
    pub stdin: bool,
    /// It gets standard output (with a terminal: all output).
    pub stdout: bool,
    /// It gets standard error.
    pub stderr: bool,
}

/// A connection to one monitor. `Send + Sync`; calls block for some tens of microseconds.
///
/// Dropping it closes the connection only, except before [`Monitor::start`] on the handle that
/// [`crate::Zygote::launch`] gave: then the container is undone.
#[derive(Debug)]
pub struct Monitor {
    _connection: OwnedFd,
}

impl Monitor {
    /// Finds the monitor of a state folder, after an engine restart. [`Error::Gone`] if it is dead.
    pub fn connect(_state_dir: &Path) -> Result<Monitor, Error> {
        Err(Error::Unwritten)
    }

    /// The process' id in the host's pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        0
    }

    /// What could be given only in part.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &[]
    }

    /// Asks for the process' state.
    pub fn state(&self) -> Result<State, Error> {
        Err(Error::Unwritten)
    }

    /// A descriptor of the process' network namespace.
    pub fn network_namespace(&self) -> Result<OwnedFd, Error> {
        Err(Error::Unwritten)
    }

    /// A descriptor of the process. Source: pidfd_open(2).
    pub fn pidfd(&self) -> Result<OwnedFd, Error> {
        Err(Error::Unwritten)
    }

    /// Executes the program and says since when it runs. [`Error::Start`] if it could not be.
    pub fn start(&self) -> Result<OffsetDateTime, Error> {
        Err(Error::Unwritten)
    }

    /// Sends a signal to the process. [`Error::NotRunning`] if it has ended.
    pub fn signal(&self, _signal: Signal) -> Result<(), Error> {
        Err(Error::Unwritten)
    }

    /// Changes the terminal's size. [`Error::NoTerminal`] without one.
    pub fn resize(&self, _size: WindowSize) -> Result<(), Error> {
        Err(Error::Unwritten)
    }

    /// A stream with the process' output from now on, and its input.
    ///
    /// With a terminal: raw bytes. Without: Docker's frames out (stream 1 or 2, three zero bytes,
    /// length as big-endian u32, data), raw bytes in. `shutdown(Write)` ends the input. The stream
    /// ends when the process has ended and its output is through. A client that does not read
    /// stops the process' output once 64 KiB wait for it; one that vanishes is dropped.
    /// Source: Docker Engine API ContainerAttach.
    pub fn attach(&self, _options: AttachOptions) -> Result<UnixStream, Error> {
        Err(Error::Unwritten)
    }

    /// A stream that yields one [`crate::Exit`] as JSON when the process has ended, and then ends.
    /// It ends without a record if the monitor was killed.
    pub fn watch(&self) -> Result<UnixStream, Error> {
        Err(Error::Unwritten)
    }
}
