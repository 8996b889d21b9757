//! Flags about limits: memory, CPU, processes, block devices.

use bollard_stubs::models::{HostConfig, ResourcesUlimits};
use clap::Args;

use super::limits::Limits;
use super::some;
use crate::failure::Failure;

/// Flags about limits.
#[derive(Debug, Args)]
pub(crate) struct Resources {
    #[command(flatten)]
    limits: Limits,
    /// Inclination to swap, 0 to 100
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    memory_swappiness: Option<i64>,
    /// Do not kill it when memory ends
    #[arg(long)]
    oom_kill_disable: bool,
    /// Preference of being killed when memory ends, -1000 to 1000
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    oom_score_adj: Option<i64>,
    /// Limit of the process: nofile=1024:4096
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Parent of its cgroup
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

impl Resources {
    pub(super) fn apply(self, host: &mut HostConfig) -> Result<(), Failure> {
        self.limits.apply(host)?;
        host.memory_swappiness = self.memory_swappiness;
        host.oom_kill_disable = self.oom_kill_disable.then_some(true);
        host.oom_score_adj = self.oom_score_adj;
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
    fn ulimits_are_read() {
        let both = |text| read_ulimit(text).ok().map(|u| (u.soft, u.hard));
        assert_eq!(both("nofile=1:2"), Some((Some(1), Some(2))));
        assert_eq!(both("nproc=3"), Some((Some(3), Some(3))));
        assert_eq!(both("core=-1"), Some((Some(-1), Some(-1))));
        assert_eq!(both("core=2:1"), None);
        assert_eq!(both("core"), None);
    }
}
