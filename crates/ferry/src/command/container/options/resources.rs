//! Flags about limits: memory, CPU, processes, block devices.

use bollard_stubs::models::{HostConfig, ResourcesUlimits};
use clap::Args;

use super::some;
use crate::failure::{Explain, Failure};
use crate::format::size;

/// Flags about limits.
#[derive(Debug, Args)]
pub(crate) struct Resources {
    /// Memory limit
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory to keep to when the host is short of it
    #[arg(long, value_name = "BYTES")]
    memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory_swap: Option<String>,
    /// Inclination to swap, 0 to 100
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    memory_swappiness: Option<i64>,
    /// Do not kill it when memory ends
    #[arg(long)]
    oom_kill_disable: bool,
    /// Preference of being killed when memory ends, -1000 to 1000
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    oom_score_adj: Option<i64>,
    /// Number of CPUs: 1.5
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    cpus: Option<String>,
    /// Relative share of CPU time
    #[arg(short, long, value_name = "WEIGHT")]
    cpu_shares: Option<i64>,
    /// CPU time within a period (µs)
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Length of a period (µs)
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<i64>,
    /// CPUs to run on: 0-3, 0,2
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Limit of processes; -1 for none
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Relative weight of block input and output, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Limit of the process: nofile=1024:4096
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Parent of its cgroup
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

impl Resources {
    pub(super) fn apply(self, host: &mut HostConfig) -> Result<(), Failure> {
        let bytes = |text: Option<String>, flag: &str| match text {
            None => Ok(None),
            Some(text) if text == "-1" => Ok(Some(-1)),
            Some(text) => size::parse_binary(&text)
                .explain(|| format!("cannot use {flag}"))
                .map(Some),
        };
        host.memory = bytes(self.memory, "--memory")?;
        host.memory_reservation = bytes(self.memory_reservation, "--memory-reservation")?;
        host.memory_swap = bytes(self.memory_swap, "--memory-swap")?;
        host.memory_swappiness = self.memory_swappiness;
        host.oom_kill_disable = self.oom_kill_disable.then_some(true);
        host.oom_score_adj = self.oom_score_adj;
        host.nano_cpus = match &self.cpus {
            None => None,
            Some(text) => Some(nano_cpus(text).ok_or_else(|| {
                Failure::new(format!("invalid number of CPUs: {text:?}")).hint("write a number such as 1.5")
            })?),
        };
        host.cpu_shares = self.cpu_shares;
        host.cpu_quota = self.cpu_quota;
        host.cpu_period = self.cpu_period;
        host.cpuset_cpus = self.cpuset_cpus;
        host.cpuset_mems = self.cpuset_mems;
        host.pids_limit = self.pids_limit;
        host.blkio_weight = self.blkio_weight;
        host.ulimits = some(
            self.ulimit
                .iter()
                .map(|text| read_ulimit(text))
                .collect::<Result<_, _>>()?,
        );
        host.cgroup_parent = self.cgroup_parent;
        Ok(())
    }
}

/// `1.5` as billionths, without the rounding of binary fractions.
fn nano_cpus(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u32 = if whole.is_empty() && !fraction.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    Some(i64::from(whole) * 1_000_000_000 + fraction)
}

fn read_ulimit(text: &str) -> Result<ResourcesUlimits, Failure> {
    let invalid = || Failure::new(format!("invalid ulimit {text:?}")).hint("write NAME=SOFT or NAME=SOFT:HARD");
    let (name, limits) = text.split_once('=').ok_or_else(invalid)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard): (i64, i64) = (
        soft.parse().map_err(|_| invalid())?,
        hard.parse().map_err(|_| invalid())?,
    );
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(Failure::new(format!(
            "invalid ulimit {text:?}: the soft limit is above the hard limit"
        )));
    }
    Ok(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft),
        hard: Some(hard),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_exact() {
        for (text, nanos) in [
            ("1", Some(1_000_000_000)),
            ("0.1", Some(100_000_000)),
            (".5", Some(500_000_000)),
            ("1.5", Some(1_500_000_000)),
            ("-1", None),
            ("x", None),
            ("", None),
            ("1.0000000001", None),
        ] {
            assert_eq!(nano_cpus(text), nanos, "{text}");
        }
    }

    #[test]
    fn ulimits_are_read() {
        let both = |text| read_ulimit(text).ok().map(|u| (u.soft, u.hard));
        assert_eq!(both("nofile=1:2"), Some((Some(1), Some(2))));
        assert_eq!(both("nproc=3"), Some((Some(3), Some(3))));
        assert_eq!(both("core=-1"), Some((Some(-1), Some(-1))));
        assert_eq!(both("core=2:1"), None);
        assert_eq!(both("core"), None);
    }
}
