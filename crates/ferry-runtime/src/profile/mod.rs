//! The default profile of every container, as data and small functions over it.
//!
//! Users who move from Docker get exactly the surroundings they had there. Source: Docker Engine
//! 29 for what is a table here; OCI runtime-spec `config.md` and `config-linux.md` for the shapes.

mod devices;
mod mounts;
mod namespaces;
mod paths;
mod sysctl;

pub use devices::{LINKS, NODE_MODE, NODES, Node, PRIVILEGED_RULES, RULES};
pub use mounts::{DEFAULT_SHM_BYTES, mounts};
pub use namespaces::namespaces;
pub use paths::{MASKED, READ_ONLY, masked_on_this_host};
pub use sysctl::{IN_A_PRIVATE_NETWORK, Sysctl, SysctlError};

use std::path::PathBuf;

use oci_spec::runtime::{Linux, LinuxResources, PosixRlimitBuilder, PosixRlimitType, Process, Root, Spec, User};

use crate::capability::{CapabilitySet, CapabilitySets};
use crate::device::Rule;

/// Where programs are looked for when neither image nor user says.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Open files of a process: soft and hard limit.
pub const NOFILE: (u64, u64) = (1024, 524_288);

/// The version of the runtime specification that specs follow.
pub const OCI_VERSION: &str = "1.2.1";

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
    /// Paths hidden besides the table's, from [`masked_on_this_host`].
    pub masked_on_this_host: Vec<String>,
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
    /// Its own, whether or not anything is attached to it.
    #[default]
    Private,
    /// The host's.
    Host,
    /// The one at this path (`/proc/<pid>/ns/net` or a bind mount).
    Path(PathBuf),
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

/// The runtime spec of a container, without its root's path, its user, its own mounts, sysctls and
/// limits, and without seccomp, which is compiled apart ([`crate::seccomp::default_profile`]).
///
/// Pure: reads nothing from the host. A privileged container's capabilities are all that exist;
/// what the engine does not hold itself is left out when they are applied.
#[must_use]
pub fn default_spec(input: &ProfileInput) -> Spec {
    let mut root = Root::default();
    root.set_path(PathBuf::from("rootfs"));
    root.set_readonly(Some(input.root == RootAccess::ReadOnly));
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.to_owned());
    spec.set_root(Some(root));
    spec.set_hostname(input.hostname.clone());
    spec.set_domainname(input.domainname.clone());
    spec.set_process(Some(process(input)));
    spec.set_mounts(Some(mounts(input)));
    spec.set_linux(Some(linux(input)));
    spec
}

/// The capabilities of a container's processes, as long as they run as root.
#[must_use]
pub fn capabilities(input: &ProfileInput) -> CapabilitySet {
    input.capabilities.unwrap_or(match input.confinement {
        Confinement::Default => CapabilitySet::DEFAULT,
        Confinement::Privileged => CapabilitySet::KNOWN,
    })
}

fn process(input: &ProfileInput) -> Process {
    const ROOT_UID: u32 = 0;
    let nofile = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitNofile)
        .soft(NOFILE.0)
        .hard(NOFILE.1)
        .build()
        .expect("the builder has a default for every field");
    let cwd = if input.cwd.is_empty() { "/" } else { &input.cwd };
    let mut process = Process::default();
    process.set_terminal(Some(input.terminal == Terminal::Present));
    process.set_user(User::default());
    process.set_args(Some(input.args.clone()));
    process.set_env(Some(input.env.clone()));
    process.set_cwd(PathBuf::from(cwd));
    let sets = CapabilitySets::for_user(capabilities(input), ROOT_UID);
    process.set_capabilities(Some(sets.to_oci()));
    process.set_rlimits(Some(vec![nofile]));
    process.set_no_new_privileges(Some(input.new_privileges == NewPrivileges::Forbidden));
    process.set_oom_score_adj(Some(0));
    process
}

fn linux(input: &ProfileInput) -> Linux {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let (rules, masked, read_only): (_, Vec<String>, _) = match input.confinement {
        Confinement::Default => {
            let mut masked: Vec<String> = owned(MASKED);
            masked.extend_from_slice(&input.masked_on_this_host);
            (RULES, masked, owned(READ_ONLY))
        }
        Confinement::Privileged => (PRIVILEGED_RULES, Vec::new(), Vec::new()),
    };
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(rules.iter().map(Rule::to_oci).collect()));
    let namespaces = namespaces(input);
    let mut linux = Linux::default();
    linux.set_sysctl(Some(sysctl::defaults(&namespaces)));
    linux.set_namespaces(Some(namespaces));
    linux.set_resources(Some(resources));
    linux.set_devices(Some(Vec::new()));
    linux.set_masked_paths(Some(masked));
    linux.set_readonly_paths(Some(read_only));
    linux.set_seccomp(None);
    linux
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(input: &ProfileInput) -> Value {
        serde_json::to_value(default_spec(input)).unwrap()
    }

    #[test]
    fn a_container_by_default() {
        let spec = spec(&ProfileInput {
            hostname: Some("box".to_owned()),
            args: vec!["true".to_owned()],
            env: vec!["A=b".to_owned()],
            ..ProfileInput::default()
        });
        assert_eq!(spec["hostname"], "box");
        assert_eq!(spec["root"]["readonly"], false);
        let process = &spec["process"];
        assert_eq!(process["args"], json!(["true"]));
        assert_eq!(process["env"], json!(["A=b"]));
        assert_eq!(process["cwd"], "/");
        assert_eq!(process["noNewPrivileges"], false);
        assert_eq!(process["oomScoreAdj"], 0);
        assert_eq!(
            process["rlimits"],
            json!([{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 524_288}])
        );
        for (set, count) in [
            ("bounding", 14),
            ("permitted", 14),
            ("effective", 14),
            ("inheritable", 0),
            ("ambient", 0),
        ] {
            assert_eq!(process["capabilities"][set].as_array().unwrap().len(), count, "{set}");
        }
        let linux = &spec["linux"];
        assert_eq!(linux["maskedPaths"].as_array().unwrap().len(), MASKED.len());
        assert_eq!(linux["readonlyPaths"], json!(READ_ONLY));
        assert_eq!(linux["sysctl"]["net.ipv4.ping_group_range"], "0 2147483647");
        assert_eq!(
            linux["resources"]["devices"][0],
            json!({"allow": false, "type": "a", "access": "rwm"})
        );
        let kinds: Vec<_> = linux["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|own| &own["type"])
            .collect();
        assert_eq!(kinds, ["mount", "uts", "pid", "ipc", "network", "cgroup"]);
        assert!(linux.get("seccomp").is_none());
    }

    #[test]
    fn a_privileged_container_has_no_masks_and_still_inherits_nothing() {
        let spec = spec(&ProfileInput {
            confinement: Confinement::Privileged,
            masked_on_this_host: vec!["/x".to_owned()],
            ..ProfileInput::default()
        });
        assert_eq!(spec["linux"]["maskedPaths"], json!([]));
        assert_eq!(spec["linux"]["readonlyPaths"], json!([]));
        assert_eq!(
            spec["linux"]["resources"]["devices"],
            json!([{"allow": true, "type": "a", "access": "rwm"}])
        );
        let capabilities = &spec["process"]["capabilities"];
        assert_eq!(capabilities["bounding"].as_array().unwrap().len(), 41);
        assert_eq!(capabilities["inheritable"], json!([]));
        assert_eq!(capabilities["ambient"], json!([]));
    }

    #[test]
    fn switches_reach_the_spec() {
        let spec = spec(&ProfileInput {
            terminal: Terminal::Present,
            root: RootAccess::ReadOnly,
            network: Network::Host,
            new_privileges: NewPrivileges::Forbidden,
            masked_on_this_host: vec!["/sys/x".to_owned()],
            cwd: "/srv".to_owned(),
            ..ProfileInput::default()
        });
        assert_eq!(spec["process"]["terminal"], true);
        assert_eq!(spec["process"]["noNewPrivileges"], true);
        assert_eq!(spec["process"]["cwd"], "/srv");
        assert_eq!(spec["root"]["readonly"], true);
        assert_eq!(spec["linux"]["sysctl"], json!({}));
        let masked = spec["linux"]["maskedPaths"].as_array().unwrap();
        assert_eq!(masked.last().unwrap(), "/sys/x");
    }
}
