//! Fulfilling an engine's requests.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    termios::{Winsize, tcsetwinsize},
};

use super::{
    client::{Client, Framing},
    supervisor::{Stage, Supervisor},
};
use crate::{
    AttachOptions, Phase, Signal, State, WindowSize,
    protocol::{self, Answer, Call, Container, Refusal, Request, VERSION},
};

/// An answer, with a descriptor for some.
type Reply = (Answer, Option<OwnedFd>);

const CLIENTS_MAX: usize = 256;

impl Supervisor {
    /// Answers a request of connection `id`; `None` if the answer comes later.
    pub(super) fn fulfil(&mut self, id: u64, body: &[u8]) -> Option<Reply> {
        let unknown = || Some((Answer::Refused(Refusal::Unknown { version: VERSION }), None));
        let Ok(request) = serde_json::from_slice::<Request>(body) else {
            return unknown();
        };
        if request.version > VERSION {
            return unknown();
        }
        let result = match request.call {
            Call::State => Ok((Answer::State(self.state()), None)),
            Call::Start => return self.start(id),
            Call::Signal(signal) => self.signal(signal),
            Call::Resize(size) => self.resize(size),
            Call::Attach(options) => self.attach(options),
            Call::Watch => self.watch(),
            Call::NetworkNamespace => self.network_namespace(),
            Call::Pidfd => self.pidfd().map(|pidfd| (Answer::Done, Some(pidfd))),
            Call::Container => self.container(),
            Call::Launch { .. } | Call::Exec { .. } | Call::PrepareEmulation { .. } => {
                return unknown();
            }
        };
        Some(result.unwrap_or_else(|refusal| (Answer::Refused(refusal), None)))
    }

    fn state(&self) -> State {
        let phase = match &self.stage {
            Stage::Created | Stage::Starting { .. } | Stage::Undone => Phase::Created,
            Stage::Running { since } => Phase::Running { started_at: *since },
            Stage::Draining { exit, .. } => Phase::Exited(exit.clone()),
            Stage::Ended(exit) => Phase::Exited(exit.clone()),
        };
        State {
            pid: self.ward.child.pid,
            phase,
            log_failed: self.keeper.failure(),
        }
    }

    fn start(&mut self, id: u64) -> Option<Reply> {
        let refused = match self.stage {
            Stage::Created => None,
            Stage::Starting { .. } | Stage::Running { .. } => Some(Refusal::AlreadyStarted),
            Stage::Draining { .. } | Stage::Ended(_) | Stage::Undone => Some(Refusal::NotRunning),
        };
        if let Some(refusal) = refused {
            return Some((Answer::Refused(refusal), None));
        }
        let channel = self.ward.channel.as_ref()?;
        if protocol::try_send(channel.as_fd(), b"go", &[]).is_err() {
            return Some((Answer::Refused(Refusal::NotRunning), None));
        }
        self.stage = Stage::Starting { by: id };
        None
    }

    fn is_alive(&self) -> bool {
        matches!(
            self.stage,
            Stage::Created | Stage::Starting { .. } | Stage::Running { .. }
        )
    }

    fn signal(&self, signal: Signal) -> Result<Reply, Refusal> {
        if !self.is_alive() {
            return Err(Refusal::NotRunning);
        }
        match ferry_sys::signals::send(self.ward.child.pidfd.as_fd(), signal.number()) {
            Ok(()) => Ok((Answer::Done, None)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => Err(Refusal::NotRunning),
            Err(error) => Err(system("pidfd_send_signal", error)),
        }
    }

    fn resize(&self, size: WindowSize) -> Result<Reply, Refusal> {
        let terminal = self.terminal.as_ref().ok_or(Refusal::NoTerminal)?;
        let winsize = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(terminal, winsize).map_err(|errno| system("TIOCSWINSZ", errno))?;
        Ok((Answer::Done, None))
    }

    fn attach(&mut self, options: AttachOptions) -> Result<Reply, Refusal> {
        if matches!(self.stage, Stage::Ended(_) | Stage::Undone) {
            return Err(Refusal::NotRunning);
        }
        if self.clients.len() >= CLIENTS_MAX {
            return Err(Refusal::TooManyClients);
        }
        let (near, far) = stream_pair()?;
        rustix::io::ioctl_fionbio(&near, true).map_err(|errno| system("FIONBIO", errno))?;
        let framing = if self.terminal.is_some() {
            Framing::Raw
        } else {
            Framing::Headers
        };
        self.clients.push(Client::new(near, options, framing));
        Ok((Answer::Done, Some(far)))
    }

    fn watch(&mut self) -> Result<Reply, Refusal> {
        let (near, far) = stream_pair()?;
        match &self.stage {
            Stage::Ended(exit) => {
                let body = serde_json::to_vec(exit).unwrap_or_default();
                // A fresh socket takes a record at once.
                let _ = rustix::net::send(&near, &body, rustix::net::SendFlags::NOSIGNAL);
            }
            _ => self.watchers.push(near),
        }
        Ok((Answer::Done, Some(far)))
    }

    fn network_namespace(&self) -> Result<Reply, Refusal> {
        if !self.is_alive() {
            return Err(Refusal::NotRunning);
        }
        // Not waited for yet, the process keeps its number.
        let path = format!("/proc/{}/ns/net", self.ward.child.pid);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(namespace) => Ok((Answer::Done, Some(namespace))),
            Err(Errno::NOENT) => Err(Refusal::NotRunning),
            Err(errno) => Err(system("open ns/net", errno)),
        }
    }

    fn pidfd(&self) -> Result<OwnedFd, Refusal> {
        if !self.is_alive() {
            return Err(Refusal::NotRunning);
        }
        self.ward.child.pidfd.try_clone().map_err(|error| system("dup", error))
    }

    fn container(&self) -> Result<Reply, Refusal> {
        let pidfd = self.pidfd()?;
        let Some(cgroup) = &self.record.cgroup else {
            return Err(Refusal::Unknown { version: VERSION });
        };
        let container = Container {
            cgroup: cgroup.name().clone(),
            cgroup_parent: Some(cgroup.parent().path().clone()),
            user_namespace: self.has_user_namespace(),
        };
        Ok((Answer::Container(container), Some(pidfd)))
    }
}

fn stream_pair() -> Result<(OwnedFd, OwnedFd), Refusal> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| system("socketpair", errno))
}

fn system(call: &str, errno: impl Into<crate::Errno>) -> Refusal {
    Refusal::System {
        call: call.to_owned(),
        errno: errno.into(),
    }
}
