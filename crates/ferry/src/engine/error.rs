//! What can go wrong between this client and an engine.

use std::io;
use std::path::PathBuf;

use http::StatusCode;

use super::Address;

/// What can go wrong between this client and an engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers at the address.
    #[error("cannot connect to the engine at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The address names a host that has no address.
    #[error("cannot find the host {host}: {reason}")]
    UnknownHost {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// The engine answered with an error of its own.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The engine's words.
        message: String,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to the engine broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what the API says.
    #[error("cannot understand the engine's answer to {request}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The engine did not give the connection over.
    #[error("the engine did not open a stream for {request}: it answered {status}")]
    NotUpgraded {
        /// Method and path.
        request: String,
        /// What it answered instead of 101.
        status: StatusCode,
    },
    /// A request that cannot be written, as with a line feed in a header.
    #[error("cannot write the request {request}")]
    Unwritable {
        /// Method and path.
        request: String,
        /// Why not.
        #[source]
        source: http::Error,
    },
    /// The engine was started and ended, or does not answer in time.
    #[error("the engine did not start: {reason}{}", log_tail(.tail))]
    NotStarted {
        /// What was seen.
        reason: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A file that starting the engine needs.
    #[error("cannot prepare {} for the engine", path.display())]
    Prepare {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether nobody listens there, so that an engine could be started.
    pub(crate) fn nobody_listens(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused))
    }

    /// The engine's HTTP status, if it answered with an error.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// A remedy, where one is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, address } => Some(match (source.kind(), address) {
                (io::ErrorKind::PermissionDenied, Address::Unix(path)) => {
                    format!("only root and the group of {} may use it", path.display())
                }
                (_, Address::Ssh { .. }) => "is an engine running on that machine?".to_owned(),
                _ => "is the engine running? -H, --context and DOCKER_HOST choose another one".to_owned(),
            }),
            Self::Prepare { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Some(
                "the engine runs as root: start it with sudo, or set FERRY_DATA_ROOT and FERRY_EXEC_ROOT".to_owned(),
            ),
            _ => None,
        }
    }
}

fn log_tail(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!("\n{}", tail.trim_end())
    }
}
