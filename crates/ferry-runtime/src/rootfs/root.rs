//! The root as a detached mount: an overlay of layers, or a folder as it is.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
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

use crate::{Error, Fault, Overlay, Root};

/// Whether the container may write to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Opens the root as a detached mount, if this kernel can do that in a process with threads; else
/// it is left to [`open`] in the monitor. Still writable, for mount points are made in it.
pub(crate) fn open_ahead(root: &Root) -> Result<Option<OwnedFd>, Fault> {
    match root {
        Root::Overlay(overlay) => {
            static TAKES_PATHS: AtomicBool = AtomicBool::new(true);
            if !TAKES_PATHS.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match mount_by_path(overlay) {
                // Linux 6.5 and 6.6 do not know the option, earlier ones say so only at the end. If it
                // is something else, the monitor meets it again.
                Err(Fault::Root { errno, .. }) if errno == Errno::INVAL.into() => {
                    TAKES_PATHS.store(false, Ordering::Relaxed);
                    Ok(None)
                }
                mounted => mounted.map(Some),
            }
        }
        Root::Directory { path, .. } => clone_folder(path).map(Some),
    }
}

/// As [`open_ahead`] on older kernels, in a process of one thread.
pub(crate) fn open(root: &Root) -> Result<OwnedFd, Fault> {
    match root {
        Root::Overlay(overlay) => mount_by_number(overlay),
        Root::Directory { path, .. } => clone_folder(path),
    }
}

/// The layers, the top one first, with what a container wrote upon them as one more, for reading alone: a
/// detached mount, which is gone with its descriptor.
///
/// The container may run meanwhile: what it writes then may be seen or not, of which the kernel warns in its log;
/// it promises that nothing worse comes of it. Its own root would not do: things are mounted upon it, and its
/// process may have changed to another. Source: Linux Documentation/filesystems/overlayfs.rst.
pub fn open_layers(lower: &[PathBuf], upper: &Path) -> Result<OwnedFd, Error> {
    let layers: Vec<PathBuf> = std::iter::once(upper.to_owned()).chain(lower.iter().cloned()).collect();
    let mount = |names: Names| -> Result<OwnedFd, Fault> {
        let context = begin_overlay()?;
        let _held = match names {
            Names::Paths => {
                layers.iter().try_for_each(|layer| set(&context, "lowerdir+", layer))?;
                Vec::new()
            }
            Names::Links => add_lower_by_link(&context, &layers)?,
        };
        for key in ["index", "metacopy", "redirect_dir", "xino"] {
            set(&context, key, Path::new("off"))?;
        }
        fsconfig_create(context.as_fd()).map_err(Fault::root(format!("overlay of {}", upper.display())))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(Fault::root("fsmount overlay"))
    };
    match mount(Names::Paths) {
        Err(Fault::Root { errno, .. }) if errno == Errno::INVAL.into() => mount(Names::Links),
        mounted => mounted,
    }
    .map_err(Error::Launch)
}

/// How layers are named to the kernel: by path since Linux 6.7.
#[derive(Clone, Copy)]
enum Names {
    Paths,
    Links,
}

/// Names the layers by links to descriptors, in a process with threads: an option has 255 bytes, which is
/// room for some ten layers.
fn add_lower_by_link(context: &OwnedFd, lower: &[PathBuf]) -> Result<Vec<OwnedFd>, Fault> {
    let held = hold(lower)?;
    let links: Vec<String> = held
        .iter()
        .map(|layer| format!("/proc/self/fd/{}", layer.as_raw_fd()))
        .collect();
    fsconfig_set_string(context.as_fd(), "lowerdir", links.join(":"))
        .map_err(Fault::root("overlay lowerdir: so many layers at once need Linux 6.7"))?;
    Ok(held)
}

fn hold(lower: &[PathBuf]) -> Result<Vec<OwnedFd>, Fault> {
    let open = |path: &PathBuf| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(Fault::root(format!("layer {}", path.display())))
    };
    lower.iter().map(open).collect()
}

/// Whether the container may write to its root.
pub(super) fn access(root: &Root) -> Access {
    match root {
        Root::Overlay(Overlay { read_only: true, .. }) | Root::Directory { read_only: true, .. } => Access::ReadOnly,
        Root::Overlay(_) | Root::Directory { .. } => Access::ReadWrite,
    }
}

/// Makes the root's mount read-only.
pub(super) fn forbid_writes(root: BorrowedFd<'_>) -> Result<(), Fault> {
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(root, attributes, Reach::Mount).map_err(Fault::root("read-only"))
}

/// Mounts without attaching: nothing shows on the host, and it is gone with its last user. Names the
/// layers one by one, which takes any number of any length, since Linux 6.7.
/// Source: Linux Documentation/filesystems/overlayfs.rst.
fn mount_by_path(overlay: &Overlay) -> Result<OwnedFd, Fault> {
    let context = begin_overlay()?;
    for lower in &overlay.lower {
        set(&context, "lowerdir+", lower)?;
    }
    finish_overlay(&context, overlay, |context| fsconfig_create(context))
}

/// The same with the layers named in the least that can be said about them, for an option has 255
/// bytes, and all of them a page.
fn mount_by_number(overlay: &Overlay) -> Result<OwnedFd, Fault> {
    let context = begin_overlay()?;
    let _held = add_lower_by_number(&context, &overlay.lower)?;
    finish_overlay(&context, overlay, |context| {
        in_own_descriptors(|| fsconfig_create(context))
    })
}

fn begin_overlay() -> Result<OwnedFd, Fault> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(Fault::root("fsopen overlay"))?;
    set(&context, "source", Path::new("overlay"))?;
    Ok(context)
}

fn finish_overlay(
    context: &OwnedFd,
    overlay: &Overlay,
    create: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
) -> Result<OwnedFd, Fault> {
    set(context, "upperdir", &overlay.upper)?;
    set(context, "workdir", &overlay.work)?;
    // One layer format for every kernel: nothing that another mount of these folders would need.
    for key in ["index", "metacopy", "redirect_dir", "xino"] {
        set(context, key, Path::new("off"))?;
    }
    if overlay.volatile {
        fsconfig_set_flag(context.as_fd(), "volatile").map_err(Fault::root("overlay volatile"))?;
    }
    create(context.as_fd()).map_err(Fault::root(format!("overlay on {}", overlay.upper.display())))?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(Fault::root("fsmount overlay"))
}

/// By the numbers of these descriptors, as names in /proc/self/fd, which the process' working
/// directory has to be meanwhile.
fn add_lower_by_number(context: &OwnedFd, lower: &[PathBuf]) -> Result<Vec<OwnedFd>, Fault> {
    let held = hold(lower)?;
    let numbers: Vec<String> = held.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    // Linux 6.5 and 6.6 look the names up now, earlier ones when the file system is created.
    in_own_descriptors(|| fsconfig_set_string(context.as_fd(), "lowerdir", numbers.join(":")))
        .map_err(Fault::root("overlay lowerdir"))?;
    Ok(held)
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
        let held = add_lower_by_number(&context, &lower).unwrap();
        in_own_descriptors(|| fsconfig_create(context.as_fd())).unwrap();
        drop(held);
        let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
        for number in 0..40 {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            openat(&mount, format!("file{number}"), flags, Mode::empty()).unwrap();
        }
    }
}
