//! Which limits of containers this host keeps, for whoever asks about the host.

use ferry_runtime::profile::CgroupVersion;

use crate::Engine;

/// What can be limited. Source: Docker Engine API `SystemInfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct KeptLimits {
    /// Memory.
    pub memory: bool,
    /// Swap.
    pub swap: bool,
    /// Share of CPU time, period and quota.
    pub cpu_quota: bool,
    /// Weight of CPU time.
    pub cpu_shares: bool,
    /// CPUs and memory nodes.
    pub cpuset: bool,
    /// Number of processes.
    pub pids: bool,
    /// Whether containers can be spared by the OOM killer.
    pub oom_kill_disable: bool,
    /// Whether the host forwards packets of containers.
    pub ipv4_forwarding: bool,
    /// What is missing, in Docker's words.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Looks at control groups and network. Blocking for some hundred microseconds, the first time.
    pub fn kept_limits(&self) -> KeptLimits {
        let can = self.abilities();
        let is_v1 = self.host().cgroups == CgroupVersion::V1;
        let forwarding = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
        let ipv4_forwarding = forwarding.is_ok_and(|text| text.trim() == "1");
        let missing = [
            (!can.memory, "No memory limit support"),
            (!can.swap, "No swap limit support"),
            (!can.oom_killer && is_v1, "No oom kill disable support"),
            (!can.pids, "No pids limit support"),
            (!can.quota, "No cpu cfs quota support"),
            (!can.quota, "No cpu cfs period support"),
            (!can.shares, "No cpu shares support"),
            (!can.cpuset, "No cpuset support"),
            (!can.weight && is_v1, "No blkio weight support"),
            (!can.weight && !is_v1, "No io.weight support"),
            (!can.weight_device && is_v1, "No blkio weight_device support"),
            (!can.weight_device && !is_v1, "No io.weight (per device) support"),
            (!can.read_bps && is_v1, "No blkio throttle.read_bps_device support"),
            (!can.write_bps && is_v1, "No blkio throttle.write_bps_device support"),
            (!can.read_iops && is_v1, "No blkio throttle.read_iops_device support"),
            (!can.write_iops && is_v1, "No blkio throttle.write_iops_device support"),
            (!can.read_bps && !is_v1, "No io.max (rbps) support"),
            (!can.write_bps && !is_v1, "No io.max (wbps) support"),
            (!can.read_iops && !is_v1, "No io.max (riops) support"),
            (!can.write_iops && !is_v1, "No io.max (wiops) support"),
        ];
        let missing = missing.into_iter().filter(|(is_missing, _)| *is_missing);
        KeptLimits {
            memory: can.memory,
            swap: can.swap,
            cpu_quota: can.quota,
            cpu_shares: can.shares,
            cpuset: can.cpuset,
            pids: can.pids,
            oom_kill_disable: can.oom_killer,
            ipv4_forwarding,
            warnings: missing.map(|(_, words)| format!("WARNING: {words}")).collect(),
        }
    }
}
