//! Memory limits: version 2 counts swap alone, version 1 and OCI count it with memory.

use oci_spec::runtime::LinuxMemory;

use super::{Need, Plan};
use crate::cgroup::{Controller, Error, Version};

impl Plan {
    pub(super) fn memory(&mut self, memory: &LinuxMemory, version: Version) -> Result<(), Error> {
        const MEMORY: Controller = Controller::Memory;
        // Zero is how Go's empty value arrives: not asked for.
        let asked = |value: Option<i64>| value.filter(|value| *value != 0);
        let (limit, reservation) = (asked(memory.limit()), asked(memory.reservation()));
        let mut swap = asked(memory.swap());
        if limit == Some(-1) && swap.is_none() {
            // Version 1 keeps memory+swap at or above memory.
            swap = Some(-1);
        }
        if asked(memory.kernel()).is_some() {
            self.ignore("memory.kernel", "the kernel no longer limits kernel memory apart");
        }
        match version {
            Version::V1 => {
                if let Some(limit) = limit {
                    self.limit("memory.limit", MEMORY, "memory.limit_in_bytes", limit, version);
                }
                if let Some(swap) = swap {
                    self.limit("memory.swap", MEMORY, "memory.memsw.limit_in_bytes", swap, version);
                }
                if let Some(reservation) = reservation {
                    self.limit(
                        "memory.reservation",
                        MEMORY,
                        "memory.soft_limit_in_bytes",
                        reservation,
                        version,
                    );
                }
                if let Some(kernel_tcp) = asked(memory.kernel_tcp()) {
                    self.limit(
                        "memory.kernelTCP",
                        MEMORY,
                        "memory.kmem.tcp.limit_in_bytes",
                        kernel_tcp,
                        version,
                    );
                }
                if let Some(swappiness) = memory.swappiness() {
                    self.required("memory.swappiness", MEMORY, "memory.swappiness", swappiness.to_string());
                }
                if let Some(disable) = memory.disable_oom_killer() {
                    let need = if disable { Need::Required } else { Need::WhereItExists };
                    let value = u8::from(disable).to_string();
                    self.add("memory.disableOOMKiller", MEMORY, &["memory.oom_control"], value, need);
                }
            }
            Version::V2 => {
                if let Some(limit) = limit {
                    self.limit("memory.limit", MEMORY, "memory.max", limit, version);
                }
                if let Some(swap) = swap {
                    let swap = swap_alone(swap, limit)?;
                    self.limit("memory.swap", MEMORY, "memory.swap.max", swap, version);
                }
                if let Some(reservation) = reservation {
                    self.limit("memory.reservation", MEMORY, "memory.low", reservation, version);
                }
                if memory.swappiness().is_some() {
                    self.ignore("memory.swappiness", "cgroup version 2 has no swappiness per group");
                }
                if memory.disable_oom_killer() == Some(true) {
                    self.ignore(
                        "memory.disableOOMKiller",
                        "cgroup version 2 cannot disable the OOM killer",
                    );
                }
                if asked(memory.kernel_tcp()).is_some() {
                    self.ignore(
                        "memory.kernelTCP",
                        "cgroup version 2 has no limit of its own for TCP memory",
                    );
                }
            }
        }
        Ok(())
    }
}

/// Swap alone, as version 2 counts, from memory and swap together, as OCI counts.
fn swap_alone(both: i64, memory: Option<i64>) -> Result<i64, Error> {
    let invalid = |reason| {
        Err(Error::InvalidValue {
            field: "memory.swap",
            value: both.to_string(),
            reason,
        })
    };
    match memory {
        _ if both < 0 => Ok(-1),
        None | Some(..0) => invalid("a swap limit needs a memory limit"),
        Some(memory) if both < memory => invalid("memory and swap together are less than memory alone"),
        Some(memory) => Ok(both - memory),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::super::tests::check;
    use super::*;
    use oci_spec::runtime::LinuxResources;

    #[test]
    fn memory_and_swap() {
        check(
            r#"{"memory": {"limit": 67108864, "swap": 134217728, "reservation": 1048576, "swappiness": 10}}"#,
            &[
                "memory.limit_in_bytes=67108864",
                "memory.memsw.limit_in_bytes=134217728",
                "memory.soft_limit_in_bytes=1048576",
                "memory.swappiness=10",
            ],
            &[
                "memory.max=67108864",
                "memory.swap.max=67108864",
                "memory.low=1048576",
                "ignored memory.swappiness",
            ],
        );
        check(
            r#"{"memory": {"limit": -1}}"#,
            &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
            &["memory.max=max", "memory.swap.max=max"],
        );
        check(r#"{"memory": {"limit": 0, "swap": 0, "reservation": 0}}"#, &[], &[]);
        check(
            r#"{"memory": {"disableOOMKiller": true}}"#,
            &["memory.oom_control=1"],
            &["ignored memory.disableOOMKiller"],
        );
    }

    #[test]
    fn swap_needs_a_memory_limit_on_version_2() {
        let resources: LinuxResources = serde_json::from_str(r#"{"memory": {"swap": 5}}"#).unwrap();
        assert!(plan(&resources, |_| Version::V2).is_err());
        let resources: LinuxResources = serde_json::from_str(r#"{"memory": {"limit": 6, "swap": 5}}"#).unwrap();
        assert!(plan(&resources, |_| Version::V2).is_err());
    }
}
