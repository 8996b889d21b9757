//! The runtime's verbs and flags, named as runc's.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Runs containers of OCI bundles, for engines that execute a runtime.
#[derive(Debug, Parser)]
#[command(
    name = "ferry-runtime",
    version = VERSION,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Runtime {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// As engines read it from runc. Source: Docker Engine, parseRuntimeVersion.
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    "\ncommit: v",
    env!("CARGO_PKG_VERSION"),
    "\nspec: 1.2.1"
);

/// What every verb understands.
#[derive(Debug, Args)]
pub(super) struct Globals {
    /// Folder of containers' state, on a tmpfs
    #[arg(long, value_name = "FOLDER", default_value = "/run/ferry-runtime")]
    pub(super) root: PathBuf,
    /// File that errors and warnings are written to besides
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// How they are written there
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// Log more
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = crate::cli::go_bool)]
    pub(super) debug: bool,
    /// Not supported: cgroups are made without systemd
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = crate::cli::go_bool)]
    pub(super) systemd_cgroup: bool,
    /// Accepted for runc's sake
    #[arg(long, hide = true, value_name = "MODE")]
    pub(super) rootless: Option<String>,
    /// Accepted for runc's sake
    #[arg(long, hide = true, value_name = "FILE")]
    pub(super) criu: Option<String>,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a container whose process waits
    Create(Create),
    /// Let the process of a created container become its program
    Start(One),
    /// Print a container's state
    State(One),
    /// Send a signal to a container's process
    Kill(Kill),
    /// Take away a container that has ended
    Delete(Delete),
    /// Execute a further process in a container
    Exec(Exec),
    /// Create, start, wait and delete
    Run(Run),
    /// List containers
    List(List),
    /// List a container's processes
    Ps(Ps),
    /// Print what a container uses
    Events(Events),
    /// Change a container's limits
    Update(Update),
    /// Stop a container's processes
    Pause(One),
    /// Let them go on
    Resume(One),
    /// Print what this runtime can do
    Features,
    /// Write a config.json to begin with
    Spec(Spec),
    /// Not supported
    #[command(hide = true)]
    Checkpoint(Rest),
    /// Not supported
    #[command(hide = true)]
    Restore(Rest),
}

#[derive(Debug, Args)]
pub(super) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The container
    pub(super) id: String,
}

/// `create`
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Folder of config.json
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub(super) bundle: PathBuf,
    /// Socket that a terminal is sent to
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// Another socket for the process itself; not supported
    #[arg(long, hide = true, value_name = "SOCKET")]
    pub(super) pidfd_socket: Option<PathBuf>,
    /// File that will hold the number of the process
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// Accepted: where a root cannot be replaced it is changed without being told
    #[arg(long)]
    pub(super) no_pivot: bool,
    /// Accepted: each process has a session keyring of its own
    #[arg(long)]
    pub(super) no_new_keyring: bool,
    /// How many descriptors after the standard streams the program gets too
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=1024))]
    pub(super) preserve_fds: i32,
    /// The container
    pub(super) id: String,
}

/// `run`
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) create: Create,
    /// Leave it running
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Leave it when it has ended
    #[arg(long)]
    pub(super) keep: bool,
    /// Accepted for runc's sake
    #[arg(long, hide = true)]
    pub(super) no_subreaper: bool,
}

/// `kill`
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// Every process of the container
    #[arg(short, long)]
    pub(super) all: bool,
    /// The container
    pub(super) id: String,
    /// Number or name
    #[arg(default_value = "SIGTERM")]
    pub(super) signal: String,
}

/// `delete`
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Kill it first
    #[arg(short, long)]
    pub(super) force: bool,
    /// The containers
    #[arg(required = true)]
    pub(super) id: Vec<String>,
}

/// `exec`
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Socket that a terminal is sent to
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// Another socket for the process itself; not supported
    #[arg(long, hide = true, value_name = "SOCKET")]
    pub(super) pidfd_socket: Option<PathBuf>,
    /// File with the process in JSON
    #[arg(short, long, value_name = "FILE")]
    pub(super) process: Option<PathBuf>,
    /// File that will hold the number of the process
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// Leave it running
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Working directory
    #[arg(long, value_name = "FOLDER")]
    pub(super) cwd: Option<PathBuf>,
    /// More environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Ids
    #[arg(short, long, value_name = "UID[:GID]")]
    pub(super) user: Option<String>,
    /// Supplementary groups
    #[arg(short = 'g', long, value_name = "GID")]
    pub(super) additional_gids: Vec<u32>,
    /// More capabilities
    #[arg(short, long, value_name = "CAPABILITY")]
    pub(super) cap: Vec<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub(super) no_new_privs: bool,
    /// AppArmor's profile
    #[arg(long, value_name = "PROFILE")]
    pub(super) apparmor: Option<String>,
    /// SELinux' label
    #[arg(long, value_name = "LABEL")]
    pub(super) process_label: Option<String>,
    /// How many descriptors after the standard streams the program gets too
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=1024))]
    pub(super) preserve_fds: i32,
    /// Not supported: the process is in the container's own cgroup
    #[arg(long, hide = true, value_name = "PATH")]
    pub(super) cgroup: Vec<String>,
    /// Accepted: a container that is paused has none executed
    #[arg(long, hide = true)]
    pub(super) ignore_paused: bool,
    /// Accepted for runc's sake
    #[arg(long, hide = true)]
    pub(super) no_subreaper: bool,
    /// The container
    pub(super) id: String,
    /// Program and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
}

/// `list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
    /// Ids alone
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// `ps`
#[derive(Debug, Args)]
pub(super) struct Ps {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
    /// The container
    pub(super) id: String,
    /// Options of ps(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) options: Vec<String>,
}

/// `events`
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Once, and no more
    #[arg(long)]
    pub(super) stats: bool,
    /// Seconds between two
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(super) interval: String,
    /// The container
    pub(super) id: String,
}

/// `spec`
#[derive(Debug, Args)]
pub(super) struct Spec {
    /// Folder that config.json is written to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub(super) bundle: PathBuf,
    /// For the calling user, in a user namespace
    #[arg(long)]
    pub(super) rootless: bool,
}

/// `update`
#[derive(Debug, Args)]
pub(super) struct Update {
    /// File with limits in JSON; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(super) resources: Option<String>,
    /// Block I/O weight, 10 to 1000
    #[arg(long, value_name = "N")]
    pub(super) blkio_weight: Option<u16>,
    /// Microseconds
    #[arg(long, value_name = "N")]
    pub(super) cpu_period: Option<u64>,
    /// Microseconds in each period
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) cpu_quota: Option<i64>,
    /// Microseconds that may be saved up
    #[arg(long, value_name = "N")]
    pub(super) cpu_burst: Option<u64>,
    /// Relative weight
    #[arg(long, value_name = "N", visible_alias = "cpu-shares")]
    pub(super) cpu_share: Option<u64>,
    /// Realtime microseconds
    #[arg(long, value_name = "N")]
    pub(super) cpu_rt_period: Option<u64>,
    /// Realtime microseconds in each period
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) cpu_rt_runtime: Option<i64>,
    /// CPUs
    #[arg(long, value_name = "LIST")]
    pub(super) cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    pub(super) cpuset_mems: Option<String>,
    /// Whether it runs only when nobody else wants to
    #[arg(long, value_name = "0|1")]
    pub(super) cpu_idle: Option<i64>,
    /// Memory
    #[arg(short, long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(super) memory: Option<String>,
    /// Memory that is left longest
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(super) memory_reservation: Option<String>,
    /// Memory and swap
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(super) memory_swap: Option<String>,
    /// Without effect since Linux 5.16
    #[arg(long, hide = true, value_name = "BYTES", allow_negative_numbers = true)]
    pub(super) kernel_memory: Option<String>,
    /// Without effect since Linux 5.16
    #[arg(long, hide = true, value_name = "BYTES", allow_negative_numbers = true)]
    pub(super) kernel_memory_tcp: Option<String>,
    /// Processes
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) pids_limit: Option<i64>,
    /// The container
    pub(super) id: String,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_names_the_specification() {
        assert!(super::VERSION.ends_with(&format!("spec: {}", ferry_runtime::profile::OCI_VERSION)));
    }
}
