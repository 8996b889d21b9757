//! What a control group has used, in one shape for both versions.

use std::collections::BTreeMap;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::group::Place;
use super::{Cgroup, Controller, Error, Version, file};

/// A sample of all controllers; what the host does not measure is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Option<Cpu>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Tasks.
    pub pids: Option<Pids>,
    /// Block I/O.
    pub block_io: Option<BlockIo>,
}

/// CPU time since the group was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// User and kernel time together.
    pub total_ns: u64,
    /// Time in user mode.
    pub user_ns: u64,
    /// Time in the kernel.
    pub system_ns: u64,
    /// Per CPU; empty on version 2, which does not say.
    pub per_cpu_ns: Vec<u64>,
    /// Scheduling periods that began.
    pub periods: u64,
    /// Periods in which the group ran out of quota.
    pub throttled_periods: u64,
    /// Time that it was held back.
    pub throttled_ns: u64,
}

/// Memory charged to the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// In use now, page cache included.
    pub usage_bytes: u64,
    /// The most that it ever was; version 2 since Linux 5.19.
    pub max_usage_bytes: Option<u64>,
    /// The limit, `None` for none.
    pub limit_bytes: Option<u64>,
    /// Swap in use now, where swap is accounted.
    pub swap_bytes: Option<u64>,
    /// How often an allocation hit the limit.
    pub limit_hits: u64,
    /// The kernel's `memory.stat`, with its own keys.
    pub details: BTreeMap<String, u64>,
}

/// Tasks in the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// Tasks now.
    pub current: u64,
    /// The limit, `None` for none.
    pub limit: Option<u64>,
}

/// Block I/O since the group was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    /// One entry a device.
    pub devices: Vec<BlockDevice>,
}

/// Block I/O of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Read operations.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
}

impl Cgroup {
    /// What the group has used so far; a controller that the host lacks is `None`.
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats {
            cpu: self.cpu_stats()?,
            memory: self.at(Controller::Memory, Self::memory_stats)?,
            pids: self.at(Controller::Pids, |group, place| {
                Ok(Pids {
                    current: group.number(place, "pids.current")?.unwrap_or_default(),
                    limit: group.number(place, "pids.max")?,
                })
            })?,
            block_io: self.at(Controller::BlockIo, |group, place| {
                let (name, parse): (_, fn(&str) -> BlockIo) = match place.version {
                    Version::V1 => ("blkio.throttle.io_service_bytes_recursive", parse_blkio),
                    Version::V2 => ("io.stat", parse_io_stat),
                };
                let mut block_io = parse(&group.text(place, name)?.unwrap_or_default());
                if place.version == Version::V1 {
                    let operations = group.text(place, "blkio.throttle.io_serviced_recursive")?;
                    add_operations(&mut block_io, &parse_blkio(&operations.unwrap_or_default()));
                }
                Ok(block_io)
            })?,
        })
    }

    /// How often the kernel has killed a process of this group or below for lack of memory.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let count = self.at(Controller::Memory, |group, place| {
            let name = match place.version {
                Version::V1 => "memory.oom_control",
                Version::V2 => "memory.events",
            };
            Ok(table(&group.text(place, name)?.unwrap_or_default()).remove("oom_kill"))
        })?;
        Ok(count.flatten().unwrap_or_default())
    }

    fn cpu_stats(&self) -> Result<Option<Cpu>, Error> {
        let cpu = self.at(Controller::Cpu, |group, place| {
            let mut stat = table(&group.text(place, "cpu.stat")?.unwrap_or_default());
            let mut take = |key, scale| stat.remove(key).unwrap_or_default() * scale;
            Ok(Cpu {
                total_ns: take("usage_usec", 1000),
                user_ns: take("user_usec", 1000),
                system_ns: take("system_usec", 1000),
                per_cpu_ns: Vec::new(),
                periods: take("nr_periods", 1),
                throttled_periods: take("nr_throttled", 1),
                throttled_ns: take("throttled_usec", 1000) + take("throttled_time", 1),
            })
        })?;
        // Version 1 counts time in a controller of its own.
        let used = self.at(Controller::Cpuacct, |group, place| {
            Ok(Cpu {
                total_ns: group.number(place, "cpuacct.usage")?.unwrap_or_default(),
                user_ns: group.number(place, "cpuacct.usage_user")?.unwrap_or_default(),
                system_ns: group.number(place, "cpuacct.usage_sys")?.unwrap_or_default(),
                per_cpu_ns: numbers(&group.text(place, "cpuacct.usage_percpu")?.unwrap_or_default()),
                ..cpu.clone().unwrap_or_default()
            })
        })?;
        Ok(used.or(cpu))
    }

    fn memory_stats(&self, place: Place<'_>) -> Result<Memory, Error> {
        let details = table(&self.text(place, "memory.stat")?.unwrap_or_default());
        Ok(match place.version {
            Version::V1 => Memory {
                usage_bytes: self.number(place, "memory.usage_in_bytes")?.unwrap_or_default(),
                max_usage_bytes: self.number(place, "memory.max_usage_in_bytes")?,
                limit_bytes: self
                    .number(place, "memory.limit_in_bytes")?
                    .filter(|limit| *limit < NO_LIMIT),
                swap_bytes: details.get("total_swap").copied(),
                limit_hits: self.number(place, "memory.failcnt")?.unwrap_or_default(),
                details,
            },
            Version::V2 => Memory {
                usage_bytes: self.number(place, "memory.current")?.unwrap_or_default(),
                max_usage_bytes: self.number(place, "memory.peak")?,
                limit_bytes: self.number(place, "memory.max")?,
                swap_bytes: self.number(place, "memory.swap.current")?,
                limit_hits: table(&self.text(place, "memory.events")?.unwrap_or_default())
                    .remove("max")
                    .unwrap_or_default(),
                details,
            },
        })
    }

    fn at<T>(
        &self,
        controller: Controller,
        read: impl FnOnce(&Self, Place<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.place_of(controller).map(|place| read(self, place)).transpose()
    }

    /// A file's text; `None` where this kernel has no such file.
    fn text(&self, place: Place<'_>, name: &str) -> Result<Option<String>, Error> {
        match self.read(place, name) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::OPNOTSUPP) if self.exists() => Ok(None),
            Err(errno) => Err(file::failed("read", &self.file_path(place, name), errno)),
        }
    }

    /// A file's number; `None` for `max` and where this kernel has no such file.
    fn number(&self, place: Place<'_>, name: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(place, name)? else {
            return Ok(None);
        };
        match text.trim() {
            "max" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| Error::Content {
                path: self.file_path(place, name),
                content: digits.to_owned(),
            }),
        }
    }
}

/// Version 1 shows "no limit" as the greatest number of pages, whose size differs by CPU.
const NO_LIMIT: u64 = 1 << 62;

/// `key value` lines; others are left out.
fn table(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `8:0 Read 4096` lines; the kernel's sums are left out.
fn parse_blkio(text: &str) -> BlockIo {
    let mut block_io = BlockIo::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(at), Some(operation), Some(value)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Some(device), Ok(value)) = (block_io.device(at), value.parse::<u64>()) else {
            continue;
        };
        match operation {
            "Read" => device.read_bytes += value,
            "Write" => device.write_bytes += value,
            _ => {}
        }
    }
    block_io
}

/// Takes operation counts, read as if they were bytes, into the devices.
fn add_operations(block_io: &mut BlockIo, operations: &BlockIo) {
    for counted in &operations.devices {
        let device = block_io.device_at(counted.major, counted.minor);
        device.reads = counted.read_bytes;
        device.writes = counted.write_bytes;
    }
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …` lines.
fn parse_io_stat(text: &str) -> BlockIo {
    let mut block_io = BlockIo::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(device) = words.next().and_then(|at| block_io.device(at)) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            match key {
                "rbytes" => device.read_bytes = value,
                "wbytes" => device.write_bytes = value,
                "rios" => device.reads = value,
                "wios" => device.writes = value,
                _ => {}
            }
        }
    }
    block_io
}

impl BlockIo {
    fn device(&mut self, at: &str) -> Option<&mut BlockDevice> {
        let (major, minor) = at.split_once(':')?;
        Some(self.device_at(major.parse().ok()?, minor.parse().ok()?))
    }

    fn device_at(&mut self, major: u32, minor: u32) -> &mut BlockDevice {
        let known = self
            .devices
            .iter()
            .position(|device| (device.major, device.minor) == (major, minor));
        let place = known.unwrap_or_else(|| {
            self.devices.push(BlockDevice {
                major,
                minor,
                ..BlockDevice::default()
            });
            self.devices.len() - 1
        });
        &mut self.devices[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blkio_of_version_1() {
        let mut block_io = parse_blkio("8:0 Read 4096\n8:0 Write 512\n8:0 Sync 9\n8:16 Write 1\nTotal 4609\n");
        add_operations(&mut block_io, &parse_blkio("8:0 Read 2\n8:0 Write 1\n"));
        assert_eq!(block_io.devices.len(), 2);
        let first = &block_io.devices[0];
        assert_eq!(
            (first.read_bytes, first.write_bytes, first.reads, first.writes),
            (4096, 512, 2, 1)
        );
    }

    #[test]
    fn io_stat_of_version_2() {
        let block_io = parse_io_stat("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n\ngarbage\n");
        let first = &block_io.devices[0];
        assert_eq!(
            (first.read_bytes, first.write_bytes, first.reads, first.writes),
            (1, 2, 3, 4)
        );
        assert_eq!(block_io.devices.len(), 1);
    }

    #[test]
    fn tables_skip_what_they_do_not_understand() {
        let table = table("cache 10\nbroken\nrss x\nswap 0\n");
        assert_eq!(table.len(), 2);
        assert_eq!(table["cache"], 10);
    }
}
