//! The last part of every process' way, in a new container as in an exec: from inside the root to
//! its program.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use oci_spec::runtime::Process;
use rustix::{
    fs::Mode,
    process::{fchdir, getcwd, umask},
};

use super::{
    limits::{self, Limit},
    privileges::Privileges,
    program::become_program,
    stdio::{self, Streams, Terminal},
    user::{self, Identity},
};
use crate::{
    Errno, Fault, StartError, Warning,
    capability::CapabilitySets,
    protocol::{self, Event},
    rootfs::{Shape, attach_console, open_or_create},
    seccomp,
};

/// A process to be.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    id: String,
    args: Vec<String>,
    env: Vec<String>,
    cwd: PathBuf,
    user: String,
    groups: Vec<String>,
    umask: u32,
    limits: Vec<Limit>,
    privileges: Privileges,
    pub(crate) streams: Streams,
}

/// A process that has only to be let go.
#[derive(Debug)]
pub(super) struct ReadyProcess {
    plan: ProcessPlan,
    identity: Identity,
    terminal: Option<Terminal>,
    cwd: OwnedFd,
}

/// Where /dev/console is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Console {
    /// In a new container.
    Mounted,
    /// In a running one it exists or does not.
    LeftAlone,
}

const UMASK_DEFAULT: u32 = 0o022;

impl ProcessPlan {
    /// Reads the process of a spec; also says which limits cannot be given in full.
    pub(crate) fn of(
        id: &str,
        process: &Process,
        user: &str,
        groups: &[String],
        seccomp: Option<seccomp::Program>,
        streams: Streams,
    ) -> Result<(ProcessPlan, Vec<Warning>), Fault> {
        let spec = |member: &str, problem: &str| Fault::Spec {
            member: member.to_owned(),
            problem: problem.to_owned(),
        };
        let args = process.args().clone().unwrap_or_default();
        if args.is_empty() {
            return Err(spec("process.args", "is empty"));
        }
        if !process.cwd().is_absolute() && !process.cwd().as_os_str().is_empty() {
            return Err(spec("process.cwd", "is not absolute"));
        }
        let numeric = process.user().additional_gids().iter().flatten().map(u32::to_string);
        let (limits, warnings) = limits::clamp(process.rlimits().as_deref().unwrap_or_default());
        let plan = ProcessPlan {
            id: id.to_owned(),
            args,
            env: process.env().clone().unwrap_or_default(),
            cwd: process.cwd().clone(),
            user: user.to_owned(),
            groups: groups.iter().cloned().chain(numeric).collect(),
            umask: process.user().umask().unwrap_or(UMASK_DEFAULT),
            limits,
            privileges: Privileges {
                capabilities: process
                    .capabilities()
                    .as_ref()
                    .map(CapabilitySets::from_oci)
                    .unwrap_or_default(),
                no_new_privileges: process.no_new_privileges().unwrap_or(false),
                seccomp,
            },
            streams,
        };
        Ok((plan, warnings))
    }

    /// Does inside the root what can fail for reasons that lie in the image: user, working
    /// directory, terminal.
    pub(super) fn make_ready(mut self, root: BorrowedFd<'_>, console: Console) -> Result<ReadyProcess, Fault> {
        if let Ok(name) = CString::new(self.id.as_str()) {
            // A kernel without keyrings, or a quota that is used up: then there is none to share.
            let _ = ferry_sys::keyring::join_session(&name);
        }
        let terminal = match self.streams {
            Streams::Terminal(size) => Some(Terminal::open(root, size)?),
            Streams::Pipes { .. } => None,
        };
        if let (Some(terminal), Console::Mounted) = (&terminal, console) {
            attach_console(root, terminal.process_side.as_fd())?;
        }
        if let Streams::Pipes {
            stdin: stdin @ None, ..
        } = &mut self.streams
        {
            *stdin = Some(stdio::no_input(root)?);
        }
        let identity = user::resolve(root, &self.user, &self.groups)?;
        if !self.env.iter().any(|entry| entry.starts_with("HOME=")) {
            self.env
                .push(format!("HOME={}", identity.home.as_deref().unwrap_or("/")));
        }
        let cwd = open_or_create(root, &self.cwd, Shape::Folder).map_err(|errno| self.cwd_fault(errno.into()))?;
        Ok(ReadyProcess {
            plan: self,
            identity,
            terminal,
            cwd,
        })
    }

    /// To be done before a user namespace is entered.
    pub(super) fn raise_limits(&self) -> Result<(), Fault> {
        limits::raise(&self.limits)
    }

    fn cwd_fault(&self, errno: Errno) -> Fault {
        Fault::WorkingDir {
            path: self.cwd.clone(),
            errno,
        }
    }
}

impl ReadyProcess {
    /// Tells the monitor, waits for its word, and becomes the program. Returns what went wrong;
    /// `None` if the monitor is gone.
    pub(super) fn run(self, channel: BorrowedFd<'_>) -> Option<StartError> {
        let controller: Vec<BorrowedFd<'_>> = self
            .terminal
            .iter()
            .map(|terminal| terminal.controller.as_fd())
            .collect();
        tell(channel, &Event::Ready, &controller)?;
        protocol::receive(channel).ok().flatten()?;
        Some(match self.prepare() {
            Ok(()) => become_program(&self.plan.args, &self.plan.env),
            Err(fault) => StartError::Failed(fault),
        })
    }

    fn prepare(&self) -> Result<(), Fault> {
        // All others are as the zygote set them: by default.
        ferry_sys::signals::die_of_broken_pipes();
        match (&self.terminal, &self.plan.streams) {
            (Some(terminal), _) => terminal.install(&self.identity)?,
            (
                None,
                Streams::Pipes {
                    stdin: Some(stdin),
                    stdout,
                    stderr,
                },
            ) => {
                stdio::install(stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), &self.identity)?;
            }
            (None, Streams::Pipes { stdin: None, .. } | Streams::Terminal(_)) => {}
        }
        self.enter_cwd()?;
        limits::apply(&self.plan.limits)?;
        umask(Mode::from_raw_mode(self.plan.umask));
        self.plan.privileges.drop_to(&self.identity)
    }

    /// Enters the working directory, and makes sure that it is one of this root: a descriptor that
    /// leaked from the host would show as a path outside. Source: getcwd(2).
    fn enter_cwd(&self) -> Result<(), Fault> {
        fchdir(&self.cwd).map_err(|errno| self.plan.cwd_fault(errno.into()))?;
        let path = getcwd(Vec::new()).map_err(|errno| self.plan.cwd_fault(errno.into()))?;
        if path.as_bytes().starts_with(b"/") {
            Ok(())
        } else {
            Err(self.plan.cwd_fault(rustix::io::Errno::NOENT.into()))
        }
    }
}

/// Sends an event; `None` if nobody is there to hear it.
pub(super) fn tell(channel: BorrowedFd<'_>, event: &Event, descriptors: &[BorrowedFd<'_>]) -> Option<()> {
    let body = serde_json::to_vec(event).ok()?;
    protocol::send(channel, &body, descriptors).ok()
}
