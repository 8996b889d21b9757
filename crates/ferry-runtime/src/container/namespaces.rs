//! Which namespaces a container gets anew, which it joins, and which it shares with the host.

use std::path::PathBuf;

use ferry_sys::process::Namespaces;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::os::fd::{AsFd, OwnedFd};

use crate::Fault;

/// A container's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespacePlan {
    /// Those that it gets anew with its first process.
    pub(crate) new: Namespaces,
    /// Whether it gets a cgroup namespace, which can only be made inside its cgroup.
    pub(crate) new_cgroup: bool,
    /// Whether it gets a user namespace, which is made beforehand.
    pub(crate) new_user: bool,
    /// Whether it gets a time namespace, which only children are in.
    pub(crate) new_time: bool,
    pub(super) joined: Vec<Joined>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    kind: LinuxNamespaceType,
    path: PathBuf,
}

impl NamespacePlan {
    /// Reads a spec of the engine's, which has no user or time namespace of a container's own.
    pub(crate) fn of(spec: &Spec) -> Result<NamespacePlan, Fault> {
        let plan = NamespacePlan::of_bundle(spec)?;
        for (kind, is_new) in [("user", plan.new_user), ("time", plan.new_time)] {
            if is_new {
                return Err(Fault::Unsupported {
                    what: format!("a new {kind} namespace"),
                });
            }
        }
        Ok(plan)
    }

    /// Reads a spec.
    pub(crate) fn of_bundle(spec: &Spec) -> Result<NamespacePlan, Fault> {
        let mut plan = NamespacePlan::default();
        let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
        let mut seen = Vec::new();
        for namespace in list.into_iter().flatten() {
            let kind = namespace.typ();
            if seen.contains(&kind) {
                return Err(Fault::Spec {
                    member: "linux.namespaces".to_owned(),
                    problem: format!("names the {} namespace twice", name(kind)),
                });
            }
            seen.push(kind);
            if let Some(path) = namespace.path() {
                plan.joined.push(Joined {
                    kind,
                    path: path.clone(),
                });
                continue;
            }
            match kind {
                LinuxNamespaceType::Cgroup => plan.new_cgroup = true,
                LinuxNamespaceType::User => plan.new_user = true,
                LinuxNamespaceType::Time => plan.new_time = true,
                kind => plan.new = plan.new.with(bit(kind)),
            }
        }
        if !plan.is_separate(LinuxNamespaceType::Mount) {
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
        // All are opened before the first is entered: in another mount namespace paths are others.
        let opened: Vec<(&Joined, OwnedFd)> = self
            .joined
            .iter()
            .map(|joined| Ok((joined, joined.open()?)))
            .collect::<Result<_, Fault>>()?;
        for (joined, namespace) in opened {
            move_into_link_name_space(namespace.as_fd(), Some(link(joined.kind))).map_err(|e| joined.fault(e))?;
        }
        Ok(())
    }

    /// Takes the user namespace that is to be joined out of the plan, opened: it is entered last of all.
    pub(crate) fn take_user(&mut self) -> Result<Option<OwnedFd>, Fault> {
        let is_user = |joined: &Joined| joined.kind == LinuxNamespaceType::User;
        match self.joined.iter().position(is_user) {
            Some(place) => self.joined.remove(place).open().map(Some),
            None => Ok(None),
        }
    }

    /// Whether a mount namespace is joined, whose root is not the container's to replace.
    pub(crate) fn joins_mount(&self) -> bool {
        self.joined
            .iter()
            .any(|joined| joined.kind == LinuxNamespaceType::Mount)
    }

    /// Whether a pid namespace is joined, for which a further child is needed.
    pub(crate) fn joins_pid(&self) -> bool {
        self.joined.iter().any(|joined| joined.kind == LinuxNamespaceType::Pid)
    }
}

impl Joined {
    fn open(&self) -> Result<OwnedFd, Fault> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        openat(CWD, &self.path, flags, Mode::empty()).map_err(|errno| self.fault(errno))
    }

    fn fault(&self, errno: rustix::io::Errno) -> Fault {
        Fault::Namespace {
            kind: name(self.kind).to_owned(),
            path: Some(self.path.clone()),
            errno: errno.into(),
        }
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
