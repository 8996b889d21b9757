//! The doors of this binary that are not the command line: the zygote process and the engine.

use std::path::PathBuf;

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

/// Becomes the zygote, and never returns, when started as one.
///
/// Called before anything else: the zygote forks, so no thread may exist and nothing may be allocated for the command line.
pub(crate) fn zygote_if_asked() {}

/// Serves the Docker Engine API until asked to end.
pub(crate) fn serve(options: DaemonOptions) -> Result<ExitStatus, Failure> {
    Err(Failure::new(format!(
        "this binary was built without an engine: cannot serve {options:?}"
    )))
}
