//! Which limits this host's control groups can keep.

use ferry_runtime::cgroup::{Controller, Parent, Version};

/// What can be limited here; a limit of another kind is left out with a warning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Abilities {
    pub(crate) memory: bool,
    pub(crate) swap: bool,
    pub(crate) swappiness: bool,
    pub(crate) reservation: bool,
    pub(crate) oom_killer: bool,
    pub(crate) pids: bool,
    pub(crate) shares: bool,
    pub(crate) quota: bool,
    pub(crate) realtime: bool,
    pub(crate) cpuset: bool,
    /// CPUs that there are, as the kernel lists them.
    pub(crate) cpus: String,
    /// Memory nodes that there are.
    pub(crate) mems: String,
    pub(crate) weight: bool,
    pub(crate) weight_device: bool,
    pub(crate) read_bps: bool,
    pub(crate) write_bps: bool,
    pub(crate) read_iops: bool,
    pub(crate) write_iops: bool,
}

impl Abilities {
    /// Looks at the files of the group that containers lie in.
    pub(crate) fn of(parent: &Parent) -> Self {
        use Controller::{BlockIo, Cpu, Cpuset, Memory, Pids};
        let is_v2 = parent.layout().version() == Version::V2;
        let has = |controller, v1: &str, v2: &str| {
            let name = if is_v2 { v2 } else { v1 };
            !name.is_empty() && parent.has_file(controller, name)
        };
        let list = |v1: &str, v2: &str| {
            let text = parent.read_file(Cpuset, if is_v2 { v2 } else { v1 });
            text.map_or_else(String::new, |text| text.trim().to_owned())
        };
        Self {
            memory: has(Memory, "memory.limit_in_bytes", "memory.max"),
            swap: has(Memory, "memory.memsw.limit_in_bytes", "memory.swap.max"),
            swappiness: has(Memory, "memory.swappiness", ""),
            reservation: has(Memory, "memory.soft_limit_in_bytes", "memory.low"),
            oom_killer: has(Memory, "memory.oom_control", ""),
            pids: has(Pids, "pids.max", "pids.max"),
            shares: has(Cpu, "cpu.shares", "cpu.weight"),
            quota: has(Cpu, "cpu.cfs_quota_us", "cpu.max"),
            realtime: has(Cpu, "cpu.rt_runtime_us", ""),
            cpuset: has(Cpuset, "cpuset.cpus", "cpuset.cpus"),
            cpus: list("cpuset.effective_cpus", "cpuset.cpus.effective"),
            mems: list("cpuset.effective_mems", "cpuset.mems.effective"),
            weight: has(BlockIo, "blkio.weight", "io.weight") || has(BlockIo, "blkio.bfq.weight", "io.bfq.weight"),
            weight_device: has(BlockIo, "blkio.weight_device", "io.bfq.weight")
                || has(BlockIo, "blkio.bfq.weight_device", ""),
            read_bps: has(BlockIo, "blkio.throttle.read_bps_device", "io.max"),
            write_bps: has(BlockIo, "blkio.throttle.write_bps_device", "io.max"),
            read_iops: has(BlockIo, "blkio.throttle.read_iops_device", "io.max"),
            write_iops: has(BlockIo, "blkio.throttle.write_iops_device", "io.max"),
        }
    }
}
