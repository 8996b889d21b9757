//! The default profile of every container, as data and small functions over it.

use oci_spec::runtime::Spec;

use crate::capability::CapabilitySet;

/// What a container asks for beyond the profile; [`default_spec`] turns it into a runtime spec.
#[derive(Debug, Clone, Default)]
pub struct ProfileInput {
    /// Host name inside; `None` keeps the namespace's.
    pub hostname: Option<String>,
    /// Domain name inside.
    pub domainname: Option<String>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// Environment, `NAME=value` each.
    pub env: Vec<String>,
    /// Working directory, absolute inside the root; empty is `/`.
    pub cwd: String,
    /// Whether there is a terminal.
    pub terminal: Terminal,
    /// Which network it sees.
    pub network: Network,
    /// How much of the profile applies.
    pub confinement: Confinement,
    /// Whether the root file system may be written.
    pub root: RootAccess,
    /// What the host's cgroups are.
    pub cgroups: CgroupVersion,
    /// Capabilities of its processes; `None` is the default set, or all for a privileged one.
    pub capabilities: Option<CapabilitySet>,
    /// Size of /dev/shm in bytes; `None` is 64 MiB.
    pub shm_size_bytes: Option<u64>,
    /// Whether programs may gain privileges by set-uid and file capabilities.
    pub new_privileges: NewPrivileges,
    /// Whether it runs in an emulation namespace, where some mounts and nodes come otherwise.
    pub user_namespace: UserNamespace,
}

/// Whether the process has a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Terminal {
    /// Pipes.
    #[default]
    Absent,
    /// A pty of the container's own devpts.
    Present,
}

/// Which network namespace it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// The one at this path (`/proc/<pid>/ns/net` or a bind mount).
    Path(std::path::PathBuf),
}

/// How much of the profile applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confinement {
    /// All of it.
    #[default]
    Default,
    /// No masks, no read-only paths, every capability and device, no seccomp.
    Privileged,
}

/// Whether the root file system may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootAccess {
    /// It may.
    #[default]
    ReadWrite,
    /// It may not; /proc, /dev, pts, shm and mqueue stay writable.
    ReadOnly,
}

/// What the host's cgroups are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupVersion {
    /// Version 1 or hybrid: the container shares the host's cgroup namespace.
    V1,
    /// Version 2: it has its own.
    #[default]
    V2,
}

/// Whether programs may gain privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewPrivileges {
    /// As their files say.
    #[default]
    Allowed,
    /// Never: `no_new_privs`.
    Forbidden,
}

/// Which user namespace it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UserNamespace {
    /// The engine's.
    #[default]
    Host,
    /// The emulation namespace, joined by the runtime.
    Emulation,
}

/// The runtime spec of a container, without its root, its user's mounts and its limits.
///
/// Pure: reads nothing from the host.
#[must_use]
pub fn default_spec(_input: &ProfileInput) -> Spec {
    Spec::default()
}
