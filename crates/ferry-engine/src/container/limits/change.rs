//! Changing limits that a container has: which changes go together, in Docker's words.

use oci_spec::runtime::{LinuxBlockIo, LinuxPids, LinuxResources};

use super::{Limits, Swap, signed};

/// A limit that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifted {
    /// Of processes and threads.
    Pids,
    /// Of CPU time within a period.
    CpuQuota,
}

/// A change that does not go with what the container has. Source: moby `container_unix.go`,
/// `UpdateContainer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// `--cpus` after `--cpu-period`.
    #[error("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set")]
    NanoCpusAfterPeriod,
    /// `--cpus` after `--cpu-quota`.
    #[error("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")]
    NanoCpusAfterQuota,
    /// `--cpu-period` after `--cpus`.
    #[error("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set")]
    PeriodAfterNanoCpus,
    /// `--cpu-quota` after `--cpus`.
    #[error("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")]
    QuotaAfterNanoCpus,
    /// A restart policy for a container that is removed when it ends.
    #[error("Restart policy cannot be updated because AutoRemove is enabled for the container")]
    RestartOfRemoved,
    /// More memory than memory and swap together.
    #[error("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")]
    MemoryAboveSwap,
}

impl Limits {
    /// These limits with those of `asked` in their place; what `asked` does not say stays.
    pub(crate) fn changed(&self, asked: &Limits, lifted: &[Lifted]) -> Result<Limits, ChangeError> {
        let (memory, cpu) = (&asked.memory, &asked.cpu);
        for (conflict, error) in [
            (
                cpu.nano_cpus.is_some() && self.cpu.period_us.is_some(),
                ChangeError::NanoCpusAfterPeriod,
            ),
            (
                cpu.nano_cpus.is_some() && self.cpu.quota_us.is_some(),
                ChangeError::NanoCpusAfterQuota,
            ),
            (
                cpu.period_us.is_some() && self.cpu.nano_cpus.is_some(),
                ChangeError::PeriodAfterNanoCpus,
            ),
            (
                cpu.quota_us.is_some() && self.cpu.nano_cpus.is_some(),
                ChangeError::QuotaAfterNanoCpus,
            ),
        ] {
            if conflict {
                return Err(error);
            }
        }
        if let (Some(limit), Swap::AsMemory) = (memory.limit_bytes, memory.swap) {
            match self.memory.swap {
                Swap::WithMemory { bytes } if limit <= bytes => {}
                _ => return Err(ChangeError::MemoryAboveSwap),
            }
        }
        let mut new = self.clone();
        replace(&mut new.memory.limit_bytes, memory.limit_bytes);
        replace(&mut new.memory.reservation_bytes, memory.reservation_bytes);
        if memory.swap != Swap::AsMemory {
            new.memory.swap = memory.swap;
        }
        replace(&mut new.cpu.nano_cpus, cpu.nano_cpus);
        replace(&mut new.cpu.shares, cpu.shares);
        replace(&mut new.cpu.period_us, cpu.period_us);
        replace(&mut new.cpu.quota_us, cpu.quota_us);
        replace(&mut new.cpu.realtime_period_us, cpu.realtime_period_us);
        replace(&mut new.cpu.realtime_runtime_us, cpu.realtime_runtime_us);
        for (list, asked) in [(&mut new.cpu.cpus, &cpu.cpus), (&mut new.cpu.mems, &cpu.mems)] {
            if !asked.is_empty() {
                list.clone_from(asked);
            }
        }
        replace(&mut new.pids, asked.pids);
        replace(&mut new.block_io.weight, asked.block_io.weight);
        for lifted in lifted {
            match lifted {
                Lifted::Pids => new.pids = None,
                Lifted::CpuQuota => new.cpu.quota_us = None,
            }
        }
        Ok(new)
    }

    /// What a running container's group is to be told, so that it comes from `before` to these limits.
    pub(crate) fn since(&self, before: &Limits) -> LinuxResources {
        const NONE: i64 = -1;
        let mut resources = LinuxResources::default();
        resources.set_devices(None);
        if self.memory != before.memory {
            let mut memory = self.memory.to_oci();
            memory.set_swappiness(None).set_disable_oom_killer(None);
            resources.set_memory(Some(memory));
        }
        if self.cpu != before.cpu {
            let mut cpu = self.cpu.to_oci();
            if cpu.quota().is_none() && before.cpu.quota_us.is_some() {
                cpu.set_quota(Some(NONE));
            }
            resources.set_cpu(Some(cpu));
        }
        if self.pids != before.pids {
            let mut pids = LinuxPids::default();
            pids.set_limit(self.pids.map_or(NONE, signed));
            resources.set_pids(Some(pids));
        }
        if self.block_io.weight != before.block_io.weight {
            let mut block_io = LinuxBlockIo::default();
            block_io.set_weight(self.block_io.weight);
            resources.set_block_io(Some(block_io));
        }
        resources
    }
}

fn replace<T>(limit: &mut Option<T>, asked: Option<T>) {
    if asked.is_some() {
        *limit = asked;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CpuLimits, MemoryLimits};
    use super::*;

    const MIB: u64 = 1 << 20;

    fn memory(limit_mib: u64, swap: Swap) -> Limits {
        Limits {
            memory: MemoryLimits {
                limit_bytes: Some(limit_mib * MIB),
                swap,
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn memory_stays_below_memory_and_swap() {
        let both = |mib| Swap::WithMemory { bytes: mib * MIB };
        let had = memory(64, both(128));
        let new = had.changed(&memory(100, Swap::AsMemory), &[]).expect("limits");
        assert_eq!(new.memory, memory(100, both(128)).memory);
        for had in [had, Limits::default(), memory(64, Swap::Unlimited)] {
            let error = had.changed(&memory(200, Swap::AsMemory), &[]);
            assert_eq!(error, Err(ChangeError::MemoryAboveSwap));
            assert!(had.changed(&memory(200, both(300)), &[]).is_ok());
        }
    }

    #[test]
    fn two_ways_to_limit_cpu_time_do_not_mix() {
        let cpu = |cpu: CpuLimits| Limits {
            cpu,
            ..Default::default()
        };
        let nano = cpu(CpuLimits {
            nano_cpus: Some(5),
            ..Default::default()
        });
        let quota = cpu(CpuLimits {
            quota_us: Some(5000),
            ..Default::default()
        });
        assert_eq!(nano.changed(&quota, &[]), Err(ChangeError::QuotaAfterNanoCpus));
        assert_eq!(quota.changed(&nano, &[]), Err(ChangeError::NanoCpusAfterQuota));
        let lifted = quota.changed(&Limits::default(), &[Lifted::CpuQuota]).expect("limits");
        assert_eq!(lifted, Limits::default());
        let told = serde_json::to_value(lifted.since(&quota)).expect("JSON");
        assert_eq!(told, serde_json::json!({"cpu": {"quota": -1}}));
    }

    #[test]
    fn only_what_changes_is_told() {
        let had = memory(64, Swap::Unlimited);
        let mut new = had.clone();
        new.pids = Some(7);
        let told = serde_json::to_value(new.since(&had)).expect("JSON");
        assert_eq!(told, serde_json::json!({"pids": {"limit": 7}}));
        assert_eq!(
            serde_json::to_value(had.since(&new)).expect("JSON"),
            serde_json::json!({"pids": {"limit": -1}})
        );
    }
}
