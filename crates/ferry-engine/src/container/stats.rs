//! Measures what a container uses: CPU, memory, tasks, block I/O, network.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferry_runtime::cgroup::Stats;
use time::OffsetDateTime;

use super::process::{TICKS_PER_SECOND, read};
use super::{Container, Error, NetworkMode};
use crate::Engine;

/// No file of `/proc` is read further.
const MAX_FILE_LEN: u64 = 1 << 20;

/// What a container that runs has used up to one moment.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// When it was measured.
    pub at: Option<OffsetDateTime>,
    /// What its control group says.
    pub group: Stats,
    /// What went through its interfaces, by their name; none unless it is on a bridge.
    pub interfaces: BTreeMap<String, InterfaceCounters>,
    /// CPU time of the whole host, idle time included.
    pub host_cpu_ns: u64,
    /// CPUs of the host.
    pub cpus: u32,
    /// Memory of the host.
    pub host_memory_bytes: u64,
}

/// What went through an interface since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// What came in.
    pub received: Counters,
    /// What went out.
    pub sent: Counters,
}

/// Traffic in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

impl Engine {
    /// What a container has used so far; `None` if it does not run. Docker Engine API `ContainerStats`.
    pub async fn container_usage(&self, container: &Arc<Container>) -> Result<Option<Usage>, Error> {
        let (engine, container) = (self.clone(), container.clone());
        tokio::task::spawn_blocking(move || engine.measure(&container)).await?
    }

    /// Blocking.
    fn measure(&self, container: &Container) -> Result<Option<Usage>, Error> {
        let before = container.state();
        let Some(pid) = before.pid.filter(|_| before.is_running()) else {
            return Ok(None);
        };
        let group = container.cgroup(self).stats();
        let interfaces = match container.config.options.host.network {
            NetworkMode::Bridge => interfaces(&read(&format!("/proc/{pid}/net/dev"), MAX_FILE_LEN).unwrap_or_default()),
            NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => BTreeMap::new(),
        };
        let after = container.state();
        if (after.is_running(), after.exits) != (true, before.exits) {
            return Ok(None);
        }
        let (host_cpu_ns, cpus) = host_cpu(&read("/proc/stat", MAX_FILE_LEN).unwrap_or_default());
        let memory = rustix::system::sysinfo();
        Ok(Some(Usage {
            at: Some(OffsetDateTime::now_utc()),
            group: group.map_err(ferry_runtime::Error::from)?,
            interfaces,
            host_cpu_ns,
            cpus,
            host_memory_bytes: u64::from(memory.mem_unit) * memory.totalram,
        }))
    }
}

/// The lines of `/proc/net/dev`, without loopback. Source: `proc_pid_net(5)`.
fn interfaces(text: &str) -> BTreeMap<String, InterfaceCounters> {
    let mut interfaces = BTreeMap::new();
    for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .map(|number| number.parse().unwrap_or_default())
            .collect();
        let counters = |first: usize| {
            let number = |at: usize| numbers.get(first + at).copied().unwrap_or_default();
            Counters {
                bytes: number(0),
                packets: number(1),
                errors: number(2),
                dropped: number(3),
            }
        };
        let name = name.trim();
        if name != "lo" {
            let through = InterfaceCounters {
                received: counters(0),
                sent: counters(8),
            };
            interfaces.insert(name.to_owned(), through);
        }
    }
    interfaces
}

/// Time of all CPUs, and how many there are. The first seven times of `/proc/stat` count, as in Docker:
/// a guest's time is in the others. Source: `proc_stat(5)`.
fn host_cpu(text: &str) -> (u64, u32) {
    let ticks = |line: &str| -> u64 {
        let times = line.split_whitespace().skip(1).take(7);
        times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    };
    let all = text
        .lines()
        .find(|line| line.starts_with("cpu "))
        .map(ticks)
        .unwrap_or_default();
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cpus = text.lines().filter(is_one).count();
    (
        all.saturating_mul(1_000_000_000 / TICKS_PER_SECOND),
        u32::try_from(cpus).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_without_loopback() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n  eth0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n";
        let read = interfaces(text);
        assert_eq!(read.len(), 1);
        let numbers = |counters: Counters| [counters.bytes, counters.packets, counters.errors, counters.dropped];
        assert_eq!(
            (numbers(read["eth0"].received), numbers(read["eth0"].sent)),
            ([1, 2, 3, 4], [5, 6, 7, 8])
        );
    }

    #[test]
    fn the_host_s_cpu_time_is_summed() {
        let text = "cpu  1 1 1 1 1 1 1 100 100 100\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5\n";
        assert_eq!(host_cpu(text), (70_000_000, 2));
        assert_eq!(host_cpu(""), (0, 0));
    }
}
