//! Whether limits can be, and which of them this host keeps.
//!
//! The order of the checks and their words are Docker's: moby `daemon_unix.go`,
//! `verifyPlatformContainerResources` and `adaptContainerSettings`.

use std::collections::BTreeSet;

use super::{Abilities, BlockIoLimits, CpuLimits, LimitError, Limits, MemoryLimits, OomKiller, Swap};

const MIN_MEMORY_BYTES: u64 = 6 << 20;

/// Numbers of CPUs and memory nodes are below it. Source: moby `parsers.ParseUintList`.
const MAX_IN_LIST: u32 = 8192;

/// What limits are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// All limits of a new container.
    Create,
    /// Those that are to change.
    Update,
}

impl Limits {
    /// Refuses what cannot be, fills in what follows, and takes out what this host does not keep, with a
    /// warning for each.
    pub(crate) fn verify(&mut self, host: &Abilities, purpose: Purpose) -> Result<Vec<String>, LimitError> {
        let mut warnings = Warnings::default();
        self.memory.verify(host, purpose, &mut warnings)?;
        if self.pids.is_some() && !host.pids {
            self.pids = None;
            warnings.say(
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
            );
        }
        self.cpu.verify(host, &mut warnings)?;
        self.block_io.verify(host, &mut warnings)?;
        Ok(warnings.0)
    }
}

#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn say(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    /// Takes out what is there and has no effect.
    fn discard<T: Default + PartialEq>(&mut self, limit: &mut T, is_kept: bool, text: &str) {
        if *limit != T::default() && !is_kept {
            *limit = T::default();
            self.say(text);
        }
    }
}

impl MemoryLimits {
    fn verify(&mut self, host: &Abilities, purpose: Purpose, warnings: &mut Warnings) -> Result<(), LimitError> {
        if self.limit_bytes.is_some_and(|bytes| bytes < MIN_MEMORY_BYTES) {
            return Err(LimitError::MemoryTooSmall);
        }
        if self.limit_bytes.is_some() && !host.memory {
            self.limit_bytes = None;
            self.swap = Swap::Unlimited;
            warnings.say(
                "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
            );
        }
        if self.limit_bytes.is_some() && self.swap != Swap::Unlimited && !host.swap {
            self.swap = Swap::Unlimited;
            warnings.say(
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
            );
        }
        match (self.limit_bytes, self.swap) {
            (Some(memory), Swap::WithMemory { bytes }) if bytes < memory => return Err(LimitError::SwapBelowMemory),
            // What is not changed was set before.
            _ if purpose == Purpose::Update => {}
            (None, Swap::WithMemory { .. }) => return Err(LimitError::SwapWithoutMemory),
            (Some(memory), Swap::AsMemory) => {
                self.swap = Swap::WithMemory {
                    bytes: memory.saturating_mul(2),
                };
            }
            _ => {}
        }
        warnings.discard(
            &mut self.swappiness,
            host.swappiness,
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        );
        if let Some(swappiness) = self.swappiness.filter(|percent| *percent > 100) {
            return Err(LimitError::Swappiness(super::signed(swappiness)));
        }
        warnings.discard(
            &mut self.reservation_bytes,
            host.reservation,
            "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
        );
        if let Some(reservation) = self.reservation_bytes {
            if reservation < MIN_MEMORY_BYTES {
                return Err(LimitError::ReservationTooSmall);
            }
            if self.limit_bytes.is_some_and(|limit| limit < reservation) {
                return Err(LimitError::ReservationAboveMemory);
            }
        }
        warnings.discard(
            &mut self.oom_killer,
            host.oom_killer,
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
        );
        if self.oom_killer == OomKiller::Disabled && self.limit_bytes.is_none() {
            warnings.say(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
            );
        }
        Ok(())
    }
}

impl CpuLimits {
    fn verify(&mut self, host: &Abilities, warnings: &mut Warnings) -> Result<(), LimitError> {
        if self.nano_cpus.is_some() {
            if self.period_us.is_some() {
                return Err(LimitError::NanoCpusAndPeriod);
            }
            if self.quota_us.is_some() {
                return Err(LimitError::NanoCpusAndQuota);
            }
            if !host.quota {
                return Err(LimitError::NanoCpusUnsupported);
            }
        }
        let cpus = parse_list(&host.cpus).map_or(1, |cpus| cpus.len().max(1)) as u64;
        if self.nano_cpus.is_some_and(|nanos| nanos > cpus * 1_000_000_000) {
            return Err(LimitError::NanoCpus(cpus));
        }
        warnings.discard(
            &mut self.shares,
            host.shares,
            "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
        );
        if (self.period_us.is_some() || self.quota_us.is_some()) && !host.quota {
            (self.period_us, self.quota_us) = (None, None);
            warnings.say("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
        }
        if self.period_us.is_some_and(|us| !(1000..=1_000_000).contains(&us)) {
            return Err(LimitError::Period);
        }
        if self.quota_us.is_some_and(|us| us < 1000) {
            return Err(LimitError::Quota);
        }
        match (self.realtime_period_us, self.realtime_runtime_us) {
            (None, None) => {}
            _ if !host.realtime => return Err(LimitError::RealtimeUnsupported),
            (Some(period), Some(runtime)) if runtime > period => return Err(LimitError::RealtimeRuntime),
            _ => {}
        }
        self.verify_sets(host, warnings)
    }

    fn verify_sets(&mut self, host: &Abilities, warnings: &mut Warnings) -> Result<(), LimitError> {
        if (!self.cpus.is_empty() || !self.mems.is_empty()) && !host.cpuset {
            self.cpus.clear();
            self.mems.clear();
            warnings.say("Your kernel does not support cpuset or the cgroup is not mounted. CPUset discarded.");
        }
        let cpus = parse_list(&self.cpus).ok_or_else(|| LimitError::Cpus(self.cpus.clone()))?;
        if !cpus.is_subset(&parse_list(&host.cpus).unwrap_or_default()) {
            return Err(LimitError::NoSuchCpus {
                requested: self.cpus.clone(),
                available: host.cpus.clone(),
            });
        }
        let mems = parse_list(&self.mems).ok_or_else(|| LimitError::Mems(self.mems.clone()))?;
        if !mems.is_subset(&parse_list(&host.mems).unwrap_or_default()) {
            return Err(LimitError::NoSuchMems {
                requested: self.mems.clone(),
                available: host.mems.clone(),
            });
        }
        Ok(())
    }
}

impl BlockIoLimits {
    fn verify(&mut self, host: &Abilities, warnings: &mut Warnings) -> Result<(), LimitError> {
        warnings.discard(
            &mut self.weight,
            host.weight,
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
        );
        let is_weight = |weight: u64| (10..=1000).contains(&weight);
        if self.weight.is_some_and(|weight| !is_weight(weight.into())) {
            return Err(LimitError::BlkioWeight);
        }
        warnings.discard(
            &mut self.weight_device,
            host.weight_device,
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
        );
        if self.weight_device.iter().any(|device| !is_weight(device.rate)) {
            return Err(LimitError::BlkioWeight);
        }
        warnings.discard(
            &mut self.read_bps,
            host.read_bps,
            "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
        );
        warnings.discard(
            &mut self.write_bps,
            host.write_bps,
            "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.",
        );
        warnings.discard(
            &mut self.read_iops,
            host.read_iops,
            "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
        );
        warnings.discard(
            &mut self.write_iops,
            host.write_iops,
            "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
        );
        // A device that is not there is better named now than at the start.
        self.to_oci().map(|_| ())
    }
}

/// `0-3,6` as a set; an empty list is an empty set. Source: cpuset(7), "List format".
fn parse_list(text: &str) -> Option<BTreeSet<u32>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < MAX_IN_LIST);
    let mut set = BTreeSet::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        set.extend(first..=last);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::super::DeviceRate;
    use super::*;

    const MIB: u64 = 1 << 20;

    fn host() -> Abilities {
        Abilities {
            memory: true,
            swap: true,
            swappiness: true,
            reservation: true,
            oom_killer: true,
            pids: true,
            shares: true,
            quota: true,
            cpuset: true,
            cpus: "0-1".to_owned(),
            mems: "0".to_owned(),
            weight: true,
            ..Default::default()
        }
    }

    fn told(mut limits: Limits) -> String {
        match limits.verify(&host(), Purpose::Create) {
            Ok(warnings) => warnings.join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    fn memory(limit_mib: u64, swap: Swap, reservation_mib: Option<u64>) -> String {
        told(Limits {
            memory: MemoryLimits {
                limit_bytes: Some(limit_mib * MIB).filter(|bytes| *bytes > 0),
                swap,
                reservation_bytes: reservation_mib.map(|mib| mib * MIB),
                ..Default::default()
            },
            ..Default::default()
        })
    }

    #[test]
    fn memory_is_checked_in_docker_s_words() {
        let together = |mib| Swap::WithMemory { bytes: mib * MIB };
        for (told, words) in [
            (memory(6, Swap::AsMemory, Some(6)), ""),
            (
                memory(5, Swap::AsMemory, None),
                "error: Minimum memory limit allowed is 6MB",
            ),
            (
                memory(64, together(63), None),
                "error: Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (memory(64, together(64), None), ""),
            (memory(64, Swap::Unlimited, None), ""),
            (memory(0, Swap::Unlimited, None), ""),
            (
                memory(0, together(64), None),
                "error: You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                memory(64, Swap::AsMemory, Some(5)),
                "error: Minimum memory reservation allowed is 6MB",
            ),
            (
                memory(64, Swap::AsMemory, Some(65)),
                "error: Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
        ] {
            assert_eq!(told, words);
        }
    }

    #[test]
    fn swap_is_as_much_as_memory() {
        let mut limits = Limits::default();
        limits.memory.limit_bytes = Some(64 * MIB);
        limits.verify(&host(), Purpose::Create).expect("limits");
        assert_eq!(limits.memory.swap, Swap::WithMemory { bytes: 128 * MIB });
    }

    #[test]
    fn cpus_are_checked_in_docker_s_words() {
        let cpu = |cpu: CpuLimits| {
            told(Limits {
                cpu,
                ..Default::default()
            })
        };
        let nanos = |nanos| CpuLimits {
            nano_cpus: Some(nanos),
            ..Default::default()
        };
        assert_eq!(cpu(nanos(2_000_000_000)), "");
        assert_eq!(
            cpu(nanos(2_000_000_001)),
            "error: range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
        );
        let both = CpuLimits {
            period_us: Some(1000),
            ..nanos(1)
        };
        assert_eq!(
            cpu(both),
            "error: Conflicting options: Nano CPUs and CPU Period cannot both be set"
        );
        let list = |cpus: &str| CpuLimits {
            cpus: cpus.to_owned(),
            ..Default::default()
        };
        assert_eq!(
            cpu(list("99")),
            "error: Requested CPUs are not available - requested 99, available: 0-1"
        );
        for bad in ["x", "1-0", "0,", "-1", "9999", "0-1-2"] {
            assert_eq!(cpu(list(bad)), format!("error: Invalid value {bad} for cpuset cpus"));
        }
        assert_eq!(cpu(list("0,1")), "");
        let period = CpuLimits {
            period_us: Some(999),
            ..Default::default()
        };
        assert!(cpu(period).contains("CPU cfs period can not be less than 1ms"));
        let realtime = CpuLimits {
            realtime_runtime_us: Some(1),
            ..Default::default()
        };
        assert_eq!(
            cpu(realtime),
            "error: Your kernel does not support CPU real-time scheduler"
        );
    }

    #[test]
    fn what_the_host_does_not_keep_is_a_warning() {
        let mut limits = Limits {
            pids: Some(5),
            block_io: BlockIoLimits {
                weight: Some(100),
                read_bps: vec![DeviceRate {
                    path: "/dev/x".into(),
                    rate: 1,
                }],
                ..Default::default()
            },
            ..Default::default()
        };
        limits.memory.limit_bytes = Some(64 * MIB);
        limits.memory.oom_killer = OomKiller::Disabled;
        let warnings = limits.verify(&Abilities::default(), Purpose::Create).expect("warnings");
        assert_eq!(warnings.len(), 5, "{warnings:?}");
        assert!(warnings[0].starts_with("Your kernel does not support memory limit capabilities"));
        assert_eq!((limits.pids, limits.block_io), (None, BlockIoLimits::default()));
        assert_eq!(limits.memory.swap, Swap::Unlimited);
    }
}
