//! What a control group has used, in one shape for both versions.

use serde::{Deserialize, Serialize};

/// A sample of all controllers; what the host does not measure is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Option<Cpu>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Tasks.
    pub pids: Option<Pids>,
    /// Block I/O.
    pub block_io: Option<BlockIo>,
}

/// CPU time since the group was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// User and kernel time together.
    pub total_ns: u64,
    /// Time in user mode.
    pub user_ns: u64,
    /// Time in the kernel.
    pub system_ns: u64,
    /// Per CPU; empty on version 2, which does not say.
    pub per_cpu_ns: Vec<u64>,
    /// Scheduling periods that began.
    pub periods: u64,
    /// Periods in which the group ran out of quota.
    pub throttled_periods: u64,
    /// Time that it was held back.
    pub throttled_ns: u64,
}

/// Memory charged to the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// In use now, page cache included.
    pub usage_bytes: u64,
    /// The most that it ever was; version 2 since Linux 5.19.
    pub max_usage_bytes: Option<u64>,
    /// The limit, `None` for none.
    pub limit_bytes: Option<u64>,
    /// Swap in use now, where swap is accounted.
    pub swap_bytes: Option<u64>,
    /// How often an allocation hit the limit.
    pub limit_hits: u64,
    /// The kernel's `memory.stat`, with its own keys.
    pub details: std::collections::BTreeMap<String, u64>,
}

/// Tasks in the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// Tasks now.
    pub current: u64,
    /// The limit, `None` for none.
    pub limit: Option<u64>,
}

/// Block I/O since the group was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    /// One entry a device.
    pub devices: Vec<BlockDevice>,
}

/// Block I/O of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Read operations.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
}
