//! How a process ended, as it is told to watchers and kept on disk.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How a container's or an exec's main process ended: the exit record.
///
/// On disk and on watch streams it is one JSON object with `"version":1`; times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Version of the record, [`Exit::VERSION`].
    pub version: u32,
    /// As a shell says it: the process' exit code, or 128 + the signal that killed it.
    pub code: u8,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// Whether the kernel killed something in the container's cgroup for want of memory.
    pub oom_killed: bool,
    /// When the process was started; `None` if it ended before.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When its end was seen.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
}

/// Why there is no usable exit record at a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadExitError {
    /// The file cannot be read.
    #[error("read exit record {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not hold a record.
    #[error("exit record {} is malformed: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: serde_json::Error,
    },
    /// The record is of a version that this release does not know.
    #[error("exit record {} has the unknown version {version}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
}

impl Exit {
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// Reads the record at `path`; `None` if there is no file.
    pub fn read(path: &Path) -> Result<Option<Exit>, ReadExitError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ReadExitError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let exit: Exit = serde_json::from_slice(&bytes).map_err(|source| ReadExitError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        if exit.version != Exit::VERSION {
            return Err(ReadExitError::Version {
                path: path.to_owned(),
                version: exit.version,
            });
        }
        Ok(Some(exit))
    }
}
