//! Cloning a container's processes, and hearing from them until they are ready.

use std::os::fd::{AsFd, OwnedFd};

use ferry_sys::process::{CloneOptions, Forked, Namespaces, ParentOfNew, Personality, clone};
use oci_spec::runtime::{LinuxPersonalityDomain, Spec};

use super::{
    ContainerPlan, GuestPlan, IntoCgroup,
    arrival::{self, Arrived, Prepared, channel},
};
use crate::{Fault, emulation};

/// Clones the container's first process and waits for it. The namespace for emulators stays with
/// the monitor: its entries live while somebody holds them.
pub(crate) fn bear(
    plan: ContainerPlan,
    prepared: Prepared<'_>,
) -> Result<(Option<emulation::Namespace>, OwnedFd, Arrived), Fault> {
    let (channel, far_end) = channel()?;
    let launcher = plan.needs_launcher();
    let cgroup = if launcher { None } else { plan.cgroup.clone_into_fd()? };
    let way = match &cgroup {
        Some(_) => IntoCgroup::Born,
        None => IntoCgroup::ByItself,
    };
    let options = CloneOptions {
        namespaces: if launcher {
            Namespaces::NONE
        } else {
            plan.namespaces.new
        },
        parent: ParentOfNew::Caller,
        cgroup: cgroup.as_ref().map(AsFd::as_fd),
    };
    let child = match clone(plan.proof, &options).map_err(Fault::system("clone3"))? {
        Forked::Parent(child) => child,
        Forked::Child => {
            drop(channel);
            if launcher {
                plan.run_launcher(far_end)
            } else {
                plan.run(far_end, way)
            }
        }
    };
    drop(far_end);
    let arrived = if launcher {
        arrival::of_launched(child, &channel, prepared)?
    } else {
        arrival::of_child(child, &channel, prepared)?
    };
    Ok((plan.emulation, channel, arrived))
}

/// As [`bear`], for a further process in a running container.
pub(crate) fn bear_guest(guest: GuestPlan) -> Result<(OwnedFd, Arrived), Fault> {
    let (channel, far_end) = channel()?;
    let options = CloneOptions {
        namespaces: Namespaces::NONE,
        parent: ParentOfNew::Caller,
        cgroup: None,
    };
    let launcher = match clone(guest.proof, &options).map_err(Fault::system("clone3"))? {
        Forked::Parent(child) => child,
        Forked::Child => {
            drop(channel);
            guest.run(far_end)
        }
    };
    drop(far_end);
    let arrived = arrival::of_launched(launcher, &channel, &mut arrival::never)?;
    Ok((channel, arrived))
}

/// What `uname -m` says to programs of a narrower CPU that the host executes itself.
/// Source: OCI runtime-spec config-linux.md#personality.
pub(crate) fn personality(spec: &Spec) -> Option<Personality> {
    let asked = spec.linux().as_ref()?.personality().as_ref()?;
    Some(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => Personality::Linux,
        LinuxPersonalityDomain::PerLinux32 => Personality::Linux32,
    })
}
