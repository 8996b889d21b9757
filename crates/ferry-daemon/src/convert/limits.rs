//! Limits: the API's signed numbers, where 0 is none and −1 sometimes is no limit, to the engine's types and back.

use bollard_stubs::models::{
    ContainerUpdateBody, HostConfig, ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};
use ferry_engine::container::{
    BlockIoLimits, CpuLimits, DeviceRate, Error, Lifted, LimitError, Limits, MemoryLimits, OomKiller, RlimitValue,
    Swap, Ulimit, UpdateOptions,
};

use super::restart;
use crate::error::ApiError;

/// What an update asks for. Docker Engine API `ContainerUpdate`.
pub(crate) fn parse_update(body: ContainerUpdateBody) -> Result<UpdateOptions, ApiError> {
    refuse_unchangeable(&body)?;
    let is_lifted =
        |limit: Option<i64>, none: std::ops::RangeToInclusive<i64>| limit.is_some_and(|limit| none.contains(&limit));
    let lifted = [
        (Lifted::Pids, is_lifted(body.pids_limit, ..=0)),
        (Lifted::CpuQuota, is_lifted(body.cpu_quota, ..=-1)),
    ];
    let host = HostConfig {
        memory: body.memory,
        memory_reservation: body.memory_reservation,
        memory_swap: body.memory_swap,
        nano_cpus: body.nano_cpus,
        cpu_shares: body.cpu_shares,
        cpu_period: body.cpu_period,
        cpu_quota: body.cpu_quota,
        cpu_realtime_period: body.cpu_realtime_period,
        cpu_realtime_runtime: body.cpu_realtime_runtime,
        cpuset_cpus: body.cpuset_cpus,
        cpuset_mems: body.cpuset_mems,
        pids_limit: body.pids_limit,
        blkio_weight: body.blkio_weight,
        ..Default::default()
    };
    Ok(UpdateOptions {
        limits: parse(&host)?,
        restart: restart::parse(body.restart_policy)?,
        lifted: lifted
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(limit, _)| limit)
            .collect(),
    })
}

/// What Docker reads over in an update, with a word instead.
fn refuse_unchangeable(body: &ContainerUpdateBody) -> Result<(), ApiError> {
    fn list<T>(value: Option<&Vec<T>>) -> bool {
        value.is_some_and(|list| !list.is_empty())
    }
    let given = [
        ("BlkioWeightDevice", list(body.blkio_weight_device.as_ref())),
        ("BlkioDeviceReadBps", list(body.blkio_device_read_bps.as_ref())),
        ("BlkioDeviceWriteBps", list(body.blkio_device_write_bps.as_ref())),
        ("BlkioDeviceReadIOps", list(body.blkio_device_read_iops.as_ref())),
        ("BlkioDeviceWriteIOps", list(body.blkio_device_write_iops.as_ref())),
        ("Devices", list(body.devices.as_ref())),
        ("DeviceCgroupRules", list(body.device_cgroup_rules.as_ref())),
        ("DeviceRequests", list(body.device_requests.as_ref())),
        ("Ulimits", list(body.ulimits.as_ref())),
        (
            "CgroupParent",
            body.cgroup_parent.as_ref().is_some_and(|path| !path.is_empty()),
        ),
        (
            "MemorySwappiness",
            body.memory_swappiness.is_some_and(|percent| percent != -1),
        ),
        ("OomKillDisable", body.oom_kill_disable == Some(true)),
        ("Init", body.init == Some(true)),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(ApiError::bad_request(format!(
            "{name} cannot be changed on a container that exists: make it anew"
        ))),
        None => Ok(()),
    }
}

/// The limits that a body asks for. Docker Engine API `Resources`.
pub(super) fn parse(host: &HostConfig) -> Result<Limits, ApiError> {
    read(host).map_err(|error| Error::Limit(error).into())
}

fn read(host: &HostConfig) -> Result<Limits, LimitError> {
    Ok(Limits {
        memory: memory(host)?,
        cpu: cpu(host)?,
        // −1 is no limit, as 0 is.
        pids: host
            .pids_limit
            .and_then(|limit| u64::try_from(limit).ok())
            .filter(|limit| *limit > 0),
        block_io: block_io(host)?,
    })
}

fn memory(host: &HostConfig) -> Result<MemoryLimits, LimitError> {
    Ok(MemoryLimits {
        limit_bytes: positive(host.memory, |_| LimitError::MemoryTooSmall)?,
        reservation_bytes: positive(host.memory_reservation, |_| LimitError::ReservationTooSmall)?,
        swap: match host.memory_swap {
            None | Some(0) => Swap::AsMemory,
            Some(-1) => Swap::Unlimited,
            Some(both) => Swap::WithMemory {
                bytes: u64::try_from(both).map_err(|_| LimitError::Swap(both))?,
            },
        },
        swappiness: match host.memory_swappiness {
            None | Some(-1) => None,
            Some(percent) => Some(u64::try_from(percent).map_err(|_| LimitError::Swappiness(percent))?),
        },
        oom_killer: match host.oom_kill_disable {
            Some(true) => OomKiller::Disabled,
            _ => OomKiller::Enabled,
        },
    })
}

fn cpu(host: &HostConfig) -> Result<CpuLimits, LimitError> {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Ok(CpuLimits {
        nano_cpus: positive(host.nano_cpus, |_| LimitError::NanoCpus(cores()))?,
        shares: positive(host.cpu_shares, LimitError::Shares)?,
        period_us: positive(host.cpu_period, |_| LimitError::Period)?,
        // Negative is no limit, as 0 is.
        quota_us: host
            .cpu_quota
            .and_then(|quota| u64::try_from(quota).ok())
            .filter(|us| *us > 0),
        realtime_period_us: positive(host.cpu_realtime_period, |_| LimitError::Realtime)?,
        realtime_runtime_us: positive(host.cpu_realtime_runtime, |_| LimitError::Realtime)?,
        cpus: host.cpuset_cpus.clone().unwrap_or_default(),
        mems: host.cpuset_mems.clone().unwrap_or_default(),
    })
}

fn block_io(host: &HostConfig) -> Result<BlockIoLimits, LimitError> {
    let rates = |devices: &Option<Vec<ThrottleDevice>>| devices.iter().flatten().map(rate).collect::<Result<_, _>>();
    let weights = host.blkio_weight_device.iter().flatten();
    Ok(BlockIoLimits {
        weight: host.blkio_weight.filter(|weight| *weight != 0),
        weight_device: weights
            .map(|device| DeviceRate {
                path: device.path.clone().unwrap_or_default().into(),
                rate: device.weight.unwrap_or_default() as u64,
            })
            .collect(),
        read_bps: rates(&host.blkio_device_read_bps)?,
        write_bps: rates(&host.blkio_device_write_bps)?,
        read_iops: rates(&host.blkio_device_read_iops)?,
        write_iops: rates(&host.blkio_device_write_iops)?,
    })
}

fn rate(device: &ThrottleDevice) -> Result<DeviceRate, LimitError> {
    let (path, rate) = (device.path.clone().unwrap_or_default(), device.rate.unwrap_or_default());
    match u64::try_from(rate) {
        Ok(rate) => Ok(DeviceRate {
            path: path.into(),
            rate,
        }),
        Err(_) => Err(LimitError::Rate {
            path: path.into(),
            rate,
        }),
    }
}

/// 0 is how clients write what was not asked for.
fn positive(value: Option<i64>, refuse: impl Fn(i64) -> LimitError) -> Result<Option<u64>, LimitError> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) => u64::try_from(value).map(Some).map_err(|_| refuse(value)),
    }
}

/// The limits as an inspect shows them.
pub(super) fn show(limits: &Limits, host: &mut HostConfig) {
    let Limits {
        memory,
        cpu,
        pids,
        block_io,
    } = limits;
    let rates = |devices: &[DeviceRate]| Some(devices.iter().map(throttle).collect());
    host.memory = Some(number(memory.limit_bytes));
    host.memory_reservation = Some(number(memory.reservation_bytes));
    host.memory_swap = Some(match memory.swap {
        Swap::AsMemory => 0,
        Swap::Unlimited => -1,
        Swap::WithMemory { bytes } => number(Some(bytes)),
    });
    host.memory_swappiness = memory.swappiness.map(|percent| number(Some(percent)));
    host.oom_kill_disable = Some(memory.oom_killer == OomKiller::Disabled);
    host.nano_cpus = Some(number(cpu.nano_cpus));
    host.cpu_shares = Some(number(cpu.shares));
    host.cpu_period = Some(number(cpu.period_us));
    host.cpu_quota = Some(number(cpu.quota_us));
    host.cpu_realtime_period = Some(number(cpu.realtime_period_us));
    host.cpu_realtime_runtime = Some(number(cpu.realtime_runtime_us));
    host.cpuset_cpus = Some(cpu.cpus.clone());
    host.cpuset_mems = Some(cpu.mems.clone());
    host.pids_limit = pids.map(|pids| number(Some(pids)));
    host.blkio_weight = Some(block_io.weight.unwrap_or_default());
    host.blkio_weight_device = Some(block_io.weight_device.iter().map(weight_device).collect());
    host.blkio_device_read_bps = rates(&block_io.read_bps);
    host.blkio_device_write_bps = rates(&block_io.write_bps);
    host.blkio_device_read_iops = rates(&block_io.read_iops);
    host.blkio_device_write_iops = rates(&block_io.write_iops);
}

/// A limit of each process; −1 is no limit.
pub(super) fn parse_ulimit(ulimit: &ResourcesUlimits) -> Ulimit {
    let value = |value: Option<i64>| match u64::try_from(value.unwrap_or_default()) {
        Ok(value) => RlimitValue::AtMost(value),
        Err(_) => RlimitValue::Unlimited,
    };
    Ulimit {
        name: ulimit.name.clone().unwrap_or_default(),
        soft: value(ulimit.soft),
        hard: value(ulimit.hard),
    }
}

pub(super) fn show_ulimit(ulimit: &Ulimit) -> ResourcesUlimits {
    let value = |value| match value {
        RlimitValue::AtMost(value) => number(Some(value)),
        RlimitValue::Unlimited => -1,
    };
    ResourcesUlimits {
        name: Some(ulimit.name.clone()),
        soft: Some(value(ulimit.soft)),
        hard: Some(value(ulimit.hard)),
    }
}

fn number(value: Option<u64>) -> i64 {
    value.map_or(0, |value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn throttle(device: &DeviceRate) -> ThrottleDevice {
    ThrottleDevice {
        path: Some(device.path.to_string_lossy().into_owned()),
        rate: Some(number(Some(device.rate))),
    }
}

fn weight_device(device: &DeviceRate) -> ResourcesBlkioWeightDevice {
    ResourcesBlkioWeightDevice {
        path: Some(device.path.to_string_lossy().into_owned()),
        weight: usize::try_from(device.rate).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown_again() {
        let asked = HostConfig {
            memory: Some(64 << 20),
            memory_swap: Some(-1),
            memory_swappiness: Some(0),
            nano_cpus: Some(500_000_000),
            cpuset_cpus: Some("0".to_owned()),
            pids_limit: Some(7),
            blkio_device_read_bps: Some(vec![ThrottleDevice {
                path: Some("/dev/vda".to_owned()),
                rate: Some(1024),
            }]),
            ..Default::default()
        };
        let limits = parse(&asked).expect("limits");
        let mut shown = HostConfig::default();
        show(&limits, &mut shown);
        assert_eq!(shown.memory, asked.memory);
        assert_eq!(shown.memory_swap, asked.memory_swap);
        assert_eq!(shown.memory_swappiness, asked.memory_swappiness);
        assert_eq!(shown.nano_cpus, asked.nano_cpus);
        assert_eq!(shown.cpuset_cpus, asked.cpuset_cpus);
        assert_eq!(shown.pids_limit, asked.pids_limit);
        assert_eq!(shown.blkio_device_read_bps, asked.blkio_device_read_bps);
        assert_eq!(shown.cpu_shares, Some(0));
    }

    #[test]
    fn no_limit_has_several_spellings() {
        let asked = HostConfig {
            memory: Some(0),
            memory_swappiness: Some(-1),
            pids_limit: Some(-1),
            cpu_quota: Some(-1),
            ..Default::default()
        };
        assert_eq!(parse(&asked).expect("limits"), Limits::default());
        let words = |host: HostConfig| parse(&host).expect_err("no limits").message().to_owned();
        let negative = HostConfig {
            memory: Some(-5),
            ..Default::default()
        };
        assert_eq!(words(negative), "Minimum memory limit allowed is 6MB");
        let swappiness = HostConfig {
            memory_swappiness: Some(-2),
            ..Default::default()
        };
        assert_eq!(
            words(swappiness),
            "Invalid value: -2, valid memory swappiness range is 0-100"
        );
    }
}
