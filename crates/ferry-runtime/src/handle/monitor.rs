//! The engine's handle on one monitor.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    net::{
        AddressFamily, Shutdown, SocketFlags, SocketType, connect, shutdown, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    Error, Signal, State, Warning, WindowSize, monitor,
    protocol::{self, Answer, Call, Container, Refusal, VERSION},
};

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
///
/// [`Error::MonitorDied`] from a call means that the monitor ended meanwhile: its exit record tells
/// whether that was its process' end.
#[derive(Debug)]
pub struct Monitor {
    connection: Mutex<OwnedFd>,
    pid: i32,
    warnings: Vec<Warning>,
}

impl Monitor {
    /// Finds the monitor of a state folder, after an engine restart. [`Error::Gone`] if it is dead.
    pub fn connect(state_dir: &Path) -> Result<Monitor, Error> {
        let reach = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = openat(CWD, state_dir, flags, Mode::empty())?;
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            connect(&socket, &monitor::address(&folder)?)?;
            Ok(socket)
        };
        let connection = reach().map_err(|errno: rustix::io::Errno| Error::Gone {
            state_dir: state_dir.to_owned(),
            source: errno.into(),
        })?;
        let mut monitor = Monitor {
            connection: Mutex::new(connection),
            pid: 0,
            warnings: Vec::new(),
        };
        monitor.pid = monitor.state()?.pid;
        Ok(monitor)
    }

    /// Waits for a fresh monitor's first word.
    pub(super) fn created(connection: OwnedFd) -> Result<Monitor, Error> {
        match expect_answer(&connection)? {
            (Answer::Created { pid, warnings }, _) => Ok(Monitor {
                connection: Mutex::new(connection),
                pid,
                warnings,
            }),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// The process' id in the host's pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What could be given only in part. Known to the handle that made the process alone.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Asks for the process' state.
    pub fn state(&self) -> Result<State, Error> {
        match self.call(&Call::State)? {
            (Answer::State(state), _) => Ok(state),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// A descriptor of the process' network namespace.
    pub fn network_namespace(&self) -> Result<OwnedFd, Error> {
        self.descriptor(&Call::NetworkNamespace)
    }

    /// A descriptor of the process. Source: pidfd_open(2).
    pub fn pidfd(&self) -> Result<OwnedFd, Error> {
        self.descriptor(&Call::Pidfd)
    }

    /// Executes the program and says since when it runs. [`Error::Start`] if it could not be: then
    /// the container is undone.
    pub fn start(&self) -> Result<OffsetDateTime, Error> {
        match self.call(&Call::Start)? {
            (Answer::Started { at }, _) => Ok(at),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// Sends a signal to the process. [`Error::NotRunning`] if it has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.call(&Call::Signal(signal)).map(drop)
    }

    /// Changes the terminal's size. [`Error::NoTerminal`] without one.
    pub fn resize(&self, size: WindowSize) -> Result<(), Error> {
        self.call(&Call::Resize(size)).map(drop)
    }

    /// A stream with the process' output from now on, and its input.
    ///
    /// With a terminal: raw bytes. Without: Docker's frames out (stream 1 or 2, three zero bytes,
    /// length as big-endian u32, data), raw bytes in. `shutdown(Write)` ends the input. The stream
    /// ends when the process has ended and its output is through. A client that does not read
    /// stops the process' output once 64 KiB wait for it; one that vanishes is dropped.
    /// Source: Docker Engine API ContainerAttach.
    pub fn attach(&self, options: AttachOptions) -> Result<UnixStream, Error> {
        self.descriptor(&Call::Attach(options)).map(UnixStream::from)
    }

    /// A stream that yields one [`crate::Exit`] as JSON when the process has ended, and then ends.
    /// It ends without a record if the monitor was killed, or its process could not be started.
    pub fn watch(&self) -> Result<UnixStream, Error> {
        self.descriptor(&Call::Watch).map(UnixStream::from)
    }

    /// What an exec needs to know of the container.
    pub(super) fn container(&self) -> Result<(Container, OwnedFd), Error> {
        match self.call(&Call::Container)? {
            (Answer::Container(container), Some(process)) => Ok((container, process)),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    fn descriptor(&self, call: &Call) -> Result<OwnedFd, Error> {
        self.call(call)?.1.ok_or(Error::UnexpectedAnswer)
    }

    fn call(&self, call: &Call) -> Result<(Answer, Option<OwnedFd>), Error> {
        let body = serde_json::to_vec(&protocol::RequestRef { version: VERSION, call })
            .map_err(|source| Error::Protocol { source })?;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        protocol::send(connection.as_fd(), &body, &[]).map_err(|source| lost("send", source))?;
        let (answer, descriptors) = expect_answer(&connection)?;
        Ok((answer, descriptors.into_iter().next()))
    }
}

/// How long an answer may take: a cold disk is slow, but nothing takes minutes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for an answer; a refusal becomes the error that it stands for.
pub(super) fn expect_answer(connection: &OwnedFd) -> Result<(Answer, Vec<OwnedFd>), Error> {
    let patience = Some(PATIENCE);
    set_socket_timeout(connection, Timeout::Recv, patience).map_err(|errno| lost("limit", errno.into()))?;
    let received = protocol::receive(connection.as_fd());
    if received.is_err() {
        // An answer that comes after all would be taken for the next one's.
        let _ = shutdown(connection, Shutdown::Both);
    }
    let frame = received
        .map_err(|source| lost("receive", source))?
        .ok_or(Error::MonitorDied)?;
    let answer = serde_json::from_slice(&frame.body).map_err(|source| Error::Protocol { source })?;
    match answer {
        Answer::Refused(refusal) => Err(refused(refusal)),
        answer => Ok((answer, frame.descriptors)),
    }
}

fn lost(operation: &'static str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::MonitorDied,
        _ => Error::Socket { operation, source },
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Launch(fault) => Error::Launch(fault),
        Refusal::Start(error) => Error::Start(error),
        Refusal::NotRunning => Error::NotRunning,
        Refusal::AlreadyStarted => Error::AlreadyStarted,
        Refusal::NoTerminal => Error::NoTerminal,
        Refusal::TooManyClients => Error::TooManyClients,
        Refusal::Unknown { version } => Error::TooOld { version },
        Refusal::System { call, errno } => Error::MonitorCall { call, errno },
    }
}
