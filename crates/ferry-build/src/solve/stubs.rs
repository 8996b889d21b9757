//! Mount points that a step's mounts needed and that nobody made: they must not stay in the layer.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::StepFailure;
use crate::cache::failed;
use crate::files::{LastLink, Resolved, View};

/// Where every step has something mounted.
const ALWAYS: [&str; 8] = [
    "/dev",
    "/dev/console",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
    "/sys/fs/cgroup",
];

/// Paths that are missing before a step, and that its mounts may make.
pub(super) struct Stubs {
    missing: BTreeSet<Vec<u8>>,
    /// Directories that are there, and that get a new entry only for a mount.
    touched: BTreeSet<Vec<u8>>,
}

impl Stubs {
    /// Notes what is missing of `targets` and of what every step has.
    pub(super) fn before<'t>(lower: &View, targets: impl IntoIterator<Item = &'t str>) -> Result<Self, StepFailure> {
        let mut stubs = Self {
            missing: BTreeSet::new(),
            touched: BTreeSet::new(),
        };
        for target in ALWAYS.into_iter().chain(targets) {
            if let Resolved::Missing { parent, rest } = lower.resolve(target.as_bytes(), LastLink::Follow)? {
                let mut path = parent.path.clone();
                for name in rest {
                    path = crate::files::join(&path, &name);
                    stubs.missing.insert(path.clone());
                }
                stubs.touched.insert(parent.path);
            }
        }
        Ok(stubs)
    }

    /// Removes those that are in `upper` and empty, and directories that are there for nothing else.
    pub(super) fn remove(&self, lower: &View, upper: &Path) -> Result<(), StepFailure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(upper, flags, Mode::empty()).map_err(|errno| failed("open", upper)(errno.into()))?;
        let removal = Removal { root: &root, upper };
        // Children come before parents.
        for path in self.missing.iter().rev() {
            removal.remove_if_empty(path)?;
        }
        for path in self.touched.iter().rev().filter(|path| !path.is_empty()) {
            if let Resolved::Found(below) = lower.resolve(path, LastLink::Keep)? {
                removal.remove_if_as_below(path, &below)?;
            }
        }
        Ok(())
    }
}

struct Removal<'a> {
    root: &'a rustix::fd::OwnedFd,
    upper: &'a Path,
}

impl Removal<'_> {
    fn remove_if_empty(&self, path: &[u8]) -> Result<(), StepFailure> {
        let Some((folder, name, stat)) = self.find(path)? else {
            return Ok(());
        };
        let flags = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => AtFlags::REMOVEDIR,
            FileType::RegularFile if stat.st_size == 0 => AtFlags::empty(),
            _ => return Ok(()),
        };
        match rustix::fs::unlinkat(&folder, &name, flags) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove a mount point from", self.upper)(errno.into()).into()),
        }
    }

    /// Removes a copied-up directory that says nothing that the one below does not say.
    fn remove_if_as_below(&self, path: &[u8], below: &crate::files::Found) -> Result<(), StepFailure> {
        let Some((folder, name, stat)) = self.find(path)? else {
            return Ok(());
        };
        let is_same = FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && stat.st_mode & 0o7777 == below.status.mode
            && (stat.st_uid, stat.st_gid) == (below.status.uid, below.status.gid);
        if !is_same || self.is_opaque(path) {
            return Ok(());
        }
        match rustix::fs::unlinkat(&folder, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove a directory from", self.upper)(errno.into()).into()),
        }
    }

    fn is_opaque(&self, path: &[u8]) -> bool {
        let mut value = [0u8; 2];
        self.open(path)
            .is_ok_and(|folder| rustix::fs::fgetxattr(&folder, c"trusted.overlay.opaque", &mut value).is_ok())
    }

    fn find(&self, path: &[u8]) -> Result<Option<(rustix::fd::OwnedFd, Vec<u8>, rustix::fs::Stat)>, StepFailure> {
        let (folder, name) = crate::files::split(path);
        let found = self.open(folder).and_then(|folder| {
            let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok((folder, name.to_vec(), stat))
        });
        match found {
            Ok(found) => Ok(Some(found)),
            // What the step put in its place is the step's.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(failed("look into", self.upper)(errno.into()).into()),
        }
    }

    fn open(&self, path: &[u8]) -> Result<rustix::fd::OwnedFd, Errno> {
        let below: &[u8] = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(self.root, below, flags, Mode::empty(), resolve)
    }
}
