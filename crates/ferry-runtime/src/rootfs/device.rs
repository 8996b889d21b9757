//! The folder /dev: nodes, links and mount points in a file system of its own.

use std::{
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, makedev, mkdirat, mknodat, symlinkat},
    io::Errno,
};

use super::path::{Shape, open_or_create};
use crate::{Fault, profile};

/// A device node to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    kind: FileType,
    major: u32,
    minor: u32,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Node {
    /// What a spec's device says. `None` for the type `a`, which is no file.
    pub(super) fn of(device: &LinuxDevice) -> Option<Node> {
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
            LinuxDeviceType::B => FileType::BlockDevice,
            LinuxDeviceType::P => FileType::Fifo,
            LinuxDeviceType::A => return None,
        };
        Some(Node {
            path: device.path().clone(),
            kind,
            major: u32::try_from(device.major()).ok()?,
            minor: u32::try_from(device.minor()).ok()?,
            mode: device.file_mode().unwrap_or(0o666) & 0o7777,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        })
    }
}

/// Fills a fresh file system that will be /dev with what every container has, and with `nodes`,
/// whose paths begin with /dev.
pub(super) fn fill(dev: BorrowedFd<'_>, nodes: &[Node]) -> Result<(), Fault> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |errno: Errno| Fault::Device {
            path,
            errno: errno.into(),
        }
    };
    let mode = Mode::from_raw_mode(profile::NODE_MODE);
    for node in profile::NODES {
        let (path, number) = (Path::new(node.path), makedev(node.major, node.minor));
        mknodat(dev, inside(path), FileType::CharacterDevice, mode, number).map_err(fault(path))?;
    }
    for (link, target) in profile::LINKS {
        let path = Path::new(link);
        symlinkat(*target, dev, inside(path)).map_err(fault(path))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        let path = Path::new("/dev").join(name);
        mkdirat(dev, name, Mode::from_raw_mode(0o755)).map_err(fault(&path))?;
    }
    for node in nodes {
        make(dev, node, inside(&node.path))?;
    }
    Ok(())
}

/// The nodes that every container has, for a /dev that is a part of the root.
pub(super) fn defaults() -> Vec<Node> {
    let node = |node: &profile::Node| Node {
        path: node.path.into(),
        kind: FileType::CharacterDevice,
        major: node.major,
        minor: node.minor,
        mode: profile::NODE_MODE,
        uid: 0,
        gid: 0,
    };
    profile::NODES.iter().map(node).collect()
}

/// Makes a link at a path below `root`, unless something is there.
pub(super) fn link(root: BorrowedFd<'_>, path: &Path, target: &str) -> Result<(), Fault> {
    let fault = |errno: Errno| Fault::Device {
        path: path.to_owned(),
        errno: errno.into(),
    };
    let name = path.file_name().ok_or(Errno::INVAL).map_err(fault)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = open_or_create(root, folder, Shape::Folder).map_err(fault)?;
    match symlinkat(target, &folder, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(fault(errno)),
    }
}

/// A path below /dev, from there.
fn inside(path: &Path) -> &Path {
    path.strip_prefix("/dev").unwrap_or(path)
}

/// Makes one node at a path below `root`, in place of what is there.
pub(super) fn make(root: BorrowedFd<'_>, node: &Node, path: &Path) -> Result<(), Fault> {
    let fault = |errno: Errno| Fault::Device {
        path: node.path.clone(),
        errno: errno.into(),
    };
    let name = path.file_name().ok_or(Errno::INVAL).map_err(fault)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = open_or_create(root, folder, Shape::Folder).map_err(fault)?;
    let mode = Mode::from_raw_mode(node.mode);
    let number = makedev(node.major, node.minor);
    match mknodat(&folder, name, node.kind, mode, number) {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(&folder, name, AtFlags::empty()).map_err(fault)?;
            mknodat(&folder, name, node.kind, mode, number).map_err(fault)?;
        }
        other => other.map_err(fault)?,
    }
    if (node.uid, node.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(fault)?;
    }
    Ok(())
}
