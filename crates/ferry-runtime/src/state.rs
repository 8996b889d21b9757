//! What a monitor says about its process.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Errno, Exit};

/// A monitor's process at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its id in the host's pid namespace.
    pub pid: i32,
    /// How far it is.
    pub phase: Phase,
    /// Why some output could not be kept in the log, the first time: a full disk, say.
    #[serde(default)]
    pub log_failed: Option<Errno>,
}

/// How far a monitor's process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Namespaces and root exist, the process waits for [`crate::Monitor::start`].
    Created,
    /// It executes its program.
    Running {
        /// Since when.
        #[serde(with = "time::serde::rfc3339")]
        started_at: OffsetDateTime,
    },
    /// It ended; its output is being drained or was.
    Exited(Exit),
}
