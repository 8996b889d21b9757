//! How a container's confinement differs from the default profile, and what it shares with the host.

use std::path::Path;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, Mount};
use serde::{Deserialize, Serialize};

use super::{join::Joined, spec};

/// `--security-opt` and the paths that are hidden or protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// As they were given, for an inspect.
    pub given: Vec<String>,
    /// Whether programs may gain privileges.
    pub new_privileges: NewPrivileges,
    /// The filter of system calls.
    pub seccomp: Filter,
    /// Paths that are hidden instead of the profile's.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that are read-only instead of the profile's.
    pub read_only_paths: Option<Vec<String>>,
}

/// Whether programs may gain privileges by set-uid and file capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewPrivileges {
    /// As their files say.
    #[default]
    Allowed,
    /// Never.
    Forbidden,
}

/// Which system calls are let through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Those of the default profile.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of this profile, in Docker's JSON.
    Profile(String),
}

/// Which namespaces a container has for itself, apart from its network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceOptions {
    /// Processes.
    pub pid: Scope,
    /// Host name.
    pub uts: Scope,
    /// Shared memory and message queues.
    pub ipc: IpcScope,
    /// Control groups.
    pub cgroup: Scope,
}

/// Whose namespace it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// As the profile has it: its own, where the host can.
    #[default]
    Default,
    /// The host's.
    Host,
    /// That of the container with this id, or name before it was created.
    Container(String),
}

/// Whose shared memory it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpcScope {
    /// Its own.
    #[default]
    Private,
    /// Its own, and nobody else's yet.
    Shareable,
    /// Its own, without /dev/shm.
    None,
    /// The host's.
    Host,
    /// That of the container with this id, or name before it was created; it must be shareable.
    Container(String),
}

impl Scope {
    pub(super) fn container_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Container(name) => Some(name),
            Self::Default | Self::Host => None,
        }
    }
}

impl IpcScope {
    pub(super) fn container_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Container(name) => Some(name),
            Self::Private | Self::Shareable | Self::None | Self::Host => None,
        }
    }
}

impl Security {
    pub(super) fn apply(&self, linux: &mut Linux) {
        if let Some(paths) = &self.masked_paths {
            linux.set_masked_paths(Some(paths.clone()));
        }
        if let Some(paths) = &self.read_only_paths {
            linux.set_readonly_paths(Some(paths.clone()));
        }
    }
}

const SHM: &str = "/dev/shm";
const MESSAGE_QUEUES: &str = "/dev/mqueue";

impl NamespaceOptions {
    /// Leaves out those that are the host's, and has others joined.
    pub(super) fn choose(&self, namespaces: &mut Vec<LinuxNamespace>, joined: &Joined) {
        self.retain(namespaces);
        for namespace in namespaces {
            match namespace.typ() {
                LinuxNamespaceType::Pid => namespace.set_path(joined.pid()),
                LinuxNamespaceType::Ipc => namespace.set_path(joined.ipc()),
                _ => continue,
            };
        }
    }

    /// Leaves out those that are the host's.
    fn retain(&self, namespaces: &mut Vec<LinuxNamespace>) {
        let is_host = |kind| match kind {
            LinuxNamespaceType::Pid => self.pid == Scope::Host,
            LinuxNamespaceType::Uts => self.uts == Scope::Host,
            LinuxNamespaceType::Ipc => self.ipc == IpcScope::Host,
            LinuxNamespaceType::Cgroup => self.cgroup == Scope::Host,
            _ => false,
        };
        namespaces.retain(|namespace| !is_host(namespace.typ()));
    }

    /// /dev/shm and message queues go with their namespace.
    pub(super) fn change_mounts(&self, mounts: &mut Vec<Mount>) {
        let is = |mount: &Mount, path: &str| mount.destination() == Path::new(path);
        match self.ipc {
            IpcScope::Private | IpcScope::Shareable | IpcScope::Container(_) => {}
            IpcScope::None => mounts.retain(|mount| !is(mount, SHM)),
            IpcScope::Host => {
                for mount in mounts {
                    for path in [SHM, MESSAGE_QUEUES] {
                        if is(mount, path) && Path::new(path).exists() {
                            *mount = spec::mount(Path::new(path), Path::new(path), &["rbind", "rprivate"]);
                        }
                    }
                }
            }
        }
    }
}
