//! `exec`: a further process in a container.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use ferry_sys::{SingleThreaded, process::Child};
use oci_spec::runtime::{Capability, Process, Spec};

use super::{
    ContainerId, Error, Home, Record, Status, Warnings, console,
    create::describe,
    home::write_atomically,
    process::{cpus, treatment},
    seccomp,
    signal::open_living,
    status::status,
};
use crate::{
    Fault,
    container::{Gate, GuestPlan, Orphan, ProcessPlan, Streams, Surroundings, arrival, bear_guest},
    protocol::{self, Event},
};

/// What `exec` is told besides a process.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Where a terminal's controlling side is sent, if the process is to have one.
    pub console_socket: Option<PathBuf>,
    /// The file that will hold the process' number.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors after the standard streams the program gets too.
    pub preserve_fds: i32,
    /// Whether it outlives the caller.
    pub detach: bool,
}

/// A process in the words of a command line, where it differs from the container's own.
#[derive(Debug, Clone, Default)]
pub struct ExecProcess {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// More environment.
    pub env: Vec<String>,
    /// `UID` or `UID:GID`.
    pub user: Option<String>,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
    /// More capabilities.
    pub capabilities: Vec<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether no_new_privs is set.
    pub no_new_privs: bool,
    /// Label of AppArmor.
    pub apparmor: Option<String>,
    /// Label of SELinux.
    pub process_label: Option<String>,
}

/// A process that runs.
#[derive(Debug)]
pub struct Executed {
    /// It, a child of the caller.
    pub child: Child,
    /// What to tell the user.
    pub warnings: Warnings,
}

/// The process that a command line means: the container's own with what is said otherwise.
pub fn process_of(home: &Home, id: &ContainerId, asked: &ExecProcess) -> Result<Process, Error> {
    let spec: Spec = Record::load(home, id)?.spec(home, id)?;
    let mut process = spec.process().clone().unwrap_or_default();
    let wrong = |problem: String| Error::Config {
        member: "process",
        problem,
    };
    process.set_args(Some(asked.args.clone()));
    process.set_terminal(Some(asked.tty));
    if let Some(cwd) = &asked.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(asked.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(user) = &asked.user {
        let (uid, gid) = user
            .split_once(':')
            .map_or((user.as_str(), None), |(uid, gid)| (uid, Some(gid)));
        let number = |word: &str| {
            word.parse::<u32>()
                .map_err(|_| wrong(format!("user {user:?} is not UID[:GID]")))
        };
        let id = number(uid)?;
        process.user_mut().set_uid(id);
        if let Some(gid) = gid {
            let id = number(gid)?;
            process.user_mut().set_gid(id);
        }
    }
    if !asked.additional_gids.is_empty() {
        let gids = asked.additional_gids.clone();
        process.user_mut().set_additional_gids(Some(gids));
    }
    if asked.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if asked.apparmor.is_some() {
        process.set_apparmor_profile(asked.apparmor.clone());
    }
    if asked.process_label.is_some() {
        process.set_selinux_label(asked.process_label.clone());
    }
    add_capabilities(&mut process, &asked.capabilities).map_err(wrong)?;
    Ok(process)
}

fn add_capabilities(process: &mut Process, names: &[String]) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    let more: Vec<Capability> = names
        .iter()
        .map(|name| {
            let capability = crate::capability::Capability::parse(name).map_err(|error| error.to_string())?;
            capability
                .name()
                .trim_start_matches("CAP_")
                .parse()
                .map_err(|_| format!("unknown capability {name:?}"))
        })
        .collect::<Result<_, String>>()?;
    let mut capabilities = process.capabilities().clone().unwrap_or_default();
    let with = |set: &Option<oci_spec::runtime::Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(more.iter().copied());
        Some(set)
    };
    let (bounding, permitted, effective) = (
        with(capabilities.bounding()),
        with(capabilities.permitted()),
        with(capabilities.effective()),
    );
    capabilities.set_bounding(bounding);
    capabilities.set_permitted(permitted);
    capabilities.set_effective(effective);
    process.set_capabilities(Some(capabilities));
    Ok(())
}

/// Executes a process in a container; returns when its program runs.
pub fn exec(home: &Home, id: &ContainerId, process: &Process, options: &ExecOptions) -> Result<Executed, Error> {
    let proof = SingleThreaded::prove().map_err(Error::file("count threads in", "/proc/self/task"))?;
    let record = Record::load(home, id)?;
    let status = status(home, id, &record)?;
    let first = record
        .process
        .filter(|_| matches!(status, Status::Created | Status::Running));
    let Some(first) = first else {
        return Err(Error::Status {
            operation: "execute a process in",
            id: id.to_string(),
            status,
        });
    };
    let host = open_living(first).ok_or_else(|| Error::NotRunning { id: id.to_string() })?;
    let spec = record.spec(home, id)?;
    let console = match (process.terminal().unwrap_or(false), &options.console_socket) {
        (true, Some(path)) => Some((console::connect_to(path, "connect to the console socket")?, path)),
        (true, None) => {
            return Err(Error::Config {
                member: "process.terminal",
                problem: "needs --console-socket".to_owned(),
            });
        }
        (false, _) => None,
    };
    let (plan, warnings) = process_plan(&record, &spec, process, options)?;
    let is_other = |kind: &str| is_another_namespace(first.pid, kind);
    let guest = GuestPlan {
        proof,
        cgroup: record
            .cgroup()?
            .ok_or_else(|| Error::NotRunning { id: id.to_string() })?,
        host,
        user_namespace: is_other("user"),
        time_namespace: is_other("time"),
        oom_score_adj: process.oom_score_adj(),
        process: plan,
    };
    let (channel, (child, terminal)) = bear_guest(guest)?;
    let running = go(
        &child,
        &channel,
        options,
        console.as_ref().map(|(s, p)| (s, p.as_path())),
        terminal.as_ref(),
    );
    if let Err(error) = running {
        arrival::end(&child);
        return Err(error);
    }
    Ok(Executed { child, warnings })
}

fn process_plan(
    record: &Record,
    spec: &Spec,
    process: &Process,
    options: &ExecOptions,
) -> Result<(ProcessPlan, Warnings), Error> {
    let linux = spec.linux().as_ref();
    let (seccomp, seccomp_listener) = seccomp::filter(linux.and_then(|linux| linux.seccomp().as_ref()), record, 0)?;
    let mut treatment = treatment(process, linux.and_then(|linux| linux.memory_policy().as_ref()))?;
    treatment.cpus = cpus(process)?;
    let surroundings = Surroundings {
        streams: match process.terminal() {
            Some(true) => Streams::Terminal(console::size(process)),
            _ => Streams::Inherited,
        },
        seccomp,
        seccomp_listener,
        treatment,
        orphan: if options.detach { Orphan::GoesOn } else { Orphan::Dies },
        kept_descriptors: options.preserve_fds,
        gate: Gate::Maker,
    };
    let (plan, warnings) = ProcessPlan::of_bundle(record.id.as_str(), process, surroundings)?;
    Ok((plan, warnings.iter().map(describe).collect()))
}

/// Lets a ready process go, when whoever has to know it knows.
fn go(
    child: &Child,
    channel: &OwnedFd,
    options: &ExecOptions,
    console: Option<(&OwnedFd, &Path)>,
    terminal: Option<&OwnedFd>,
) -> Result<(), Error> {
    if let (Some((socket, path)), Some(terminal)) = (console, terminal) {
        console::hand_over(socket, path, terminal)?;
    }
    if let Some(path) = &options.pid_file {
        write_atomically(path, child.pid.to_string().as_bytes())?;
    }
    protocol::send(channel.as_fd(), b"go", &[]).map_err(Fault::system("sendmsg"))?;
    match protocol::receive(channel.as_fd()).map_err(Fault::system("recvmsg"))? {
        None => Ok(()),
        Some(frame) => Err(match serde_json::from_slice(&frame.body) {
            Ok(Event::NotStarted(error)) => error.into(),
            _ => Fault::Died.into(),
        }),
    }
}

fn is_another_namespace(pid: i32, kind: &str) -> bool {
    let look = |pid: &str| rustix::fs::stat(format!("/proc/{pid}/ns/{kind}")).map(|stat| (stat.st_dev, stat.st_ino));
    match (look("self"), look(&pid.to_string())) {
        (Ok(own), Ok(other)) => own != other,
        _ => false,
    }
}
