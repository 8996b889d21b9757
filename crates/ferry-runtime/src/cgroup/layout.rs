//! Which cgroup hierarchies the host has mounted, and where.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Error, file};

/// Where this process sees its mounts. Source: `proc_pid_mountinfo(5)`.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A cgroup controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// CPU time.
    Cpu,
    /// CPU time used (version 1 only).
    Cpuacct,
    /// CPUs and memory nodes.
    Cpuset,
    /// Memory.
    Memory,
    /// Number of tasks.
    Pids,
    /// Block I/O: `blkio` on version 1, `io` on version 2.
    BlockIo,
    /// Huge pages.
    Hugetlb,
    /// Device nodes (version 1 only; version 2 has an eBPF program).
    Devices,
    /// Stopping and continuing (version 1 only; part of version 2 itself).
    Freezer,
    /// Class identifiers of packets (version 1 only).
    NetCls,
    /// Priorities of packets (version 1 only).
    NetPrio,
    /// Performance events per group.
    PerfEvent,
    /// RDMA resources.
    Rdma,
    /// Miscellaneous scalar resources.
    Misc,
}

/// The kernel's names of the controllers; block I/O has one a version.
const NAMES: &[(&str, Controller)] = &[
    ("cpu", Controller::Cpu),
    ("cpuacct", Controller::Cpuacct),
    ("cpuset", Controller::Cpuset),
    ("memory", Controller::Memory),
    ("pids", Controller::Pids),
    ("blkio", Controller::BlockIo),
    ("io", Controller::BlockIo),
    ("hugetlb", Controller::Hugetlb),
    ("devices", Controller::Devices),
    ("freezer", Controller::Freezer),
    ("net_cls", Controller::NetCls),
    ("net_prio", Controller::NetPrio),
    ("perf_event", Controller::PerfEvent),
    ("rdma", Controller::Rdma),
    ("misc", Controller::Misc),
];

/// A cgroup version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// One hierarchy a controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Whose rules it follows.
    pub version: Version,
    /// The controllers that it offers; none for a named one such as `name=systemd`.
    pub controllers: Vec<Controller>,
}

/// The hierarchies that containers get a group in: all of version 1, or the one of version 2.
///
/// On a hybrid host, which has both, version 2 is left out: it has next to no controllers there, and
/// entering one of its groups by `cgroup.procs` takes a lock that waits for an RCU grace period
/// after a pause (median 6 µs, but 13 to 20 ms in one of a hundred), while `tasks` of version 1
/// takes none for the caller itself (6 µs a hierarchy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    hierarchies: Vec<Hierarchy>,
}

impl Controller {
    /// The kernel's name in `version`.
    #[must_use]
    pub fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Controller::BlockIo, Version::V2) => "io",
            _ => NAMES
                .iter()
                .find(|(_, controller)| *controller == self)
                .map_or("", |(name, _)| name),
        }
    }

    /// The controller that the kernel calls `name`, in either version.
    #[must_use]
    pub fn named(name: &str) -> Option<Controller> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, controller)| *controller)
    }
}

impl Layout {
    /// Reads this process's mounts, and which controllers a version 2 hierarchy offers.
    pub fn detect() -> Result<Layout, Error> {
        let mounted = mounted()?;
        match mounted.iter().any(|hierarchy| hierarchy.version == Version::V1) {
            true => Layout::new(of_version(mounted, Version::V1)),
            false => Layout::new(mounted),
        }
    }

    /// The version 2 hierarchy, also of a hybrid host.
    #[cfg(test)]
    pub(super) fn detect_unified() -> Result<Layout, Error> {
        Layout::new(of_version(mounted()?, Version::V2))
    }

    /// A layout of these hierarchies.
    pub fn new(hierarchies: Vec<Hierarchy>) -> Result<Layout, Error> {
        if hierarchies.is_empty() {
            return Err(Error::NotMounted);
        }
        Ok(Layout { hierarchies })
    }

    /// The hierarchies.
    #[must_use]
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The version whose controllers limit containers: 2 only where there is no version 1.
    #[must_use]
    pub fn version(&self) -> Version {
        if self
            .hierarchies
            .iter()
            .all(|hierarchy| hierarchy.version == Version::V2)
        {
            Version::V2
        } else {
            Version::V1
        }
    }

    /// Where a controller lives: its place in [`Self::hierarchies`].
    #[must_use]
    pub fn find(&self, controller: Controller) -> Option<usize> {
        self.hierarchies
            .iter()
            .position(|hierarchy| hierarchy.controllers.contains(&controller))
    }

    /// Place of the version 2 hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<usize> {
        self.hierarchies
            .iter()
            .position(|hierarchy| hierarchy.version == Version::V2)
    }
}

fn of_version(mut hierarchies: Vec<Hierarchy>, version: Version) -> Vec<Hierarchy> {
    hierarchies.retain(|hierarchy| hierarchy.version == version);
    hierarchies
}

/// Every mounted hierarchy with its controllers.
fn mounted() -> Result<Vec<Hierarchy>, Error> {
    let mountinfo = std::fs::read_to_string(MOUNTINFO).map_err(|error| Error::File {
        operation: "read".to_owned(),
        path: PathBuf::from(MOUNTINFO),
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    let mut hierarchies = parse_mountinfo(&mountinfo);
    for hierarchy in &mut hierarchies {
        if hierarchy.version == Version::V2 {
            let names = file::read(&hierarchy.mount_point.join("cgroup.controllers"))?;
            let names = names.split_whitespace();
            hierarchy.controllers = names.filter_map(Controller::named).collect();
        }
    }
    Ok(hierarchies)
}

/// Hierarchies named in mountinfo; the first mount of each counts.
fn parse_mountinfo(mountinfo: &str) -> Vec<Hierarchy> {
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for line in mountinfo.lines() {
        let Some((head, tail)) = line.split_once(" - ") else {
            continue;
        };
        let Some(mount_point) = head.split(' ').nth(4) else {
            continue;
        };
        let mut tail = tail.split(' ');
        let (kind, options) = (tail.next().unwrap_or_default(), tail.nth(1).unwrap_or_default());
        let version = match kind {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        // A version 1 hierarchy is told by its options, whatever their order; version 2 is one.
        let identity = if version == Version::V2 { "cgroup2" } else { options };
        if seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        hierarchies.push(Hierarchy {
            mount_point: unescape(mount_point),
            version,
            controllers: match version {
                Version::V1 => options.split(',').filter_map(Controller::named).collect(),
                Version::V2 => Vec::new(),
            },
        });
    }
    hierarchies
}

/// Undoes mountinfo's octal escapes of space, tab, line feed and backslash.
fn unescape(field: &str) -> PathBuf {
    let mut path = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        path.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                path.push('\\');
                rest = after;
            }
        }
    }
    path.push_str(rest);
    Path::new(&path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 30 0:22 / /sys rw,nosuid - sysfs sysfs rw
31 25 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
34 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
36 31 0:29 / /elsewhere/memory rw - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host_has_both_versions() {
        let mounted = parse_mountinfo(HYBRID);
        assert_eq!(mounted.len(), 4);
        assert_eq!(
            of_version(mounted.clone(), Version::V2)[0].mount_point,
            Path::new("/sys/fs/cgroup/unified")
        );
        let layout = Layout::new(of_version(mounted, Version::V1)).unwrap();
        assert_eq!(layout.version(), Version::V1);
        assert_eq!(layout.find(Controller::Cpuacct), Some(0));
        assert_eq!(layout.find(Controller::Memory), Some(1));
        assert_eq!(layout.find(Controller::Pids), None);
        assert_eq!(layout.unified(), None);
        assert!(layout.hierarchies()[2].controllers.is_empty());
    }

    #[test]
    fn version_2_alone() {
        let line = "35 31 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
        let layout = Layout::new(parse_mountinfo(line)).unwrap();
        assert_eq!(layout.version(), Version::V2);
        assert_eq!(layout.hierarchies()[0].mount_point, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn no_hierarchy_is_an_error() {
        assert!(matches!(
            Layout::new(parse_mountinfo("garbage\n\n")),
            Err(Error::NotMounted)
        ));
    }

    #[test]
    fn mount_points_may_contain_spaces() {
        assert_eq!(unescape(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(r"/a\9"), Path::new(r"/a\9"));
    }

    #[test]
    fn block_io_has_a_name_a_version() {
        assert_eq!(Controller::BlockIo.name(Version::V1), "blkio");
        assert_eq!(Controller::BlockIo.name(Version::V2), "io");
        assert_eq!(Controller::Memory.name(Version::V2), "memory");
    }
}
