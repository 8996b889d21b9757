//! What can go wrong with containers of bundles. Engines look for some of these words, which are runc's.

use std::{io, path::PathBuf};

use super::Status;
use crate::{Errno, Fault, StartError};

/// An operation that failed; nothing is left of one that makes something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An id with other characters than letters, digits, `_`, `+`, `-` and `.`, or none, or too many.
    #[error("invalid container ID {id:?}: up to 1024 letters, digits, _, +, - and .")]
    InvalidId {
        /// The id as given.
        id: String,
    },
    /// The id is taken.
    #[error("container with given ID already exists: {id}")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is no such container.
    #[error("container does not exist: {id}")]
    NotFound {
        /// The id.
        id: String,
    },
    /// The operation is not for a container in this state.
    #[error("cannot {operation} container {id}: it is {status}")]
    Status {
        /// The verb.
        operation: &'static str,
        /// The id.
        id: String,
        /// Its state.
        status: Status,
    },
    /// A signal for a container whose process has ended.
    #[error("container not running: {id}")]
    NotRunning {
        /// The id.
        id: String,
    },
    /// A word that is no signal.
    #[error("unknown signal {word:?}")]
    Signal {
        /// The word as given.
        word: String,
    },
    /// A file that is no JSON of the specification's shape.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: serde_json::Error,
    },
    /// A file or folder that cannot be used.
    #[error("{operation} {}: {errno}", path.display())]
    File {
        /// The verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A member of config.json that cannot be right, or cannot be had here.
    #[error("config.json: {member}: {problem}")]
    Config {
        /// Its place, such as `linux.namespaces`.
        member: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The container could not be made.
    #[error(transparent)]
    Launch(#[from] Fault),
    /// Its program could not be executed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its cgroup could not be used.
    #[error(transparent)]
    Cgroup(#[from] crate::cgroup::Error),
    /// Its filter of system calls cannot be made.
    #[error(transparent)]
    Seccomp(#[from] crate::seccomp::CompileError),
    /// The process did not end in time after it was killed.
    #[error("process {pid} of container {id} does not end")]
    DoesNotEnd {
        /// The id.
        id: String,
        /// Its process.
        pid: i32,
    },
    /// The runtime cannot be executed from a place where containers cannot write it.
    #[error("protect the runtime's own program from containers: {source}")]
    Prepare {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |error| Error::File {
            operation,
            path,
            errno: error.into(),
        }
    }
}
