//! What a person asks for when a container is created.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ferry_oci::{Healthcheck, Platform};
use ferry_runtime::FirstProcess;
use ferry_runtime::cgroup::ParentPath;
use serde::{Deserialize, Serialize};

use super::{Adjustable, Device, Limits, NamespaceOptions, RestartPolicy, Security, Tmpfs, Ulimit};

/// A request to create a container; what is absent comes from the image.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContainerOptions {
    /// Name or id of the image.
    pub image: String,
    /// The platform asked for; by default the best that can run here.
    pub platform: Option<Platform>,
    /// First words of the command; `Some` and empty clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The command, or the entry point's arguments.
    pub command: Option<Vec<String>>,
    /// `NAME=value` sets, `NAME` alone removes.
    pub env: Vec<String>,
    /// Absolute path where the command starts.
    pub working_dir: Option<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// Whether the process gets a terminal.
    pub terminal: Terminal,
    /// What feeds the process's standard input.
    pub stdin: StdinMode,
    /// Host name; by default the first 12 digits of the id.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// Labels, on top of the image's.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the process to stop.
    pub stop_signal: Option<String>,
    /// How long to wait after that signal.
    pub stop_timeout: StopTimeout,
    /// How to tell whether it is healthy; what is empty or 0 is the image's.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// What the host gives to the container.
    pub host: HostOptions,
}

/// What the host gives to a container, apart from what the image says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HostOptions {
    /// What becomes of the container when its process ends.
    pub on_exit: OnExit,
    /// Whether it is started again then.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Whether an init starts its command (`--init`).
    #[serde(default)]
    pub first_process: FirstProcess,
    /// Network.
    pub network: NetworkMode,
    /// Folders and files of the host that appear inside.
    pub binds: Vec<Bind>,
    /// Whether the root file system can be written.
    pub root: RootAccess,
    /// How much the container is confined.
    pub confinement: Confinement,
    /// Capabilities on top of the default ones, as they were given.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// Lines `name:address` for `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// What `/etc/resolv.conf` says instead of the host's.
    #[serde(default)]
    pub dns: DnsOptions,
    /// Log of the container's output.
    pub log: LogOptions,
    /// Limits of its processes together.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of each of its processes, in place of the profile's.
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    /// Preference of being killed when the host's memory ends, -1000 to 1000.
    #[serde(default)]
    pub oom_score_adj: i32,
    /// Further groups of its processes, by name or number.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Size of /dev/shm; 64 MiB when absent.
    #[serde(default)]
    pub shm_size_bytes: Option<u64>,
    /// Kernel parameters of its namespaces.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Temporary file systems.
    #[serde(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// How its confinement differs from the profile.
    #[serde(default)]
    pub security: Security,
    /// Which namespaces it has for itself.
    #[serde(default)]
    pub namespaces: NamespaceOptions,
    /// The control group below which it gets its own, instead of the engine's.
    #[serde(default)]
    pub cgroup_parent: Option<ParentPath>,
    /// What is said about it to whoever looks, and to the runtime.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Devices of the host.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Further devices that its processes may use, such as `c 10:200 rwm`.
    #[serde(default)]
    pub device_rules: Vec<String>,
}

impl HostOptions {
    /// What of them can be changed later.
    pub(super) fn adjustable(&self) -> Adjustable {
        Adjustable {
            limits: self.limits.clone(),
            restart: self.restart,
        }
    }

    /// Puts what was changed in the place of what was asked for at first.
    pub fn adjust(&mut self, adjustable: &Adjustable) {
        self.limits.clone_from(&adjustable.limits);
        self.restart = adjustable.restart;
    }
}

/// Name servers and the like; each that is not empty takes the place of the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsOptions {
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// Domains that are tried after a short name; `.` alone means none.
    pub search: Vec<String>,
    /// Options such as `ndots:2`.
    pub options: Vec<String>,
}

/// What becomes of a container when its process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnExit {
    /// It stays, to be started again or inspected.
    #[default]
    Keep,
    /// It is removed (`--rm`); nothing of it need survive a power cut.
    Remove,
}

/// How a container reaches the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The default bridge, with an address of its own and NAT to the outside.
    #[default]
    Bridge,
    /// The host's own network.
    Host,
    /// A loopback interface and nothing else.
    None,
    /// That of the container with this id, or name before it was created.
    Container(String),
}

/// A file or folder of the host that appears inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Whether it can be written inside.
    pub access: RootAccess,
    /// Mount propagation: `rprivate` when absent.
    pub propagation: Option<String>,
    /// What happens when the source does not exist.
    pub missing_source: MissingSource,
}

/// What happens when the source of a bind mount does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingSource {
    /// `-v`: a folder is made, as Docker does.
    #[default]
    Create,
    /// `--mount`: the create fails.
    Refuse,
}

/// Whether something can be written from inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RootAccess {
    #[default]
    ReadWrite,
    ReadOnly,
}

/// How much a container is confined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confinement {
    /// The default profile.
    #[default]
    Default,
    /// `--privileged`: all capabilities and devices, no masks, no seccomp.
    Privileged,
}

/// Whether a process gets a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Terminal {
    /// Standard streams are pipes.
    #[default]
    None,
    /// Standard streams are a pseudo-terminal of this size.
    Pty {
        /// Rows; 0 when not known yet.
        rows: u16,
        /// Columns; 0 when not known yet.
        columns: u16,
    },
}

/// What feeds a container's standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StdinMode {
    /// `/dev/null`.
    #[default]
    Closed,
    /// Open as long as the container runs, whoever is attached.
    Open,
    /// Closed when the first attached client leaves.
    Once,
}

/// How long a stop waits before it kills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopTimeout {
    /// Ten seconds.
    #[default]
    Default,
    /// As long as it takes.
    Never,
    /// This long.
    After(Duration),
}

impl StopTimeout {
    /// The time to wait; `None` without end.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Default => Some(Duration::from_secs(10)),
            Self::Never => None,
            Self::After(duration) => Some(duration),
        }
    }
}

/// Where a container's output goes, besides to whoever is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogOptions {
    /// Nowhere.
    None,
    /// A file of JSON lines, as Docker's `json-file`.
    JsonFile {
        /// A file is rotated when it reaches this size.
        max_size_bytes: u64,
        /// Files that are kept.
        max_files: u32,
        /// What else was asked for.
        #[serde(default)]
        more: FileLog,
    },
}

/// How a log in files is kept and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileLog {
    /// Under which of Docker's names.
    pub driver: FileDriver,
    /// Whether files that are set aside are compressed.
    pub compress: bool,
    /// The options as they were given, for an inspect.
    pub given: BTreeMap<String, String>,
    /// Labels of the container that go with each line.
    pub labels: Vec<String>,
    /// Variables of its environment that go with each line.
    pub env: Vec<String>,
    /// What else does: a template of Docker's, such as `{{.Name}}`.
    pub tag: Option<String>,
}

/// Docker's logging drivers that keep files which can be read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileDriver {
    /// `json-file`
    #[default]
    JsonFile,
    /// `local`
    Local,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self::JsonFile {
            max_size_bytes: 20 << 20,
            max_files: 5,
            more: FileLog::default(),
        }
    }
}
