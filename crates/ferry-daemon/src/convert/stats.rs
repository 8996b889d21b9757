//! What a container uses, as the API tells it. Source: Docker Engine API `ContainerStatsResponse`.

use ferry_engine::CgroupVersion;
use ferry_engine::cgroup::{BlockIo, Cpu, Memory};
use ferry_engine::container::{Container, InterfaceCounters, Usage};
use serde_json::{Map, Value, json};

use super::time::rfc3339_or_zero;

/// The message for what is used now; `before` is what was told last, from which clients reckon the CPU's share.
/// Without `now` the container does not run.
pub(crate) fn message(
    container: &Container,
    before: Option<&Usage>,
    now: Option<&Usage>,
    host: CgroupVersion,
) -> Value {
    let mut message = json!({
        "id": container.id.as_str(),
        "name": format!("/{}", container.name()),
        "os_type": "linux",
        "read": rfc3339_or_zero(now.and_then(|usage| usage.at)),
        "preread": rfc3339_or_zero(before.and_then(|usage| usage.at)),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": cpu(now, host),
        "precpu_stats": cpu(before, host),
        "memory_stats": now.map_or_else(|| json!({}), |usage| memory(usage, host)),
        "blkio_stats": block_io(now.and_then(|usage| usage.group.block_io.as_ref()), host),
        "pids_stats": pids(now),
    });
    let networks: Map<String, Value> = now
        .into_iter()
        .flat_map(|usage| &usage.interfaces)
        .map(|(name, counters)| (name.clone(), interface(*counters)))
        .collect();
    if !networks.is_empty() {
        message["networks"] = networks.into();
    }
    message
}

fn cpu(usage: Option<&Usage>, host: CgroupVersion) -> Value {
    let none = Cpu::default();
    let cpu = usage.and_then(|usage| usage.group.cpu.as_ref()).unwrap_or(&none);
    let mut message = json!({
        "cpu_usage": {
            "total_usage": cpu.total_ns,
            "usage_in_kernelmode": cpu.system_ns,
            "usage_in_usermode": cpu.user_ns,
        },
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled_ns,
        },
    });
    if host == CgroupVersion::V1 && !cpu.per_cpu_ns.is_empty() {
        message["cpu_usage"]["percpu_usage"] = json!(cpu.per_cpu_ns);
    }
    if let Some(usage) = usage {
        message["system_cpu_usage"] = usage.host_cpu_ns.into();
        message["online_cpus"] = usage.cpus.into();
    }
    message
}

fn memory(usage: &Usage, host: CgroupVersion) -> Value {
    let none = Memory::default();
    let memory = usage.group.memory.as_ref().unwrap_or(&none);
    let mut message = json!({
        "usage": memory.usage_bytes,
        "limit": memory.limit_bytes.unwrap_or(usage.host_memory_bytes),
        "stats": memory.details,
    });
    if host == CgroupVersion::V1 {
        message["max_usage"] = json!(memory.max_usage_bytes.unwrap_or_default());
        message["failcnt"] = memory.limit_hits.into();
    }
    message
}

fn block_io(block_io: Option<&BlockIo>, host: CgroupVersion) -> Value {
    let (read, write) = match host {
        CgroupVersion::V1 => ("Read", "Write"),
        CgroupVersion::V2 => ("read", "write"),
    };
    let entries = |numbers: fn(&ferry_engine::cgroup::BlockDevice) -> (u64, u64)| -> Value {
        let mut entries = Vec::new();
        for device in block_io.into_iter().flat_map(|block_io| &block_io.devices) {
            let (reads, writes) = numbers(device);
            for (op, value) in [(read, reads), (write, writes)] {
                entries.push(json!({"major": device.major, "minor": device.minor, "op": op, "value": value}));
            }
        }
        entries.into()
    };
    json!({
        "io_service_bytes_recursive": entries(|device| (device.read_bytes, device.write_bytes)),
        "io_serviced_recursive": entries(|device| (device.reads, device.writes)),
        "io_queue_recursive": null,
        "io_service_time_recursive": null,
        "io_wait_time_recursive": null,
        "io_merged_recursive": null,
        "io_time_recursive": null,
        "sectors_recursive": null,
    })
}

fn pids(usage: Option<&Usage>) -> Value {
    match usage.and_then(|usage| usage.group.pids.as_ref()) {
        Some(pids) => json!({
            "current": pids.current,
            // What Docker writes for none.
            "limit": pids.limit.unwrap_or(u64::MAX),
        }),
        None => json!({}),
    }
}

fn interface(counters: InterfaceCounters) -> Value {
    json!({
        "rx_bytes": counters.received.bytes,
        "rx_packets": counters.received.packets,
        "rx_errors": counters.received.errors,
        "rx_dropped": counters.received.dropped,
        "tx_bytes": counters.sent.bytes,
        "tx_packets": counters.sent.packets,
        "tx_errors": counters.sent.errors,
        "tx_dropped": counters.sent.dropped,
    })
}
