//! Which namespaces a container gets anew, which it joins, and which it shares with the host.

use std::path::PathBuf;

use ferry_sys::process::Namespaces;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::os::fd::AsFd;

use crate::Fault;

/// A container's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespacePlan {
    /// Those that it gets anew with its first process.
    pub(crate) new: Namespaces,
    /// Whether it gets a cgroup namespace, which can only be made inside its cgroup.
    pub(crate) new_cgroup: bool,
    pub(super) joined: Vec<Joined>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    kind: LinuxNamespaceType,
    path: PathBuf,
}

impl NamespacePlan {
    /// Reads a spec. User and time namespaces of a container's own are not supported yet.
    pub(crate) fn of(spec: &Spec) -> Result<NamespacePlan, Fault> {
        let mut plan = NamespacePlan::default();
        let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
        for namespace in list.into_iter().flatten() {
            let kind = namespace.typ();
            if let Some(path) = namespace.path() {
                plan.joined.push(Joined {
                    kind,
                    path: path.clone(),
                });
                continue;
            }
            match kind {
                LinuxNamespaceType::Cgroup => plan.new_cgroup = true,
                LinuxNamespaceType::User | LinuxNamespaceType::Time => {
                    return Err(Fault::Unsupported {
                        what: format!("a new {} namespace", name(kind)),
                    });
                }
                kind => plan.new = plan.new.with(bit(kind)),
            }
        }
        if !plan.new.contains(Namespaces::MOUNT) {
            return Err(Fault::Unsupported {
                what: "a container without a mount namespace of its own".to_owned(),
            });
        }
        Ok(plan)
    }

    /// Whether the container neither shares this kind with the host nor joins another's.
    pub(crate) fn is_private(&self, kind: Namespaces) -> bool {
        self.new.contains(kind)
    }

    /// Whether it does not share this kind with the host.
    pub(crate) fn is_separate(&self, kind: LinuxNamespaceType) -> bool {
        self.new.contains(bit(kind)) || self.joined.iter().any(|joined| joined.kind == kind)
    }

    /// Moves the caller, or for the pid namespace its future children, into those that are joined.
    pub(crate) fn join(&self) -> Result<(), Fault> {
        for Joined { kind, path } in &self.joined {
            let fault = |errno: rustix::io::Errno| Fault::Namespace {
                kind: name(*kind).to_owned(),
                path: Some(path.clone()),
                errno: errno.into(),
            };
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            let namespace = openat(CWD, path, flags, Mode::empty()).map_err(fault)?;
            move_into_link_name_space(namespace.as_fd(), Some(link(*kind))).map_err(fault)?;
        }
        Ok(())
    }

    /// Whether a pid namespace is joined, for which a further child is needed.
    pub(crate) fn joins_pid(&self) -> bool {
        self.joined.iter().any(|joined| joined.kind == LinuxNamespaceType::Pid)
    }
}

fn bit(kind: LinuxNamespaceType) -> Namespaces {
    match kind {
        LinuxNamespaceType::Mount => Namespaces::MOUNT,
        LinuxNamespaceType::Cgroup => Namespaces::CGROUP,
        LinuxNamespaceType::Uts => Namespaces::UTS,
        LinuxNamespaceType::Ipc => Namespaces::IPC,
        LinuxNamespaceType::User => Namespaces::USER,
        LinuxNamespaceType::Pid => Namespaces::PID,
        LinuxNamespaceType::Network => Namespaces::NETWORK,
        LinuxNamespaceType::Time => Namespaces::NONE,
    }
}

fn link(kind: LinuxNamespaceType) -> LinkNameSpaceType {
    match kind {
        LinuxNamespaceType::Mount => LinkNameSpaceType::Mount,
        LinuxNamespaceType::Cgroup => LinkNameSpaceType::ControlGroup,
        LinuxNamespaceType::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        LinuxNamespaceType::Ipc => LinkNameSpaceType::InterProcessCommunication,
        LinuxNamespaceType::User => LinkNameSpaceType::User,
        LinuxNamespaceType::Pid => LinkNameSpaceType::ProcessID,
        LinuxNamespaceType::Network => LinkNameSpaceType::Network,
        LinuxNamespaceType::Time => LinkNameSpaceType::Time,
    }
}

fn name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mount",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "network",
        LinuxNamespaceType::Time => "time",
    }
}
