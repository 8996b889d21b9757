//! How a monitor comes by its process: everything before there is something to watch.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ferry_sys::process::Namespaces;
use oci_spec::runtime::Process;

use super::{
    Inheritance,
    belongings::{Belongings, parent_in},
    ending::Record,
    streams,
    supervisor::{Newborn, Supervisor, Ward},
};
use crate::{
    Exec, Fault, Launch, Root, Warning,
    cgroup::{Cgroup, Parent},
    container::{
        ContainerPlan, GuestPlan, NamespacePlan, ProcessPlan, Streams, arrival, bear, bear_guest, parse_sysctls,
        personality,
    },
    emulation,
    log::Keeper,
    protocol::{self, Container, EmulationPlace, ROOT, SHARED_MEMORY},
    rootfs::{Manner, Plan, open_root},
};

/// Makes a container up to the point where its process waits.
pub(super) fn launch(
    inheritance: &Inheritance,
    connection: &OwnedFd,
    launch: Launch,
    emulation: Option<EmulationPlace>,
    descriptors: Vec<OwnedFd>,
) -> Result<Supervisor, Fault> {
    let parent = match parent_in(&launch)? {
        Some(path) => Parent::open(cgroups(inheritance)?.layout(), &path)?,
        None => cgroups(inheritance)?,
    };
    let emulation = take_emulation(emulation, descriptors)?;
    let (belongings, cgroup, mut warnings) = Belongings::of_launch(&launch, &parent)?;
    let keeper = Keeper::open(&launch.stdio.log)?;
    let (streams, ends) = streams::open(&launch.stdio)?;
    let mut shared_memory = None;
    let mounted = || {
        let (root, shared) = await_root(connection, &launch.root)?;
        shared_memory = shared;
        Ok(root)
    };
    let (mut plan, more) = plan(inheritance, &launch, mounted, &cgroup, streams, emulation)?;
    warnings.extend(more);
    if let Some(mount) = shared_memory {
        plan.root.put(Path::new("/dev/shm"), mount);
    }
    let private_pids = plan.namespaces.is_private(Namespaces::PID);
    let (emulation, channel, (child, terminal)) = bear(plan, &mut arrival::never)?;
    Ok(Supervisor::new(Newborn {
        ward: Ward {
            child,
            channel: Some(channel),
            warnings,
        },
        ends: ends.with_terminal(terminal)?,
        keeper,
        record: Record {
            path: launch.exit_record,
            durability: launch.durability,
            cgroup: Some(cgroup),
            private_pids,
        },
        belongings,
        emulation,
    }))
}

/// Makes a process in a running container, up to the point where it waits.
pub(super) fn exec(
    inheritance: &Inheritance,
    exec: Exec,
    container: &Container,
    descriptors: Vec<OwnedFd>,
) -> Result<Supervisor, Fault> {
    let usual = cgroups(inheritance)?;
    let parent = match &container.cgroup_parent {
        Some(path) if path != usual.path() => Parent::open(usual.layout(), path)?,
        _ => usual,
    };
    let Ok([host]) = <[OwnedFd; 1]>::try_from(descriptors) else {
        return Err(Fault::Spec {
            member: "container".to_owned(),
            problem: "came without its process".to_owned(),
        });
    };
    let belongings = Belongings::of_exec(&exec.id, &exec.state_dir)?;
    let keeper = Keeper::open(&exec.stdio.log)?;
    let (streams, ends) = streams::open(&exec.stdio)?;
    let (process, warnings) =
        ProcessPlan::of(&exec.id, &exec.process, &exec.user, &exec.groups, exec.seccomp, streams)?;
    let guest = GuestPlan {
        proof: inheritance.proof,
        cgroup: parent.child(&container.cgroup),
        host,
        user_namespace: container.user_namespace,
        time_namespace: false,
        oom_score_adj: Some(exec.process.oom_score_adj().unwrap_or(0)),
        process,
    };
    let (channel, (child, terminal)) = bear_guest(guest)?;
    Ok(Supervisor::new(Newborn {
        ward: Ward {
            child,
            channel: Some(channel),
            warnings,
        },
        ends: ends.with_terminal(terminal)?,
        keeper,
        record: Record {
            path: exec.exit_record,
            durability: exec.durability,
            cgroup: None,
            private_pids: false,
        },
        belongings,
        emulation: None,
    }))
}

/// The engine mounts the root meanwhile, for that takes as long as all the rest. Where the kernel
/// does not let it, or it has given up, its frame comes without.
fn await_root(connection: &OwnedFd, root: &Root) -> Result<(OwnedFd, Option<OwnedFd>), Fault> {
    let frame = protocol::receive(connection.as_fd())
        .map_err(Fault::system("recvmsg"))?
        .ok_or(Fault::Died)?;
    let (mut mounted, mut shared) = (None, None);
    // Its words say what the descriptors are, in their order.
    for (name, mount) in frame.body.split(|byte| *byte == b' ').skip(1).zip(frame.descriptors) {
        match name {
            name if name == ROOT.as_bytes() => mounted = Some(mount),
            name if name == SHARED_MEMORY.as_bytes() => shared = Some(mount),
            _ => {}
        }
    }
    Ok((mounted.map_or_else(|| open_root(root), Ok)?, shared))
}

/// Opens on the host's side everything that the container will consist of.
fn plan(
    inheritance: &Inheritance,
    launch: &Launch,
    mounted: impl FnOnce() -> Result<OwnedFd, Fault>,
    cgroup: &Cgroup,
    streams: Streams,
    emulation: Option<emulation::Namespace>,
) -> Result<(ContainerPlan, Vec<Warning>), Fault> {
    let spec = &launch.spec;
    let process: &Process = spec.process().as_ref().ok_or_else(|| Fault::Spec {
        member: "process".to_owned(),
        problem: "is missing".to_owned(),
    })?;
    let seccomp = launch.seccomp.clone();
    let (mut process_plan, warnings) =
        ProcessPlan::of(&launch.id, process, &launch.user, &launch.groups, seccomp, streams)?;
    process_plan.first = launch.first_process;
    let plan = ContainerPlan {
        proof: inheritance.proof,
        namespaces: NamespacePlan::of(spec)?,
        cgroup: cgroup.clone(),
        emulation,
        user: None,
        time_offsets: None,
        before_root: None,
        hostname: spec.hostname().clone(),
        domainname: spec.domainname().clone(),
        sysctls: parse_sysctls(spec)?,
        oom_score_adj: Some(process.oom_score_adj().unwrap_or(0)),
        personality: personality(spec),
        root: Plan::make(spec, &launch.root, mounted, cgroup, Manner::Engine)?,
        process: process_plan,
    };
    Ok((plan, warnings))
}

/// The namespace for emulators that the container will live in, if it is to.
fn take_emulation(
    place: Option<EmulationPlace>,
    descriptors: Vec<OwnedFd>,
) -> Result<Option<emulation::Namespace>, Fault> {
    match (place, <[OwnedFd; 2]>::try_from(descriptors)) {
        (None, _) => Ok(None),
        (Some(EmulationPlace::Own(interpreters)), _) => Ok(Some(emulation::Namespace::create(&interpreters)?)),
        (Some(EmulationPlace::Shared), Ok([user, binfmt])) => Ok(Some(emulation::Namespace::from_parts(user, binfmt))),
        (Some(EmulationPlace::Shared), Err(_)) => Err(Fault::Emulation {
            reason: "the namespace for emulators did not come along".to_owned(),
        }),
    }
}

fn cgroups(inheritance: &Inheritance) -> Result<Parent, Fault> {
    inheritance.cgroups.clone().map_err(|reason| Fault::Cgroup { reason })
}
