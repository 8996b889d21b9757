//! The last part of every process' way, in a new container as in an exec: from inside the root to
//! its program.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use ferry_sys::scheduling::{self, IoClass, Scheduling};
use oci_spec::runtime::{Hook, Process};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::{retry_on_intr, write},
    net::{SocketFlags, accept_with},
    process::{fchdir, getcwd, set_parent_process_death_signal, umask},
    thread::{CpuSet, sched_setaffinity},
};

use super::{
    hook,
    limits::{self, Limit},
    privileges::{Orphan, Privileges, SeccompListener},
    program::{become_init, become_program, look_ahead},
    stdio::{self, Streams, Terminal},
    user::{self, Identity},
};
use crate::{
    Errno, Fault, FirstProcess, StartError, Warning,
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
    who: Who,
    umask: u32,
    limits: Vec<Limit>,
    privileges: Privileges,
    treatment: Treatment,
    gate: Gate,
    pub(crate) first: FirstProcess,
    pub(crate) streams: Streams,
}

/// Who the process runs as.
#[derive(Debug)]
enum Who {
    /// In the words of an image, resolved inside the root.
    Named { user: String, groups: Vec<String> },
    /// As a spec says it; the root is asked for the home folder alone.
    Numbered { uid: u32, gid: u32, groups: Vec<u32> },
}

/// How the kernel is to treat the process: what an engine leaves alone and a bundle may ask for.
#[derive(Debug, Default)]
pub(crate) struct Treatment {
    pub(crate) scheduling: Option<Scheduling>,
    pub(crate) io_priority: Option<(IoClass, u16)>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
    pub(crate) cpus: Option<CpuSet>,
    /// Files of /proc/thread-self with what is written there for the program to come: the labels of
    /// security modules.
    pub(crate) labels: Vec<(&'static str, String)>,
}

/// Where the process' memory comes from. Source: set_mempolicy(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    pub(crate) mode: i32,
    pub(crate) nodes: Vec<u64>,
}

/// Whose word a ready process waits for.
#[derive(Debug)]
pub(crate) enum Gate {
    /// That of whoever made it.
    Maker,
    /// That of whoever connects here, as `start` does; hooks are run before the program.
    Caller { listener: OwnedFd, hooks: Vec<Hook> },
}

/// A process of a bundle, beyond what its spec says.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) streams: Streams,
    pub(crate) seccomp: Option<seccomp::Program>,
    pub(crate) seccomp_listener: Option<SeccompListener>,
    pub(crate) treatment: Treatment,
    pub(crate) orphan: Orphan,
    pub(crate) kept_descriptors: i32,
    pub(crate) gate: Gate,
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
        let numeric = process.user().additional_gids().iter().flatten().map(u32::to_string);
        let who = Who::Named {
            user: user.to_owned(),
            groups: groups.iter().cloned().chain(numeric).collect(),
        };
        let surroundings = Surroundings {
            streams,
            seccomp,
            seccomp_listener: None,
            treatment: Treatment::default(),
            orphan: Orphan::Dies,
            kept_descriptors: 0,
            gate: Gate::Maker,
        };
        ProcessPlan::new(id, process, who, surroundings)
    }

    /// Reads the process of a bundle's spec, or one that is to be executed in its container.
    pub(crate) fn of_bundle(
        id: &str,
        process: &Process,
        surroundings: Surroundings,
    ) -> Result<(ProcessPlan, Vec<Warning>), Fault> {
        let who = Who::Numbered {
            uid: process.user().uid(),
            gid: process.user().gid(),
            groups: process.user().additional_gids().clone().unwrap_or_default(),
        };
        ProcessPlan::new(id, process, who, surroundings)
    }

    fn new(
        id: &str,
        process: &Process,
        who: Who,
        surroundings: Surroundings,
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
        let (limits, warnings) = limits::clamp(process.rlimits().as_deref().unwrap_or_default());
        let plan = ProcessPlan {
            id: id.to_owned(),
            args,
            env: process.env().clone().unwrap_or_default(),
            cwd: process.cwd().clone(),
            who,
            umask: process.user().umask().unwrap_or(UMASK_DEFAULT),
            limits,
            privileges: Privileges {
                capabilities: process
                    .capabilities()
                    .as_ref()
                    .map(CapabilitySets::from_oci)
                    .unwrap_or_default(),
                no_new_privileges: process.no_new_privileges().unwrap_or(false),
                seccomp: surroundings.seccomp,
                seccomp_listener: surroundings.seccomp_listener,
                orphan: surroundings.orphan,
                kept_descriptors: surroundings.kept_descriptors,
            },
            treatment: surroundings.treatment,
            gate: surroundings.gate,
            first: FirstProcess::Program,
            streams: surroundings.streams,
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
            Streams::Pipes { .. } | Streams::Inherited => None,
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
        if let Who::Numbered { .. } = self.who {
            // As in runc: an empty one is none.
            self.env.retain(|entry| entry != "HOME=");
        }
        let wants_home = !self.env.iter().any(|entry| entry.starts_with("HOME="));
        let identity = match &self.who {
            Who::Named { user, groups } => user::resolve(root, user, groups)?,
            Who::Numbered { uid, gid, groups } => Identity {
                uid: *uid,
                gid: *gid,
                groups: groups.clone(),
                home: wants_home.then(|| user::home_of(root, *uid)).flatten(),
            },
        };
        if wants_home {
            self.env
                .push(format!("HOME={}", identity.home.as_deref().unwrap_or("/")));
        }
        if let Who::Numbered { .. } = self.who {
            // Engines ask at `create` already whether there is such a program.
            look_ahead(&self.args, &self.env).map_err(|error| Fault::Program {
                reason: error.to_string(),
            })?;
        }
        let cwd = open_or_create(root, &self.cwd, Shape::Folder).map_err(|errno| self.cwd_fault(errno.into()))?;
        Ok(ReadyProcess {
            plan: self,
            identity,
            terminal,
            cwd,
        })
    }

    /// Descriptors that it needs until its program begins, or beyond.
    pub(super) fn kept_descriptors(&self) -> Vec<i32> {
        let listener = self.privileges.seccomp_listener.iter();
        let listener = listener.map(|listener| listener.connection.as_raw_fd());
        (3..3 + self.privileges.kept_descriptors).chain(listener).collect()
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
        if self.plan.privileges.orphan == Orphan::GoesOn
            && let Err(errno) = set_parent_process_death_signal(None)
        {
            return Some(StartError::Failed(Fault::system("prctl")(errno)));
        }
        if let Gate::Caller { .. } = self.plan.gate
            && let Err(fault) = self.install_streams()
        {
            return Some(StartError::Failed(fault));
        }
        tell(channel, &Event::Ready, &controller)?;
        drop(controller);
        match &self.plan.gate {
            Gate::Maker => {
                protocol::receive(channel).ok().flatten()?;
                Some(self.become_program())
            }
            Gate::Caller { listener, hooks } => {
                let (caller, state) = await_caller(listener)?;
                let error = match hook::run_all(hooks, "startContainer", &state) {
                    Ok(()) => self.become_program(),
                    Err(fault) => StartError::Failed(fault),
                };
                // Whoever made this process is gone, and with it the other channel.
                tell(caller.as_fd(), &Event::NotStarted(error), &[]);
                None
            }
        }
    }

    fn become_program(&self) -> StartError {
        match self.prepare() {
            Ok(()) => match self.plan.first {
                FirstProcess::Program => become_program(&self.plan.args, &self.plan.env),
                FirstProcess::Init => become_init(&self.plan.args, &self.plan.env),
            },
            Err(fault) => StartError::Failed(fault),
        }
    }

    fn prepare(&self) -> Result<(), Fault> {
        // All others are as the zygote set them: by default.
        ferry_sys::signals::die_of_broken_pipes();
        if let Gate::Maker = self.plan.gate {
            self.install_streams()?;
        }
        self.plan.treatment.apply()?;
        self.enter_cwd()?;
        limits::apply(&self.plan.limits)?;
        umask(Mode::from_raw_mode(self.plan.umask));
        self.plan.privileges.drop_to(&self.identity)
    }

    /// A process that waits for whoever comes does so with its own streams: with a terminal, its maker's would
    /// keep those waiting who read them to their end.
    fn install_streams(&self) -> Result<(), Fault> {
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
            (None, Streams::Inherited) => stdio::hand_over(&self.identity),
            (None, Streams::Pipes { stdin: None, .. } | Streams::Terminal(_)) => {}
        }
        Ok(())
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

impl Treatment {
    fn apply(&self) -> Result<(), Fault> {
        if let Some(cpus) = &self.cpus {
            sched_setaffinity(None, cpus).map_err(Fault::system("sched_setaffinity"))?;
        }
        if let Some(scheduling) = self.scheduling {
            scheduling::set_scheduling(scheduling).map_err(Fault::system("sched_setattr"))?;
        }
        if let Some((class, level)) = self.io_priority {
            scheduling::set_io_priority(class, level).map_err(Fault::system("ioprio_set"))?;
        }
        if let Some(policy) = &self.memory_policy {
            scheduling::set_memory_policy(policy.mode, &policy.nodes).map_err(Fault::system("set_mempolicy"))?;
        }
        for (file, label) in &self.labels {
            let path = format!("/proc/thread-self/{file}");
            let fault = |errno: rustix::io::Errno| Fault::System {
                call: format!("write {label:?} to {path}"),
                errno: errno.into(),
            };
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let opened = openat(CWD, &path, flags, Mode::empty()).map_err(fault)?;
            write(&opened, label.as_bytes()).map_err(fault)?;
        }
        Ok(())
    }
}

/// Waits for somebody who means it: a connection that says nothing was a look whether anybody waits here.
/// What is said is the container's state, for hooks.
fn await_caller(listener: &OwnedFd) -> Option<(OwnedFd, Vec<u8>)> {
    loop {
        let caller = retry_on_intr(|| accept_with(listener, SocketFlags::CLOEXEC)).ok()?;
        if let Ok(Some(frame)) = protocol::receive(caller.as_fd()) {
            return Some((caller, frame.body));
        }
    }
}

/// Sends an event; `None` if nobody is there to hear it.
pub(super) fn tell(channel: BorrowedFd<'_>, event: &Event, descriptors: &[BorrowedFd<'_>]) -> Option<()> {
    let body = serde_json::to_vec(event).ok()?;
    protocol::send(channel, &body, descriptors).ok()
}
