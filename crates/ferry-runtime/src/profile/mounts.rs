//! What is mounted in every container.

use oci_spec::runtime::Mount;

use super::{Confinement, Network, ProfileInput, RootAccess, UserNamespace};

/// One mount as data; options in mount(8)'s words, as OCI runtime-spec `config.md#mounts` has them.
struct Row {
    destination: &'static str,
    kind: &'static str,
    source: &'static str,
    options: &'static [&'static str],
    /// What `--read-only` does to it.
    read_only_root: ReadOnlyRoot,
}

#[derive(PartialEq, Eq)]
enum ReadOnlyRoot {
    /// Programs need to write here.
    StaysWritable,
    /// It becomes read-only, as it is by default.
    ReadOnly,
}

const PROC: &str = "/proc";
const SYS: &str = "/sys";
const CGROUP: &str = "/sys/fs/cgroup";
const SHM: &str = "/dev/shm";

/// /dev/shm when no size is asked for: 64 MiB.
pub const DEFAULT_SHM_BYTES: u64 = 64 << 20;

/// In the order in which they are mounted. Source: Docker Engine 29, default Linux spec.
const TABLE: &[Row] = &[
    Row {
        destination: PROC,
        kind: "proc",
        source: "proc",
        options: &["nosuid", "noexec", "nodev"],
        read_only_root: ReadOnlyRoot::StaysWritable,
    },
    Row {
        destination: "/dev",
        kind: "tmpfs",
        source: "tmpfs",
        options: &["nosuid", "strictatime", "mode=755", "size=65536k"],
        read_only_root: ReadOnlyRoot::StaysWritable,
    },
    Row {
        destination: "/dev/pts",
        kind: "devpts",
        source: "devpts",
        options: &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        read_only_root: ReadOnlyRoot::StaysWritable,
    },
    Row {
        destination: SYS,
        kind: "sysfs",
        source: "sysfs",
        options: &["nosuid", "noexec", "nodev", "ro"],
        read_only_root: ReadOnlyRoot::ReadOnly,
    },
    Row {
        destination: CGROUP,
        kind: "cgroup",
        source: "cgroup",
        options: &["ro", "nosuid", "noexec", "nodev"],
        read_only_root: ReadOnlyRoot::ReadOnly,
    },
    Row {
        destination: "/dev/mqueue",
        kind: "mqueue",
        source: "mqueue",
        options: &["nosuid", "noexec", "nodev"],
        read_only_root: ReadOnlyRoot::StaysWritable,
    },
    Row {
        destination: SHM,
        kind: "tmpfs",
        source: "shm",
        options: &["nosuid", "noexec", "nodev", "mode=1777"],
        read_only_root: ReadOnlyRoot::StaysWritable,
    },
];

/// The default mounts of a container, before those of its user.
///
/// The type `cgroup` stands for whatever version the host has, as everywhere in the field.
#[must_use]
pub fn mounts(input: &ProfileInput) -> Vec<Mount> {
    TABLE.iter().map(|row| mount(row, input)).collect()
}

fn mount(row: &Row, input: &ProfileInput) -> Mount {
    let (mut kind, mut source) = (row.kind, row.source);
    let mut options: Vec<String> = row.options.iter().map(|option| (*option).to_owned()).collect();
    if row.destination == SYS && sysfs_is_refused(input) {
        (kind, source) = ("bind", SYS);
        options.push("rbind".to_owned());
    }
    if row.destination == SHM {
        let size = input.shm_size_bytes.unwrap_or(DEFAULT_SHM_BYTES);
        options.push(format!("size={size}"));
    }
    let stays_read_only = row.destination == SYS && input.root == RootAccess::ReadOnly;
    if input.confinement == Confinement::Privileged && row.read_only_root == ReadOnlyRoot::ReadOnly && !stays_read_only
    {
        options.retain(|option| option != "ro");
    }
    let mut mount = Mount::default();
    mount.set_destination(row.destination.into());
    mount.set_typ(Some(kind.to_owned()));
    mount.set_source(Some(source.into()));
    mount.set_options(Some(options));
    mount
}

/// The kernel lets a user namespace mount a sysfs only of a network namespace that belongs to it.
fn sysfs_is_refused(input: &ProfileInput) -> bool {
    input.user_namespace == UserNamespace::Emulation && input.network == Network::Host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: &ProfileInput, destination: &str) -> String {
        let mounts = mounts(input);
        let found = mounts
            .iter()
            .find(|mount| mount.destination().to_str() == Some(destination))
            .unwrap();
        format!(
            "{} {} {}",
            found.typ().as_deref().unwrap(),
            found.source().as_ref().unwrap().display(),
            found.options().as_ref().unwrap().join(",")
        )
    }

    #[test]
    fn the_default_is_dockers() {
        let input = ProfileInput::default();
        for (destination, expect) in [
            ("/proc", "proc proc nosuid,noexec,nodev"),
            ("/dev", "tmpfs tmpfs nosuid,strictatime,mode=755,size=65536k"),
            (
                "/dev/pts",
                "devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
            ),
            ("/sys", "sysfs sysfs nosuid,noexec,nodev,ro"),
            ("/sys/fs/cgroup", "cgroup cgroup ro,nosuid,noexec,nodev"),
            ("/dev/mqueue", "mqueue mqueue nosuid,noexec,nodev"),
            ("/dev/shm", "tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864"),
        ] {
            assert_eq!(line(&input, destination), expect);
        }
    }

    #[test]
    fn privileged_containers_write_to_sys_and_cgroups() {
        let mut input = ProfileInput {
            confinement: Confinement::Privileged,
            ..ProfileInput::default()
        };
        assert_eq!(line(&input, "/sys"), "sysfs sysfs nosuid,noexec,nodev");
        assert_eq!(line(&input, "/sys/fs/cgroup"), "cgroup cgroup nosuid,noexec,nodev");
        input.root = RootAccess::ReadOnly;
        assert_eq!(line(&input, "/sys"), "sysfs sysfs nosuid,noexec,nodev,ro");
    }

    #[test]
    fn an_emulated_container_in_the_hosts_network_sees_the_hosts_sys() {
        let input = ProfileInput {
            network: Network::Host,
            user_namespace: UserNamespace::Emulation,
            ..ProfileInput::default()
        };
        assert_eq!(line(&input, "/sys"), "bind /sys nosuid,noexec,nodev,ro,rbind");
    }

    #[test]
    fn shm_has_the_size_asked_for() {
        let input = ProfileInput {
            shm_size_bytes: Some(1 << 30),
            ..ProfileInput::default()
        };
        assert!(line(&input, "/dev/shm").ends_with("size=1073741824"));
    }
}
