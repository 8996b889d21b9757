//! How a monitor comes by its process: everything before there is something to watch.

use std::os::fd::{AsFd, OwnedFd};

use ferry_sys::process::{Child, CloneOptions, Forked, ParentOfNew, clone};
use oci_spec::runtime::LinuxNamespaceType;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
};

use super::{
    Inheritance,
    ending::Record,
    input::Input,
    output::Output,
    place::{Notes, Place},
    supervisor::{Supervisor, Ward},
};
use crate::{
    Exec, Fault, Launch, Stdin, Stdio, Warning,
    cgroup::{Cgroup, ChildName, Parent},
    container::{
        ContainerPlan, GuestPlan, NamespacePlan, ProcessPlan, Streams, open_null, parse_sysctls,
    },
    emulation,
    log::{Keeper, Stream},
    protocol::{self, Container, Event},
    rootfs::{Ownership, Plan},
};

/// What a monitor has made outside of itself. Dropped, it is undone.
#[derive(Debug)]
pub(super) struct Belongings {
    place: Option<Place>,
    cgroup: Option<Cgroup>,
}

/// The monitor's ends of a process' streams.
#[derive(Debug)]
struct Ends {
    outputs: Vec<Output>,
    input: Input,
}

const PIPE_BYTES: usize = 256 * 1024;

/// Makes a container up to the point where its process waits.
pub(super) fn launch(
    inheritance: &Inheritance,
    launch: Launch,
    descriptors: Vec<OwnedFd>,
) -> Result<Supervisor, Fault> {
    let parent = cgroups(inheritance)?;
    let emulation = match (&launch.emulate, <[OwnedFd; 2]>::try_from(descriptors)) {
        (None, _) => None,
        (Some(_), Ok([user, binfmt])) => Some(emulation::Namespace::from_parts(user, binfmt)),
        (Some(architecture), Err(_)) => {
            return Err(Fault::Emulation {
                reason: format!("no emulators for {architecture}"),
            });
        }
    };
    let notes = Notes {
        version: Notes::VERSION,
        id: launch.id.clone(),
        cgroup: Some(launch.cgroup.clone()),
    };
    let mut belongings = Belongings {
        place: Some(Place::claim(&launch.state_dir, &notes)?),
        cgroup: None,
    };
    let keeper = Keeper::open(&launch.stdio.log)?;
    let (cgroup, mut warnings) = make_cgroup(&parent, &launch)?;
    belongings.cgroup = Some(cgroup.clone());

    let namespaces = NamespacePlan::of(&launch.spec)?;
    let ownership = match emulation {
        Some(_) => Ownership::OwnsSome,
        None => Ownership::OwnsAll,
    };
    let (streams, ends) = open_streams(&launch.stdio)?;
    let process = launch.spec.process().as_ref().ok_or_else(|| Fault::Spec {
        member: "process".to_owned(),
        problem: "is missing".to_owned(),
    })?;
    let (process_plan, more) = ProcessPlan::of(
        &launch.id,
        process,
        &launch.user,
        &launch.groups,
        launch.seccomp,
        streams,
    )?;
    warnings.extend(more);
    let born_into = match emulation {
        None if !namespaces.joins_pid() => cgroup.clone_into_fd().map_err(cgroup_fault)?,
        _ => None,
    };
    let plan = ContainerPlan {
        proof: inheritance.proof,
        sysctls: parse_sysctls(&launch.spec)?,
        born_in_cgroup: born_into.is_some(),
        hostname: launch.spec.hostname().clone(),
        domainname: launch.spec.domainname().clone(),
        oom_score_adj: process.oom_score_adj(),
        root: Plan::make(&launch.spec, &launch.root, &cgroup, ownership)?,
        process: process_plan,
        cgroup,
        emulation,
        namespaces,
    };
    let private_pids = plan.namespaces.is_separate(LinuxNamespaceType::Pid);
    let (channel, far_end) = channel()?;
    let needs_launcher = plan.needs_launcher();
    let options = CloneOptions {
        namespaces: if needs_launcher {
            Default::default()
        } else {
            plan.namespaces.new
        },
        parent: ParentOfNew::Caller,
        cgroup: born_into.as_ref().map(AsFd::as_fd),
    };
    let child = match clone(inheritance.proof, &options).map_err(Fault::system("clone3"))? {
        Forked::Child => {
            drop(channel);
            if needs_launcher {
                plan.run_launcher(far_end)
            } else {
                plan.run(far_end)
            }
        }
        Forked::Parent(child) => child,
    };
    drop(far_end);
    // The namespace's entries live while somebody holds the mount: as long as the container.
    let ContainerPlan { emulation, .. } = plan;
    let (child, terminal) = if needs_launcher {
        await_launched(child, &channel)?
    } else {
        await_ready(child, &channel)?
    };
    let record = Record {
        path: launch.exit_record,
        durability: launch.durability,
        cgroup: belongings.cgroup.clone(),
        private_pids,
    };
    let ward = Ward {
        child,
        channel: Some(channel),
        warnings,
    };
    finish(ward, ends, terminal, keeper, record, belongings, emulation)
}

/// Makes a process in a running container, up to the point where it waits.
pub(super) fn exec(
    inheritance: &Inheritance,
    exec: Exec,
    container: &Container,
    descriptors: Vec<OwnedFd>,
) -> Result<Supervisor, Fault> {
    let parent = cgroups(inheritance)?;
    let Ok([host]) = <[OwnedFd; 1]>::try_from(descriptors) else {
        return Err(Fault::Spec {
            member: "container".to_owned(),
            problem: "came without its process".to_owned(),
        });
    };
    let notes = Notes {
        version: Notes::VERSION,
        id: exec.id.clone(),
        cgroup: None,
    };
    let belongings = Belongings {
        place: Some(Place::claim(&exec.state_dir, &notes)?),
        cgroup: None,
    };
    let keeper = Keeper::open(&exec.stdio.log)?;
    let (streams, ends) = open_streams(&exec.stdio)?;
    let (process, warnings) = ProcessPlan::of(
        &exec.id,
        &exec.process,
        &exec.user,
        &exec.groups,
        exec.seccomp,
        streams,
    )?;
    let plan = GuestPlan {
        proof: inheritance.proof,
        cgroup: parent.child(&container.cgroup),
        host,
        user_namespace: container.user_namespace,
        oom_score_adj: exec.process.oom_score_adj(),
        process,
    };
    let (channel, far_end) = channel()?;
    let options = CloneOptions {
        namespaces: Default::default(),
        parent: ParentOfNew::Caller,
        cgroup: None,
    };
    let launcher = match clone(inheritance.proof, &options).map_err(Fault::system("clone3"))? {
        Forked::Child => {
            drop(channel);
            plan.run(far_end)
        }
        Forked::Parent(child) => child,
    };
    drop(far_end);
    drop(plan);
    let (child, terminal) = await_launched(launcher, &channel)?;
    let record = Record {
        path: exec.exit_record,
        durability: exec.durability,
        cgroup: None,
        private_pids: false,
    };
    let ward = Ward {
        child,
        channel: Some(channel),
        warnings,
    };
    finish(ward, ends, terminal, keeper, record, belongings, None)
}

fn finish(
    ward: Ward,
    mut ends: Ends,
    terminal: Option<OwnedFd>,
    keeper: Keeper,
    record: Record,
    belongings: Belongings,
    emulation: Option<emulation::Namespace>,
) -> Result<Supervisor, Fault> {
    if let Some(controller) = &terminal {
        set_nonblocking(controller)?;
        let copy = || controller.try_clone().map_err(Fault::system("dup"));
        ends.outputs.push(Output::new(Stream::Stdout, copy()?));
        ends.input = Input::terminal(copy()?);
    }
    Ok(Supervisor::new(
        ward,
        ends.outputs,
        ends.input,
        terminal,
        keeper,
        record,
        belongings,
        emulation,
    ))
}

impl Belongings {
    /// Where new connections come in.
    pub(super) fn listener(&self) -> Option<&OwnedFd> {
        self.place.as_ref().map(|place| &place.listener)
    }
}

impl Drop for Belongings {
    fn drop(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            // A cgroup that cannot be removed is found by the engine, which knows its name.
            if cgroup.remove().is_err() {
                let _ = cgroup.kill_all();
                let _ = cgroup.remove();
            }
        }
        if let Some(place) = self.place.take() {
            place.release();
        }
    }
}

fn cgroups(inheritance: &Inheritance) -> Result<Parent, Fault> {
    inheritance
        .cgroups
        .clone()
        .map_err(|reason| Fault::Cgroup { reason })
}

fn cgroup_fault(error: crate::cgroup::Error) -> Fault {
    Fault::Cgroup {
        reason: error.to_string(),
    }
}

fn make_cgroup(parent: &Parent, launch: &Launch) -> Result<(Cgroup, Vec<Warning>), Fault> {
    let name: &ChildName = &launch.cgroup;
    let cgroup = parent.create(name).map_err(cgroup_fault)?;
    let resources = launch
        .spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref());
    let Some(resources) = resources else {
        return Ok((cgroup, Vec::new()));
    };
    match cgroup.set(resources) {
        Ok(ignored) => {
            let warnings = ignored.iter().map(|what| Warning::LimitIgnored {
                what: format!("{}: {}", what.field, what.reason),
            });
            Ok((cgroup, warnings.collect()))
        }
        Err(error) => {
            let _ = cgroup.remove();
            Err(cgroup_fault(error))
        }
    }
}

fn channel() -> Result<(OwnedFd, OwnedFd), Fault> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(Fault::system("socketpair"))
}

/// The process' ends and the monitor's; a terminal's come later, from inside the container.
fn open_streams(stdio: &Stdio) -> Result<(Streams, Ends), Fault> {
    if let Some(size) = stdio.tty {
        let ends = Ends {
            outputs: Vec::new(),
            input: Input::none(),
        };
        return Ok((Streams::Terminal(size), ends));
    }
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(Fault::system("pipe2"));
    let (stdin, input) = match stdio.stdin {
        Stdin::Closed => (open_null()?, Input::none()),
        stdin @ (Stdin::Open | Stdin::Once) => {
            let (reader, writer) = pipe()?;
            set_nonblocking(&writer)?;
            (reader, Input::pipe(writer, stdin))
        }
    };
    let output = |stream| {
        let (reader, writer) = pipe()?;
        set_nonblocking(&reader)?;
        // Fewer turns for a busy process; without it the pipe is smaller, that is all.
        let _ = fcntl_setpipe_size(&reader, PIPE_BYTES);
        Ok::<_, Fault>((writer, Output::new(stream, reader)))
    };
    let (stdout, stdout_end) = output(Stream::Stdout)?;
    let (stderr, stderr_end) = output(Stream::Stderr)?;
    let ends = Ends {
        outputs: vec![stdout_end, stderr_end],
        input,
    };
    Ok((
        Streams::Pipes {
            stdin,
            stdout,
            stderr,
        },
        ends,
    ))
}

fn set_nonblocking(descriptor: &OwnedFd) -> Result<(), Fault> {
    let flags = fcntl_getfl(descriptor).map_err(Fault::system("fcntl"))?;
    fcntl_setfl(descriptor, flags | OFlags::NONBLOCK).map_err(Fault::system("fcntl"))
}

/// Waits until the child has made itself ready; if it fails, nothing of it is left.
fn await_ready(child: Child, channel: &OwnedFd) -> Result<(Child, Option<OwnedFd>), Fault> {
    match next_event(channel) {
        Ok((Event::Ready, terminal)) => Ok((child, terminal)),
        Ok((Event::Failed(fault), _)) | Err(fault) => {
            end(child);
            Err(fault)
        }
        Ok((Event::Forked { .. } | Event::NotStarted(_), _)) => {
            end(child);
            Err(Fault::Died)
        }
    }
}

/// As [`await_ready`] for a child that makes the real one as its sibling, and ends. What both say
/// may come in any order.
fn await_launched(launcher: Child, channel: &OwnedFd) -> Result<(Child, Option<OwnedFd>), Fault> {
    let mut child = None;
    let mut ready = None;
    let outcome = loop {
        match next_event(channel) {
            Ok((Event::Forked { pid }, _)) => child = Some(adopt(pid)),
            Ok((Event::Ready, terminal)) => ready = Some(terminal),
            Ok((Event::Failed(fault), _)) | Err(fault) => break Err(fault),
            Ok((Event::NotStarted(_), _)) => break Err(Fault::Died),
        }
        if let (Some(_), Some(_)) = (&child, &ready) {
            break Ok(());
        }
    };
    end(launcher);
    match (outcome, child, ready) {
        (Ok(()), Some(child), Some(terminal)) => Ok((child?, terminal)),
        (outcome, child, _) => {
            if let Some(Ok(child)) = child {
                end(child);
            }
            Err(outcome.err().unwrap_or(Fault::Died))
        }
    }
}

/// A descriptor of a process that became this one's child by being cloned with CLONE_PARENT: until
/// it is waited for its id cannot be another's.
fn adopt(pid: i32) -> Result<Child, Fault> {
    let number = Pid::from_raw(pid).ok_or(Fault::Died)?;
    let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(Fault::system("pidfd_open"))?;
    Ok(Child { pid, pidfd })
}

fn next_event(channel: &OwnedFd) -> Result<(Event, Option<OwnedFd>), Fault> {
    let frame = protocol::receive(channel.as_fd())
        .map_err(Fault::system("recvmsg"))?
        .ok_or(Fault::Died)?;
    let event = serde_json::from_slice(&frame.body).map_err(|_| Fault::Died)?;
    Ok((event, frame.descriptors.into_iter().next()))
}

/// Kills a child and waits for its end.
pub(super) fn end(child: Child) {
    // It may be dead already; that is what is wanted.
    let _ = ferry_sys::signals::send(child.pidfd.as_fd(), 9);
    let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
}
