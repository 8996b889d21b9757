//! Device nodes of the host, for privileged containers.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};

/// Folders of /dev that every container has anew, or that are not devices.
const LEFT_OUT: &[&str] = &["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];

/// The terminal that a container gets by itself.
const CONSOLE: &str = "console";

/// How deep folders below /dev are followed.
const MAX_DEPTH: u32 = 8;

/// Every block and character device below the host's /dev, sorted by path; what vanishes meanwhile
/// is left out. Source: Docker Engine 29, privileged containers.
#[must_use]
pub fn host_nodes() -> Vec<LinuxDevice> {
    let mut nodes = Vec::new();
    collect(Path::new("/dev"), 0, &mut nodes);
    nodes.sort_unstable_by(|a, b| a.path().cmp(b.path()));
    nodes
}

fn collect(directory: &Path, depth: u32, nodes: &mut Vec<LinuxDevice>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        // Not followed: a link is no device, and what it names is met by itself.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let kind = metadata.file_type();
        let typ = if kind.is_char_device() {
            LinuxDeviceType::C
        } else if kind.is_block_device() {
            LinuxDeviceType::B
        } else {
            let left_out = LEFT_OUT.iter().any(|left_out| name == *left_out);
            if kind.is_dir() && !left_out && depth < MAX_DEPTH {
                collect(&path, depth + 1, nodes);
            }
            continue;
        };
        if name == CONSOLE {
            continue;
        }
        let mut node = LinuxDevice::default();
        node.set_path(path);
        node.set_typ(typ);
        node.set_major(i64::from(rustix::fs::major(metadata.rdev())));
        node.set_minor(i64::from(rustix::fs::minor(metadata.rdev())));
        node.set_file_mode(Some(metadata.mode() & 0o7777));
        node.set_uid(Some(metadata.uid()));
        node.set_gid(Some(metadata.gid()));
        nodes.push(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_null_is_among_them() {
        let nodes = host_nodes();
        let null = nodes.iter().find(|node| node.path() == Path::new("/dev/null"));
        let Some(null) = null else {
            eprintln!("skipped: needs /dev/null");
            return;
        };
        assert_eq!((null.major(), null.minor(), null.typ()), (1, 3, LinuxDeviceType::C));
        assert!(nodes.iter().all(|node| !node.path().starts_with("/dev/pts")));
    }
}
