//! The doors of this binary that are not the command line: the zygote process and the engine.

use std::path::PathBuf;

use ferry_engine::{EngineOptions, Instance};
use ferry_registry::Proxies;

use crate::failure::{ExitStatus, Failure};

/// Where an engine keeps its files and listens, as asked for on its command line.
#[derive(Debug)]
pub(crate) struct DaemonOptions {
    /// Sockets to listen on, as `unix:///path`; none means `<exec_root>/ferry.sock`.
    pub(crate) hosts: Vec<String>,
    /// Images, layers, records: what survives a boot.
    pub(crate) data_root: PathBuf,
    /// Sockets, locks, monitors: what does not.
    pub(crate) exec_root: PathBuf,
    /// Settings file in dockerd's format.
    pub(crate) config_file: Option<PathBuf>,
}

/// Folders with emulators, besides the usual ones; separated by colons.
const EMULATOR_DIRS: &str = "FERRY_EMULATOR_DIRS";

/// Becomes the zygote, and never returns, when started as one.
///
/// Called before anything else: the zygote forks, so no thread may exist and nothing may be allocated for the command line.
pub(crate) fn zygote_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == ferry_runtime::zygote::ARGV1)
    {
        ferry_runtime::zygote::main();
    }
}

/// Becomes a container's init, and never returns, when started as one by the zygote's copy of this binary.
///
/// Called before any thread exists: the init forks.
pub(crate) fn init_if_asked() {
    if std::env::args_os()
        .next()
        .is_some_and(|name| name == ferry_runtime::init::ARGV0)
    {
        ferry_runtime::init::main();
    }
}

/// Serves the Docker Engine API until asked to end.
pub(crate) fn serve(options: DaemonOptions) -> Result<ExitStatus, Failure> {
    if let Some(path) = &options.config_file {
        return Err(Failure::new(format!(
            "settings files are not supported yet: {}",
            path.display()
        )));
    }
    let emulators = std::env::var_os(EMULATOR_DIRS).unwrap_or_default();
    let options = ferry_daemon::DaemonOptions {
        socket: socket(&options)?,
        engine: EngineOptions {
            instance: Instance::new(options.data_root, options.exec_root),
            emulator_dirs: std::env::split_paths(&emulators)
                .filter(|dir| dir.is_absolute())
                .collect(),
            registry: ferry_registry::Config {
                proxies: proxies(),
                ..ferry_registry::Config::default()
            },
        },
    };
    log_to_stderr();
    match ferry_daemon::serve(options) {
        Ok(()) => Ok(ExitStatus::SUCCESS),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// The proxies that registries are reached through, as curl takes them from the environment.
fn proxies() -> Proxies {
    let variable = |upper: &str, lower: &str| {
        [lower, upper]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
    };
    Proxies {
        http: variable("HTTP_PROXY", "http_proxy"),
        https: variable("HTTPS_PROXY", "https_proxy"),
        no_proxy: variable("NO_PROXY", "no_proxy"),
    }
}

/// What is logged, in `tracing`'s words; `info` by default.
const LOG_FILTER: &str = "FERRY_LOG";

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .with_env_var(LOG_FILTER)
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(filter)
        .init();
}

fn socket(options: &DaemonOptions) -> Result<PathBuf, Failure> {
    match options.hosts.as_slice() {
        [] => Ok(options.exec_root.join("ferry.sock")),
        [host] => match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
            _ => Err(Failure::new(format!(
                "cannot listen on {host:?}: only unix:///path is supported yet"
            ))),
        },
        _ => Err(Failure::new("listening on several sockets is not supported yet")),
    }
}
