//! Limits that cannot be. Clients and scripts know these words: they are Docker's, capitals and all.

use std::path::PathBuf;

/// A limit that cannot be. Source: moby `daemon_unix.go`, `verifyPlatformContainerResources`.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too little memory.
    #[error("Minimum memory limit allowed is 6MB")]
    MemoryTooSmall,
    /// Swap counts with memory, and is less.
    #[error("Minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapBelowMemory,
    /// Swap without memory.
    #[error("You should always set the Memory limit when using Memoryswap limit, see usage")]
    SwapWithoutMemory,
    /// Neither a size nor −1.
    #[error("invalid memory swap {0}: use -1 for no limit")]
    Swap(i64),
    /// No percentage.
    #[error("Invalid value: {0}, valid memory swappiness range is 0-100")]
    Swappiness(i64),
    /// Too little memory reserved.
    #[error("Minimum memory reservation allowed is 6MB")]
    ReservationTooSmall,
    /// More reserved than may be used.
    #[error("Minimum memory limit can not be less than memory reservation limit, see usage")]
    ReservationAboveMemory,
    /// `--cpus` and `--cpu-period`.
    #[error("Conflicting options: Nano CPUs and CPU Period cannot both be set")]
    NanoCpusAndPeriod,
    /// `--cpus` and `--cpu-quota`.
    #[error("Conflicting options: Nano CPUs and CPU Quota cannot both be set")]
    NanoCpusAndQuota,
    /// The kernel divides no CPU time.
    #[error("NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted")]
    NanoCpusUnsupported,
    /// More CPUs than there are.
    #[error("range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available")]
    NanoCpus(u64),
    /// Less than no share.
    #[error("invalid CPU shares ({0}): value must be a positive integer")]
    Shares(i64),
    /// Out of the kernel's range.
    #[error("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")]
    Period,
    /// Out of the kernel's range.
    #[error("CPU cfs quota can not be less than 1ms (i.e. 1000)")]
    Quota,
    /// The kernel limits no realtime scheduling by group.
    #[error("Your kernel does not support CPU real-time scheduler")]
    RealtimeUnsupported,
    /// Less than none.
    #[error("cpu real-time period and runtime can not be negative")]
    Realtime,
    /// More than all of it.
    #[error("cpu real-time runtime cannot be higher than cpu real-time period")]
    RealtimeRuntime,
    /// No list of CPUs.
    #[error("Invalid value {0} for cpuset cpus")]
    Cpus(String),
    /// CPUs that are not there.
    #[error("Requested CPUs are not available - requested {requested}, available: {available}")]
    NoSuchCpus {
        /// As asked for.
        requested: String,
        /// What there is.
        available: String,
    },
    /// No list of memory nodes.
    #[error("Invalid value {0} for cpuset mems")]
    Mems(String),
    /// Memory nodes that are not there.
    #[error("Requested memory nodes are not available - requested {requested}, available: {available}")]
    NoSuchMems {
        /// As asked for.
        requested: String,
        /// What there is.
        available: String,
    },
    /// Out of range.
    #[error("Range of blkio weight is from 10 to 1000")]
    BlkioWeight,
    /// Less than nothing a second.
    #[error("invalid rate {rate} of the block device {}: it cannot be negative", path.display())]
    Rate {
        /// The device's node.
        path: PathBuf,
        /// As asked for.
        rate: i64,
    },
    /// There is no such device.
    #[error("cannot limit the block device {}: {source}", path.display())]
    Device {
        /// Its node as asked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
