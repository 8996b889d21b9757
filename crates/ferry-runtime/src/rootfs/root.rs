//! The root as a detached mount: an overlay of layers, or a folder as it is.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use ferry_sys::mount::{Attributes, Propagation, READ_ONLY, Reach, set_attributes};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, open_tree,
    },
    process::chdir,
};

use crate::{Fault, Overlay, Root};

/// Whether the container may write to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Opens the root; still writable, for mount points are made in it.
pub(super) fn open(root: &Root) -> Result<(OwnedFd, Access), Fault> {
    match root {
        Root::Overlay(overlay) => {
            let mount = mount_overlay(overlay)?;
            Ok((
                mount,
                if overlay.read_only {
                    Access::ReadOnly
                } else {
                    Access::ReadWrite
                },
            ))
        }
        Root::Directory { path, read_only } => {
            let mount = clone_folder(path)?;
            Ok((
                mount,
                if *read_only {
                    Access::ReadOnly
                } else {
                    Access::ReadWrite
                },
            ))
        }
    }
}

/// Makes the root's mount read-only.
pub(super) fn forbid_writes(root: std::os::fd::BorrowedFd<'_>) -> Result<(), Fault> {
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(root, attributes, Reach::Mount).map_err(Fault::root("read-only"))
}

/// Mounts without attaching: nothing shows on the host, and it is gone with its last user.
/// Source: Linux Documentation/filesystems/overlayfs.rst.
fn mount_overlay(overlay: &Overlay) -> Result<OwnedFd, Fault> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(Fault::root("fsopen overlay"))?;
    set(&context, "source", Path::new("overlay"))?;
    let lower = add_lower(&context, overlay)?;
    set(&context, "upperdir", &overlay.upper)?;
    set(&context, "workdir", &overlay.work)?;
    // One layer format for every kernel: nothing that another mount of these folders would need.
    for key in ["index", "metacopy", "redirect_dir", "xino"] {
        set(&context, key, Path::new("off"))?;
    }
    if overlay.volatile {
        fsconfig_set_flag(context.as_fd(), "volatile").map_err(Fault::root("overlay volatile"))?;
    }
    let created = match lower {
        Lower::ByPath => fsconfig_create(context.as_fd()),
        Lower::ByNumber(_held) => in_own_descriptors(|| fsconfig_create(context.as_fd())),
    };
    created.map_err(Fault::root(format!("overlay on {}", overlay.upper.display())))?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(Fault::root("fsmount overlay"))
}

/// How the layers were named to the kernel.
enum Lower {
    /// One by one, by path.
    ByPath,
    /// All at once by the numbers of these descriptors, as names in /proc/self/fd.
    ByNumber(Vec<OwnedFd>),
}

/// Names the layers one by one, which takes any number of any length, or where the kernel does not
/// know that (before 6.7) in the least that can be said about them: an option has 255 bytes.
fn add_lower(context: &OwnedFd, overlay: &Overlay) -> Result<Lower, Fault> {
    for (number, lower) in overlay.lower.iter().enumerate() {
        match fsconfig_set_string(context.as_fd(), "lowerdir+", lower) {
            Err(Errno::INVAL) if number == 0 => return add_lower_by_number(context, &overlay.lower),
            other => other.map_err(Fault::root(format!("overlay lowerdir+ {}", lower.display())))?,
        }
    }
    Ok(Lower::ByPath)
}

fn add_lower_by_number(context: &OwnedFd, lower: &[PathBuf]) -> Result<Lower, Fault> {
    let open = |path: &PathBuf| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(Fault::root(format!("layer {}", path.display())))
    };
    let held: Vec<OwnedFd> = lower.iter().map(open).collect::<Result<_, _>>()?;
    let numbers: Vec<String> = held.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    // Linux 6.5 and 6.6 look the names up now, earlier ones when the file system is created.
    in_own_descriptors(|| fsconfig_set_string(context.as_fd(), "lowerdir", numbers.join(":")))
        .map_err(Fault::root("overlay lowerdir"))?;
    Ok(Lower::ByNumber(held))
}

/// Does something while descriptors' numbers are names in the working directory.
fn in_own_descriptors(act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    chdir("/proc/self/fd")?;
    let outcome = act();
    chdir("/")?;
    outcome
}

fn set(context: &OwnedFd, key: &str, value: &Path) -> Result<(), Fault> {
    fsconfig_set_string(context.as_fd(), key, value).map_err(Fault::root(format!("overlay {key} {}", value.display())))
}

fn clone_folder(path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags).map_err(Fault::root(format!("folder {}", path.display())))?;
    let private = Attributes {
        propagation: Some(Propagation::Private),
        ..Attributes::default()
    };
    set_attributes(tree.as_fd(), private, Reach::Tree)
        .map_err(Fault::root(format!("folder {}: private", path.display())))?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_can_be_named_by_number() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let lower: Vec<PathBuf> = (0..40).map(|n| folder.path().join(format!("layer{n}"))).collect();
        for (number, layer) in lower.iter().enumerate() {
            std::fs::create_dir(layer).unwrap();
            std::fs::write(layer.join(format!("file{number}")), "").unwrap();
        }
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        let Lower::ByNumber(held) = add_lower_by_number(&context, &lower).unwrap() else {
            unreachable!()
        };
        in_own_descriptors(|| fsconfig_create(context.as_fd())).unwrap();
        drop(held);
        let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
        for number in 0..40 {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            openat(&mount, format!("file{number}"), flags, Mode::empty()).unwrap();
        }
    }
}
