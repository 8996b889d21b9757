//! Flags about limits that can be changed later too: memory, CPU, processes, weight of input and output.

use bollard_stubs::models::HostConfig;
use clap::Args;

use crate::failure::{Explain, Failure};
use crate::format::size;

/// Flags about limits that `run` and `create` share with `update`.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Memory limit
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory to keep to when the host is short of it
    #[arg(long, value_name = "BYTES")]
    memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    memory_swap: Option<String>,
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
    /// Period of realtime scheduling (µs)
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<i64>,
    /// CPU time of realtime scheduling within its period (µs)
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<i64>,
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
}

impl Limits {
    /// What they ask for; what was not given is absent.
    pub(crate) fn apply(self, host: &mut HostConfig) -> Result<(), Failure> {
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
        host.nano_cpus = match &self.cpus {
            None => None,
            Some(text) => Some(nano_cpus(text).ok_or_else(|| {
                Failure::new(format!("invalid number of CPUs: {text:?}")).hint("write a number such as 1.5")
            })?),
        };
        host.cpu_shares = self.cpu_shares;
        host.cpu_quota = self.cpu_quota;
        host.cpu_period = self.cpu_period;
        host.cpu_realtime_period = self.cpu_rt_period;
        host.cpu_realtime_runtime = self.cpu_rt_runtime;
        host.cpuset_cpus = self.cpuset_cpus;
        host.cpuset_mems = self.cpuset_mems;
        host.pids_limit = self.pids_limit;
        host.blkio_weight = self.blkio_weight;
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
}
