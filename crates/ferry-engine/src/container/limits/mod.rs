//! Limits of a container: what was asked for, and how the runtime is told.

mod abilities;
mod change;
mod error;
mod verify;

use std::path::PathBuf;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice, LinuxThrottleDeviceBuilder,
    LinuxWeightDevice, LinuxWeightDeviceBuilder,
};
use serde::{Deserialize, Serialize};

pub(crate) use abilities::Abilities;
pub use change::{ChangeError, Lifted};
pub use error::LimitError;
pub(crate) use verify::Purpose;

/// Limits of a container's processes together. Source: Docker Engine API `Resources`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory and swap.
    pub memory: MemoryLimits,
    /// CPU time, and which CPUs.
    pub cpu: CpuLimits,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Input and output of block devices.
    pub block_io: BlockIoLimits,
}

/// Limits of memory and swap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryLimits {
    /// Memory.
    pub limit_bytes: Option<u64>,
    /// Memory to keep to when the host is short of it.
    pub reservation_bytes: Option<u64>,
    /// Swap.
    pub swap: Swap,
    /// Inclination to swap, 0 to 100.
    pub swappiness: Option<u64>,
    /// What happens when the memory is used up.
    pub oom_killer: OomKiller,
}

/// How much swap there is besides the memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Swap {
    /// As much as memory, if memory is limited.
    #[default]
    AsMemory,
    /// As much as the host has.
    Unlimited,
    /// Memory and swap together.
    WithMemory {
        /// Their sum.
        bytes: u64,
    },
}

/// What happens when a container's memory is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OomKiller {
    /// The kernel kills a process.
    #[default]
    Enabled,
    /// Processes wait until there is memory (cgroup version 1 only).
    Disabled,
}

/// Limits of CPU time, and which CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuLimits {
    /// CPU time in billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// Relative share when CPUs are short; 1024 is the default of all.
    pub shares: Option<u64>,
    /// Length of the period that the quota counts in.
    pub period_us: Option<u64>,
    /// CPU time within a period.
    pub quota_us: Option<u64>,
    /// Period of realtime scheduling.
    pub realtime_period_us: Option<u64>,
    /// CPU time of realtime scheduling within its period.
    pub realtime_runtime_us: Option<u64>,
    /// CPUs such as `0-3,6`; empty for all.
    pub cpus: String,
    /// Memory nodes; empty for all.
    pub mems: String,
}

/// Limits of block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIoLimits {
    /// Relative weight, 10 to 1000.
    pub weight: Option<u16>,
    /// The same for single devices.
    pub weight_device: Vec<DeviceRate>,
    /// Bytes read a second.
    pub read_bps: Vec<DeviceRate>,
    /// Bytes written a second.
    pub write_bps: Vec<DeviceRate>,
    /// Reads a second.
    pub read_iops: Vec<DeviceRate>,
    /// Writes a second.
    pub write_iops: Vec<DeviceRate>,
}

/// A rate or weight of one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    /// The device's node on the host.
    pub path: PathBuf,
    /// The rate or weight.
    pub rate: u64,
}

/// The period that `--cpus` counts in. Source: moby `daemon_unix.go`, `getCPUResources`.
const PERIOD_OF_NANO_CPUS_US: u64 = 100_000;

impl Limits {
    /// Adds them to what the profile has: its rules for devices stay. Looks at the nodes of block devices.
    pub(super) fn apply(&self, resources: &mut LinuxResources) -> Result<(), LimitError> {
        if self.memory != MemoryLimits::default() {
            resources.set_memory(Some(self.memory.to_oci()));
        }
        if self.cpu != CpuLimits::default() {
            resources.set_cpu(Some(self.cpu.to_oci()));
        }
        if let Some(limit) = self.pids {
            let mut pids = LinuxPids::default();
            pids.set_limit(signed(limit));
            resources.set_pids(Some(pids));
        }
        if self.block_io != BlockIoLimits::default() {
            resources.set_block_io(Some(self.block_io.to_oci()?));
        }
        Ok(())
    }
}

impl MemoryLimits {
    fn to_oci(&self) -> LinuxMemory {
        let mut memory = LinuxMemory::default();
        memory.set_limit(self.limit_bytes.map(signed));
        memory.set_reservation(self.reservation_bytes.map(signed));
        memory.set_swap(match self.swap {
            Swap::AsMemory => None,
            Swap::Unlimited => Some(-1),
            Swap::WithMemory { bytes } => Some(signed(bytes)),
        });
        memory.set_swappiness(self.swappiness);
        memory.set_disable_oom_killer((self.oom_killer == OomKiller::Disabled).then_some(true));
        memory
    }
}

impl CpuLimits {
    fn to_oci(&self) -> LinuxCpu {
        let non_empty = |list: &String| Some(list.clone()).filter(|list| !list.is_empty());
        let mut cpu = LinuxCpu::default();
        cpu.set_shares(self.shares);
        cpu.set_period(self.period_us);
        cpu.set_quota(self.quota_us.map(signed));
        if let Some(nano_cpus) = self.nano_cpus {
            cpu.set_period(Some(PERIOD_OF_NANO_CPUS_US));
            cpu.set_quota(Some(signed(nano_cpus / (1_000_000_000 / PERIOD_OF_NANO_CPUS_US))));
        }
        cpu.set_realtime_period(self.realtime_period_us);
        cpu.set_realtime_runtime(self.realtime_runtime_us.map(signed));
        cpu.set_cpus(non_empty(&self.cpus));
        cpu.set_mems(non_empty(&self.mems));
        cpu
    }
}

impl BlockIoLimits {
    fn to_oci(&self) -> Result<LinuxBlockIo, LimitError> {
        let throttles = |devices: &[DeviceRate]| devices.iter().map(throttle).collect::<Result<Vec<_>, _>>().map(Some);
        let weights = self.weight_device.iter().map(weight).collect::<Result<_, _>>()?;
        let mut block_io = LinuxBlockIo::default();
        block_io.set_weight(self.weight);
        block_io.set_weight_device(Some(weights));
        block_io.set_throttle_read_bps_device(throttles(&self.read_bps)?);
        block_io.set_throttle_write_bps_device(throttles(&self.write_bps)?);
        block_io.set_throttle_read_iops_device(throttles(&self.read_iops)?);
        block_io.set_throttle_write_iops_device(throttles(&self.write_iops)?);
        Ok(block_io)
    }
}

fn throttle(device: &DeviceRate) -> Result<LinuxThrottleDevice, LimitError> {
    let (major, minor) = numbers(device)?;
    let made = LinuxThrottleDeviceBuilder::default()
        .major(major)
        .minor(minor)
        .rate(device.rate)
        .build();
    Ok(made.expect("every field is set"))
}

fn weight(device: &DeviceRate) -> Result<LinuxWeightDevice, LimitError> {
    let (major, minor) = numbers(device)?;
    let weight = u16::try_from(device.rate).map_err(|_| LimitError::BlkioWeight)?;
    let made = LinuxWeightDeviceBuilder::default()
        .major(major)
        .minor(minor)
        .weight(weight)
        .build();
    Ok(made.expect("every field that it needs is set"))
}

/// Major and minor number of a block device.
fn numbers(device: &DeviceRate) -> Result<(i64, i64), LimitError> {
    let number = super::device::look(&device.path).map_err(|source| LimitError::Device {
        path: device.path.clone(),
        source,
    })?;
    Ok((i64::from(number.major), i64::from(number.minor)))
}

/// The API's own numbers are signed.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(limits: &Limits) -> serde_json::Value {
        let mut resources = LinuxResources::default();
        resources.set_devices(None);
        limits.apply(&mut resources).expect("limits");
        serde_json::to_value(resources).expect("JSON")
    }

    #[test]
    fn limits_become_the_runtime_s() {
        assert_eq!(resources(&Limits::default()), serde_json::json!({}));
        let limits = Limits {
            memory: MemoryLimits {
                limit_bytes: Some(64 << 20),
                swap: Swap::Unlimited,
                ..Default::default()
            },
            cpu: CpuLimits {
                nano_cpus: Some(1_500_000_000),
                cpus: "0-1".to_owned(),
                ..Default::default()
            },
            pids: Some(10),
            block_io: BlockIoLimits::default(),
        };
        assert_eq!(
            resources(&limits),
            serde_json::json!({
                "memory": {"limit": 64 << 20, "swap": -1},
                "cpu": {"period": 100_000, "quota": 150_000, "cpus": "0-1"},
                "pids": {"limit": 10},
            })
        );
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let limits = Limits {
            block_io: BlockIoLimits {
                read_bps: vec![DeviceRate {
                    path: "/dev/no-such-device".into(),
                    rate: 1,
                }],
                ..Default::default()
            },
            ..Default::default()
        };
        let error = limits.apply(&mut LinuxResources::default()).expect_err("no device");
        assert!(error.to_string().contains("/dev/no-such-device"), "{error}");
    }
}
