//! How the kernel is to treat a process: scheduling, I/O priority, memory, CPUs, labels.

use ferry_sys::scheduling::{IoClass, Scheduling};
use oci_spec::runtime::{
    IOPriorityClass, LinuxMemoryPolicy, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, Process, Scheduler,
};
use rustix::thread::CpuSet;

use super::{Error, config};
use crate::container::{MemoryPolicy, Treatment};

/// Reads what a process asks for; what this kernel does not have is an error.
pub(super) fn treatment(process: &Process, memory: Option<&LinuxMemoryPolicy>) -> Result<Treatment, Error> {
    Ok(Treatment {
        scheduling: process.scheduler().as_ref().map(scheduling).transpose()?,
        io_priority: match process.io_priority() {
            Some(priority) => {
                let level = u16::try_from(priority.priority()).ok().filter(|level| *level <= 7);
                let level = level.ok_or_else(|| Error::Config {
                    member: "process.ioPriority",
                    problem: format!("{} is not between 0 and 7", priority.priority()),
                })?;
                Some((io_class(priority.class()), level))
            }
            None => None,
        },
        memory_policy: memory.map(memory_policy).transpose()?,
        cpus: None,
        labels: labels(process)?,
    })
}

/// The CPUs that an exec's process is to run on in the end.
pub(super) fn cpus(process: &Process) -> Result<Option<CpuSet>, Error> {
    let Some(affinity) = process.exec_cpu_affinity() else {
        return Ok(None);
    };
    let list = affinity
        .cpu_affinity_final()
        .as_deref()
        .or(affinity.initial().as_deref());
    list.map(|list| {
        let cpus = list_of_numbers(list).filter(|cpus| cpus.iter().all(|cpu| *cpu < CpuSet::MAX_CPU));
        let cpus = cpus.ok_or_else(|| Error::Config {
            member: "process.execCPUAffinity",
            problem: format!("{list:?} is no list of CPUs"),
        })?;
        let mut set = CpuSet::new();
        cpus.into_iter().for_each(|cpu| set.set(cpu));
        Ok(set)
    })
    .transpose()
}

fn labels(process: &Process) -> Result<Vec<(&'static str, String)>, Error> {
    let asked = |label: &Option<String>| label.clone().filter(|label| !label.is_empty());
    let mut labels = Vec::new();
    if let Some(profile) = asked(process.apparmor_profile()) {
        if !config::apparmor_is_there() {
            return Err(Error::Config {
                member: "process.apparmorProfile",
                problem: "this kernel has no AppArmor".to_owned(),
            });
        }
        labels.push(("attr/apparmor/exec", format!("exec {profile}")));
    }
    if let Some(label) = asked(process.selinux_label()) {
        if !config::selinux_is_there() {
            return Err(Error::Config {
                member: "process.selinuxLabel",
                problem: "this kernel has no SELinux".to_owned(),
            });
        }
        labels.push(("attr/exec", label));
    }
    Ok(labels)
}

fn io_class(class: IOPriorityClass) -> IoClass {
    match class {
        IOPriorityClass::IoprioClassRt => IoClass::RealTime,
        IOPriorityClass::IoprioClassBe => IoClass::BestEffort,
        IOPriorityClass::IoprioClassIdle => IoClass::Idle,
    }
}

/// Numbers of `linux/sched.h`.
fn scheduling(asked: &Scheduler) -> Result<Scheduling, Error> {
    let policy = match asked.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flag = |flag: &LinuxSchedulerFlag| match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    let priority = u32::try_from(asked.priority().unwrap_or(0)).map_err(|_| Error::Config {
        member: "process.scheduler.priority",
        problem: "is negative".to_owned(),
    })?;
    Ok(Scheduling {
        policy,
        flags: asked.flags().iter().flatten().map(flag).sum(),
        nice: asked.nice().unwrap_or(0),
        priority,
        runtime_ns: asked.runtime().unwrap_or(0),
        deadline_ns: asked.deadline().unwrap_or(0),
        period_ns: asked.period().unwrap_or(0),
    })
}

/// Numbers of `linux/mempolicy.h`.
fn memory_policy(asked: &LinuxMemoryPolicy) -> Result<MemoryPolicy, Error> {
    let mode = match asked.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let list = asked.nodes().as_deref().unwrap_or_default();
    let nodes = list_of_numbers(list).filter(|nodes| nodes.iter().all(|node| *node < NODES_MAX));
    let nodes = nodes.ok_or_else(|| Error::Config {
        member: "linux.memoryPolicy.nodes",
        problem: format!("{list:?} is no list of nodes"),
    })?;
    let mut mask = vec![0_u64; nodes.iter().max().map_or(0, |most| most / 64 + 1)];
    nodes.iter().for_each(|node| mask[node / 64] |= 1 << (node % 64));
    Ok(MemoryPolicy {
        mode: mode | asked.flags().iter().flatten().map(flag).sum::<i32>(),
        nodes: mask,
    })
}

/// As many as any kernel is built for.
const NODES_MAX: usize = 1024;

/// `0-2,7` as numbers. Source: cpuset(7), list format.
fn list_of_numbers(list: &str) -> Option<Vec<usize>> {
    const MAX: usize = 1 << 16;
    let mut numbers = Vec::new();
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MAX {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_reads_them() {
        assert_eq!(list_of_numbers("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(list_of_numbers(""), Some(vec![]));
        for bad in ["a", "3-1", "0-", "99999999"] {
            assert_eq!(list_of_numbers(bad), None, "{bad}");
        }
    }
}
