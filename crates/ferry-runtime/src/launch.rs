//! What the engine asks for: a container to launch, or a process to execute in one.

use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};

use crate::{cgroup, seccomp, stdio::Stdio};

/// A container to be made, up to its process waiting for [`crate::Monitor::start`].
///
/// From `spec` are used: process (args, env, cwd, capabilities, rlimits, no_new_privileges,
/// oom_score_adj, `user.umask` and `user.additional_gids`), mounts, hostname, domainname, and of
/// linux: namespaces, devices, resources, sysctl, masked and read-only paths, rootfs_propagation; and
/// cgroups_path where it ends in the name that `cgroup` says: then what is before that is the parent.
/// Its root, seccomp, hooks and terminal members are not read: the fields below say them.
/// Source: OCI runtime-spec config.md, config-linux.md.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launch {
    /// The container's id; names the session keyring and appears in errors.
    pub id: String,
    /// What runs and in what surroundings.
    pub spec: Spec,
    /// The filter for system calls, compiled beforehand; `None` filters nothing.
    pub seccomp: Option<seccomp::Program>,
    /// The root file system.
    pub root: Root,
    /// Who the process runs as, in the words of an image config (`""`, `user`, `uid`, `user:group`,
    /// `uid:gid`), resolved inside the root. Source: OCI image-spec config.md `User`.
    pub user: String,
    /// Further groups by name or number (`--group-add`), resolved inside the root.
    pub groups: Vec<String>,
    /// Whether the program is started by an init.
    #[serde(default)]
    pub first_process: FirstProcess,
    /// The process' standard streams.
    pub stdio: Stdio,
    /// An existing folder (0700) of the container's own on a tmpfs: the monitor's socket and notes.
    /// It may be launched into again once the former monitor's exit record was seen.
    pub state_dir: PathBuf,
    /// The file that will hold the [`crate::Exit`]; its folder exists. Replaced atomically.
    pub exit_record: PathBuf,
    /// Whether the exit record is synced to disk before anybody is told.
    pub durability: Durability,
    /// The CPU to emulate (`arm64`, as in `ferry_oci::cpu::Cpu::architecture`): the container lives in
    /// the engine's user namespace for emulators, see [`crate::Zygote::prepare_emulation`].
    pub emulate: Option<String>,
    /// The container's cgroup below [`crate::ZygoteOptions::cgroup_parent`]. Made by the monitor and
    /// removed by it after the exit.
    pub cgroup: cgroup::ChildName,
}

/// What a container's first process is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstProcess {
    /// The program itself.
    #[default]
    Program,
    /// An init that starts it, see [`crate::init`].
    Init,
}

/// A container's root file system on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// Layers with a writable folder on top, mounted detached: nothing shows on the host.
    Overlay(Overlay),
    /// A folder that is bound as it is.
    Directory {
        /// The folder.
        path: PathBuf,
        /// Mounted read-only.
        read_only: bool,
    },
}

/// The folders of an overlay mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Unpacked layers, the top one first; at least one.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// Overlay's own folder, on the file system of `upper`.
    pub work: PathBuf,
    /// Without syncs: for containers that need not survive a power cut (`--rm`, build steps).
    /// Such an upper folder cannot be mounted again unless `work/work/incompat/volatile` is removed.
    pub volatile: bool,
    /// Mounted read-only (`--read-only`).
    pub read_only: bool,
}

/// Whether a record has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durability {
    /// Written, synced, renamed, synced.
    Durable,
    /// Written and renamed.
    Volatile,
}

/// A process to be executed in a running container, with a monitor of its own.
///
/// It joins all namespaces and the cgroup of the container and has the same life as a launch:
/// created, started, exited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exec {
    /// The exec's id.
    pub id: String,
    /// `state_dir` of the container's launch.
    pub container: PathBuf,
    /// What runs: args, env, cwd, capabilities, rlimits, no_new_privileges, umask, additional_gids.
    pub process: Process,
    /// As [`Launch::seccomp`]; `None` for privileged execs.
    pub seccomp: Option<seccomp::Program>,
    /// As [`Launch::user`].
    pub user: String,
    /// As [`Launch::groups`].
    pub groups: Vec<String>,
    /// The process' standard streams.
    pub stdio: Stdio,
    /// An existing folder (0700) of this exec's own.
    pub state_dir: PathBuf,
    /// As [`Launch::exit_record`].
    pub exit_record: PathBuf,
    /// As [`Launch::durability`].
    pub durability: Durability,
}
