//! CPU time and sets of CPUs: version 2 has weights where version 1 has shares.

use oci_spec::runtime::LinuxCpu;

use super::{Need, Plan};
use crate::cgroup::{Controller, Version};

impl Plan {
    pub(super) fn cpu(&mut self, cpu: &LinuxCpu, version: Version) {
        const CPU: Controller = Controller::Cpu;
        let shares = cpu.shares().filter(|shares| *shares != 0);
        let quota = cpu.quota().filter(|quota| *quota != 0);
        let period = cpu.period().filter(|period| *period != 0);
        match version {
            Version::V1 => {
                if let Some(shares) = shares {
                    self.required("cpu.shares", CPU, "cpu.shares", shares.to_string());
                }
                if let Some(period) = period {
                    self.required("cpu.period", CPU, "cpu.cfs_period_us", period.to_string());
                }
                if let Some(quota) = quota {
                    self.limit("cpu.quota", CPU, "cpu.cfs_quota_us", quota, version);
                }
                if let Some(burst) = cpu.burst() {
                    self.required("cpu.burst", CPU, "cpu.cfs_burst_us", burst.to_string());
                }
                if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
                    self.required("cpu.realtimePeriod", CPU, "cpu.rt_period_us", period.to_string());
                }
                if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
                    self.required("cpu.realtimeRuntime", CPU, "cpu.rt_runtime_us", runtime.to_string());
                }
            }
            Version::V2 => {
                if let Some(shares) = shares {
                    self.required("cpu.shares", CPU, "cpu.weight", weight_of_shares(shares).to_string());
                }
                if quota.is_some() || period.is_some() {
                    let quota = quota.filter(|quota| *quota > 0);
                    let period = period.unwrap_or(DEFAULT_PERIOD_US);
                    let need = if quota.is_some() {
                        Need::Required
                    } else {
                        Need::WhereItExists
                    };
                    let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
                    self.add("cpu.quota", CPU, &["cpu.max"], format!("{quota} {period}"), need);
                }
                if let Some(burst) = cpu.burst() {
                    self.required("cpu.burst", CPU, "cpu.max.burst", burst.to_string());
                }
                if cpu.realtime_period().is_some_and(|us| us != 0) || cpu.realtime_runtime().is_some_and(|us| us != 0) {
                    self.ignore(
                        "cpu.realtimeRuntime",
                        "cgroup version 2 does not limit realtime scheduling",
                    );
                }
            }
        }
        if let Some(idle) = cpu.idle() {
            self.required("cpu.idle", CPU, "cpu.idle", idle.to_string());
        }
    }

    pub(super) fn cpuset(&mut self, cpu: &LinuxCpu) {
        for (field, file, list) in [
            ("cpu.cpus", "cpuset.cpus", cpu.cpus()),
            ("cpu.mems", "cpuset.mems", cpu.mems()),
        ] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                self.required(field, Controller::Cpuset, file, list.clone());
            }
        }
    }
}

/// The kernel's period when none is given. `cgroup-v2.rst`, `cpu.max`.
const DEFAULT_PERIOD_US: u64 = 100_000;

/// `cpu.weight` (1 to 10000) for `cpu.shares` (2 to 262144), such that the default of one, 1024, is
/// the default of the other, 100, and both ends meet: a quadratic in the logarithm through the
/// three points. The formula that runc and crun agreed on in 2025.
fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // Not more than 18 bits are left, which f64 holds exactly.
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn cpu() {
        check(
            r#"{"cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0-1", "mems": "0"}}"#,
            &[
                "cpu.shares=512",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "cpuset.cpus=0-1",
                "cpuset.mems=0",
            ],
            &[
                "cpu.weight=59",
                "cpu.max=50000 100000",
                "cpuset.cpus=0-1",
                "cpuset.mems=0",
            ],
        );
        check(
            r#"{"cpu": {"quota": -1}}"#,
            &["cpu.cfs_quota_us=-1"],
            &["cpu.max=max 100000"],
        );
        check(
            r#"{"cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": ""}}"#,
            &[],
            &[],
        );
        check(
            r#"{"cpu": {"realtimeRuntime": 950000}}"#,
            &["cpu.rt_runtime_us=950000"],
            &["ignored cpu.realtimeRuntime"],
        );
    }

    #[test]
    fn shares_keep_their_ends_and_their_default() {
        for (shares, weight) in [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000)] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let weights: Vec<u64> = (2..262_144).step_by(100).map(weight_of_shares).collect();
        assert!(weights.is_sorted());
    }
}
