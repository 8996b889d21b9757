//! `events`: what a container uses, in runc's shape.

use std::time::Duration;

use ferry_runtime::bundle::{self, ContainerId, Error, Home};
use ferry_runtime::cgroup::Stats;
use serde_json::{Value, json};

use super::flags::Events;
use super::{Failed, Outcome, print};
use crate::failure::ExitStatus;
use crate::format::when;

pub(super) fn events(home: &Home, events: &Events) -> Outcome {
    let id = ContainerId::parse(&events.id)?;
    let interval = interval(&events.interval)?;
    loop {
        let stats = match bundle::stats(home, &id) {
            // It has ended, and so has its story; for one look that is an error.
            Err(Error::Status { .. } | Error::NotFound { .. }) if !events.stats => return Ok(ExitStatus::SUCCESS),
            stats => stats?,
        };
        let event = json!({"type": "stats", "id": events.id, "data": shape(&stats)});
        print(&format!("{event}\n"))?;
        if events.stats {
            return Ok(ExitStatus::SUCCESS);
        }
        std::thread::sleep(interval);
    }
}

/// Source: runc types/events.go.
fn shape(stats: &Stats) -> Value {
    let cpu = stats.cpu.clone().unwrap_or_default();
    let memory = stats.memory.clone().unwrap_or_default();
    let pids = stats.pids.clone().unwrap_or_default();
    let devices = stats.block_io.clone().unwrap_or_default().devices;
    let entry = |major: u32, minor: u32, op: &str, value: u64| json!({"major": major, "minor": minor, "op": op, "value": value});
    let each = |read: fn(&ferry_runtime::cgroup::BlockDevice) -> (u64, u64)| -> Vec<Value> {
        devices
            .iter()
            .flat_map(|device| {
                let (reads, writes) = read(device);
                [
                    entry(device.major, device.minor, "Read", reads),
                    entry(device.major, device.minor, "Write", writes),
                ]
            })
            .collect()
    };
    json!({
        "cpu": {
            "usage": {"total": cpu.total_ns, "percpu": cpu.per_cpu_ns, "kernel": cpu.system_ns, "user": cpu.user_ns},
            "throttling": {"periods": cpu.periods, "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_ns},
        },
        "memory": {
            "cache": memory.details.get("cache").or(memory.details.get("file")).copied().unwrap_or(0),
            "usage": {"limit": memory.limit_bytes.unwrap_or(u64::MAX), "usage": memory.usage_bytes,
                "max": memory.max_usage_bytes.unwrap_or(0), "failcnt": memory.limit_hits},
            "swap": {"usage": memory.usage_bytes + memory.swap_bytes.unwrap_or(0)},
            "raw": memory.details,
        },
        "pids": {"current": pids.current, "limit": pids.limit.unwrap_or(0)},
        "blkio": {
            "ioServiceBytesRecursive": each(|device| (device.read_bytes, device.write_bytes)),
            "ioServicedRecursive": each(|device| (device.reads, device.writes)),
        },
    })
}

/// `5s`, `1m`, `500ms`, as Go writes them.
fn interval(text: &str) -> Result<Duration, Failed> {
    match when::duration(text).filter(|interval| !interval.is_zero()) {
        Some(interval) => Ok(interval),
        None => Err(Failed::Usage(format!("{text:?} is no duration"))),
    }
}
