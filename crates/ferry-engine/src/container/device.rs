//! Devices of the host that a container gets: nodes, and rules that let its processes use them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use ferry_runtime::device::Rule;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use serde::{Deserialize, Serialize};

use super::{Error, HostOptions};

/// A device of the host that appears inside, or a folder of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Any of `r`, `w` and `m`.
    pub access: String,
}

/// What a device node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) kind: LinuxDeviceType,
    pub(super) major: u32,
    pub(super) minor: u32,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Nodes of a folder of devices that are looked at: /dev/dri, /dev/snd and the like have a few.
const MAX_IN_FOLDER: usize = 1000;

/// The nodes that a container gets besides the profile's, and the rules for them.
pub(super) fn devices(host: &HostOptions) -> Result<(Vec<LinuxDevice>, Vec<LinuxDeviceCgroup>), Error> {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for device in &host.devices {
        let failed = |source| Error::Device {
            path: device.source.clone(),
            source,
        };
        for (source, target) in files(device).map_err(failed)? {
            let number = look(&source).map_err(failed)?;
            nodes.push(node(&target, number));
            rules.push(rule(number, &device.access));
        }
    }
    for text in &host.device_rules {
        let rule = Rule::parse(text).map_err(|error| Error::InvalidOption {
            option: "device cgroup rule",
            value: text.chars().take(300).collect(),
            reason: error.to_string(),
        })?;
        rules.push(rule.to_oci());
    }
    Ok((nodes, rules))
}

/// The device itself, or those in a folder: paths on the host and inside.
fn files(device: &Device) -> std::io::Result<Vec<(PathBuf, PathBuf)>> {
    if !device.source.metadata()?.is_dir() {
        return Ok(vec![(device.source.clone(), device.target.clone())]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&device.source)?.take(MAX_IN_FOLDER) {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_block_device() || kind.is_char_device() {
            files.push((entry.path(), device.target.join(entry.file_name())));
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(std::io::Error::other("no device node in this folder")),
        false => Ok(files),
    }
}

/// Looks at a node of the host, through links.
pub(super) fn look(path: &Path) -> std::io::Result<Number> {
    const PERMISSIONS: u32 = 0o777;
    let found = path.metadata()?;
    let kind = match found.file_type() {
        kind if kind.is_block_device() => LinuxDeviceType::B,
        kind if kind.is_char_device() => LinuxDeviceType::C,
        _ => return Err(std::io::Error::other("not a device node")),
    };
    Ok(Number {
        kind,
        major: rustix::fs::major(found.rdev()),
        minor: rustix::fs::minor(found.rdev()),
        mode: found.mode() & PERMISSIONS,
        uid: found.uid(),
        gid: found.gid(),
    })
}

fn node(target: &Path, number: Number) -> LinuxDevice {
    let mut node = LinuxDevice::default();
    node.set_path(target.to_owned())
        .set_typ(number.kind)
        .set_major(number.major.into())
        .set_minor(number.minor.into())
        .set_file_mode(Some(number.mode))
        .set_uid(Some(number.uid))
        .set_gid(Some(number.gid));
    node
}

fn rule(number: Number, access: &str) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(true)
        .set_typ(Some(number.kind))
        .set_major(Some(number.major.into()))
        .set_minor(Some(number.minor.into()))
        .set_access(Some(access.to_owned()));
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(source: &str, rule: &str) -> HostOptions {
        HostOptions {
            devices: vec![Device {
                source: source.into(),
                target: "/dev/inside".into(),
                access: "r".to_owned(),
            }],
            device_rules: vec![rule.to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn devices_become_nodes_and_rules() {
        let (nodes, rules) = devices(&host("/dev/null", "c 10:* rw")).expect("every host has it");
        assert_eq!((nodes[0].major(), nodes[0].minor()), (1, 3));
        assert_eq!(nodes[0].path(), Path::new("/dev/inside"));
        assert_eq!((rules.len(), rules[0].access().as_deref()), (2, Some("r")));
        assert!(devices(&host("/dev/no-such-device", "c 10:* rw")).is_err());
        assert!(devices(&host("/dev/null", "x")).is_err());
    }

    #[test]
    fn nodes_are_looked_at() {
        let null = look(Path::new("/dev/null")).expect("every host has it");
        assert_eq!((null.kind, null.major, null.minor), (LinuxDeviceType::C, 1, 3));
        assert!(look(Path::new("/")).is_err());
    }
}
