//! Which cgroup hierarchies the host has mounted, and where.

use std::path::PathBuf;

use super::Error;

/// A cgroup controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// CPU time.
    Cpu,
    /// CPU time used (version 1 only).
    Cpuacct,
    /// CPUs and memory nodes.
    Cpuset,
    /// Memory.
    Memory,
    /// Number of tasks.
    Pids,
    /// Block I/O: `blkio` on version 1, `io` on version 2.
    BlockIo,
    /// Huge pages.
    Hugetlb,
    /// Device nodes (version 1 only).
    Devices,
    /// Stopping and continuing (version 1 only).
    Freezer,
    /// Class identifiers of packets (version 1 only).
    NetCls,
    /// Priorities of packets (version 1 only).
    NetPrio,
    /// perf_event.
    PerfEvent,
    /// RDMA resources.
    Rdma,
    /// Miscellaneous scalar resources.
    Misc,
}

/// One mounted version 1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its controllers; none for a named hierarchy such as `name=systemd`.
    pub controllers: Vec<Controller>,
    /// The name of a named hierarchy.
    pub name: Option<String>,
}

/// What is mounted on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Version 1 hierarchies, and perhaps a version 2 one without controllers beside them (hybrid).
    V1 {
        /// Every mounted version 1 hierarchy.
        hierarchies: Vec<Hierarchy>,
        /// Mount point of the version 2 hierarchy of a hybrid; it serves `cgroup.kill`.
        unified: Option<PathBuf>,
    },
    /// Version 2 alone.
    V2 {
        /// Where it is mounted.
        mount_point: PathBuf,
    },
}

impl Layout {
    /// Reads `/proc/self/mountinfo`.
    pub fn detect() -> Result<Layout, Error> {
        Err(Error::NotMounted)
    }

    /// The version whose controllers limit containers: 1 or 2.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self {
            Layout::V1 { .. } => 1,
            Layout::V2 { .. } => 2,
        }
    }
}
