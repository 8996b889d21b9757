//! A container's file system as the engine sees it from outside: whole, with what is mounted in it, and never
//! through a path of the host's.
//!
//! Mounts of a container that runs lie in its mount namespace, those of one that does not are put together in a
//! namespace that nobody is in. A thread enters it and ends; what stays is a descriptor of the root, from which
//! everything else is resolved.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    thread,
};

use ferry_sys::process::{unshare_file_system, unshare_mounts};
use oci_spec::runtime::Mount;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
    mount::{OpenTreeFlags, open_tree},
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};

use super::{
    cover,
    enter::enter,
    options::Options,
    path::{Shape, open_or_create},
    plan::{self, Source},
    root::{self, Access},
};
use crate::{Error, Fault, Overlay, Root, container::user, open_layers};

/// The root of a container's file system.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    /// Without it, what is mounted below the root would be gone.
    _namespace: Option<OwnedFd>,
}

/// The root of a container that does not run.
#[derive(Debug, Clone)]
pub enum ViewedRoot {
    /// To be read alone, also while the container starts: its layers, the top one first, and what it wrote.
    Layers {
        /// Layers.
        lower: Vec<PathBuf>,
        /// What it wrote.
        upper: PathBuf,
    },
    /// To be written, while nobody else has it mounted.
    Overlay(Overlay),
}

impl View {
    /// That of the process which `pidfd` stands for, which may have changed its own root to another: this is its
    /// namespace's.
    pub fn of_process(pidfd: BorrowedFd<'_>) -> Result<View, Error> {
        on_own_thread(|| {
            enter_mounts_of(pidfd)?;
            Ok(View {
                root: open_root()?,
                _namespace: None,
            })
        })
    }

    /// Puts a root together with bind mounts, in the order given. Where one is to be mounted and nothing is,
    /// something is made, if the root can be written; if not, see [`View::lacks_mount_point`].
    pub fn assemble(root: &ViewedRoot, mounts: &[Mount]) -> Result<View, Error> {
        on_own_thread(|| {
            let mut binds = Vec::new();
            for mount in mounts {
                let options = Options::parse(mount.options().iter().flatten().map(String::as_str));
                let source = mount.source().clone().unwrap_or_default();
                if let Source::Detached { mount: tree, shape, .. } =
                    plan::bind(mount, &source, mount.destination(), &options)?
                {
                    binds.push((mount.destination(), tree, shape));
                }
            }
            unshare_mounts().map_err(Fault::system("unshare mounts"))?;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let namespace = openat(CWD, "/proc/thread-self/ns/mnt", flags, Mode::empty())
                .map_err(Fault::system("open the mount namespace"))?;
            let (mounted, access) = mount_root(root)?;
            enter(mounted.as_fd())?;
            for (destination, tree, shape) in binds {
                attach(mounted.as_fd(), destination, tree.as_fd(), shape)?;
            }
            if access == Access::ReadOnly {
                root::forbid_writes(mounted.as_fd())?;
            }
            Ok(View {
                root: open_root()?,
                _namespace: Some(namespace),
            })
        })
    }

    /// Whether [`View::assemble`] failed because nothing is where something is to be mounted, and nothing can be made.
    #[must_use]
    pub fn lacks_mount_point(error: &Error) -> bool {
        matches!(error, Error::Launch(Fault::Mount { errno, .. }) if *errno == Errno::ROFS.into())
    }

    /// The root. Resolve paths from it within it alone: `openat2(2)` with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// The ids of `user[:group]` as /etc/passwd and /etc/group below `root` have them.
pub fn resolve_user(root: BorrowedFd<'_>, user: &str) -> Result<(u32, u32), Error> {
    let identity = user::resolve(root, user, &[]).map_err(Fault::from)?;
    Ok((identity.uid, identity.gid))
}

/// A copy of the mount at /dev/shm of a process' mount namespace, to be given to another container. `None` if there
/// is no such folder.
pub fn shared_memory(pidfd: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Error> {
    on_own_thread(|| {
        enter_mounts_of(pidfd)?;
        let root = open_root()?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match openat2(&root, "dev/shm", flags, Mode::empty(), resolve) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(Fault::system("open /dev/shm")(errno).into()),
        };
        // Here and not later: only what the caller's own namespace has can be copied.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let copy = open_tree(&folder, "", flags).map_err(Fault::system("copy the mount of /dev/shm"))?;
        Ok(Some(copy))
    })
}

fn enter_mounts_of(pidfd: BorrowedFd<'_>) -> Result<(), Fault> {
    unshare_file_system().map_err(Fault::system("unshare the file system"))?;
    move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::MOUNT).map_err(|errno| Fault::Namespace {
        kind: "container's mount".to_owned(),
        path: None,
        errno: errno.into(),
    })
}

fn mount_root(root: &ViewedRoot) -> Result<(OwnedFd, Access), Error> {
    match root {
        ViewedRoot::Layers { lower, upper } => Ok((open_layers(lower, upper)?, Access::ReadWrite)),
        ViewedRoot::Overlay(overlay) => {
            let whole = Root::Overlay(overlay.clone());
            let mounted = match root::open_ahead(&whole)? {
                Some(mounted) => mounted,
                None => root::open(&whole)?,
            };
            Ok((mounted, root::access(&whole)))
        }
    }
}

fn attach(
    root: BorrowedFd<'_>,
    destination: &std::path::Path,
    tree: BorrowedFd<'_>,
    shape: Shape,
) -> Result<(), Fault> {
    let fault = |step: &str| {
        let step = step.to_owned();
        move |errno: Errno| Fault::Mount {
            destination: destination.to_owned(),
            step,
            errno: errno.into(),
        }
    };
    let target = open_or_create(root, destination, shape).map_err(fault("make the mount point"))?;
    cover::attach(tree, target.as_fd()).map_err(fault("attach"))
}

fn open_root() -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/", flags, Mode::empty()).map_err(Fault::root("open /"))
}

/// A thread that is in another namespace is of no use to anybody else.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let started = thread::Builder::new()
            .name("ferry-view".to_owned())
            .spawn_scoped(scope, work);
        match started {
            // A panic in there is one of ours and goes on in the caller.
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(Fault::System {
                call: "start a thread".to_owned(),
                errno: error.into(),
            }
            .into()),
        }
    })
}
