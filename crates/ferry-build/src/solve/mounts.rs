//! What RUN steps have mounted besides their root: other file systems, caches, scripts.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferry_oci::Digest;
use ferry_store::Store;
use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::Root;
use super::snapshot::StepSnapshot;
use crate::cache::{IN_USE, MOUNTS, TEMPORARY, failed, make_folders};
use crate::files::{
    self, Count, LastLink, Layout, Origin, Placement, Resolved, Selection, SelectionFault, Trust, View, Whiteouts,
    select_path,
};
use crate::plan::{MountKind, RunMount, Script, Sharing};
use crate::{MountAccess, MountSource, StepFailure, StepMount, unique};

/// The mounts of one step, and what has to be kept until it ends.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<StepMount>,
    /// Snapshots through which other file systems are seen.
    _views: Vec<StepSnapshot>,
    /// Locks of caches, and those that keep a cache from being pruned.
    _locks: Vec<File>,
    temporary: Vec<PathBuf>,
}

impl Mounts {
    /// Makes everything ready; waits for a locked cache, so it blocks.
    pub(super) fn prepare(
        store: &Store,
        wanted: &[RunMount],
        script: Option<&Script>,
        sources: &[Root],
    ) -> Result<Self, StepFailure> {
        let mut mounts = Self::default();
        for mount in wanted {
            let source = match &mount.kind {
                MountKind::Tmpfs { size_bytes } => MountSource::Tmpfs {
                    size_bytes: *size_bytes,
                },
                MountKind::Bind {
                    input, path, access, ..
                } => {
                    let root = sources.get(*input).cloned().unwrap_or_default();
                    MountSource::Host {
                        path: mounts.bind(store, &root, path, *access)?,
                        access: *access,
                    }
                }
                MountKind::Cache { .. } => mounts.cache(store, &mount.kind)?,
                // What they need has been asked of the client.
                MountKind::Secret { .. } => continue,
            };
            mounts.mounts.push(StepMount {
                target: mount.target.clone(),
                source,
            });
        }
        if let Some(script) = script {
            mounts.script(store, script)?;
        }
        Ok(mounts)
    }

    /// Where what `path` of `root` holds can be bound from. What a single layer has is bound from that
    /// layer, read-only; anything else is copied first, and what a step writes into it is thrown away.
    fn bind(&mut self, store: &Store, root: &Root, path: &str, access: MountAccess) -> Result<PathBuf, StepFailure> {
        let snapshot = StepSnapshot::prepare(store, &root.layers)?;
        let view = Arc::new(snapshot.lower()?);
        let found = match view.resolve(path.as_bytes(), LastLink::Follow)? {
            Resolved::Found(found) => found,
            Resolved::Missing { .. } | Resolved::Blocked => {
                return Err(SelectionFault::NotFound(path.to_owned()).into());
            }
        };
        if access == MountAccess::ReadOnly
            && let Some(layer) = found.only_layer()
        {
            let below = OsStr::from_bytes(&found.path);
            return Ok(snapshot.overlay.lower[layer].join(below));
        }
        let folder = store.root().join(TEMPORARY).join(unique::name());
        make_folders(store, &folder)?;
        self.temporary.push(folder.clone());
        let nothing = View::open(&[], Whiteouts::Plain)?;
        let mut layout = Layout::new(&nothing, 0);
        let selection = select_one(view, &found.path)?;
        let placement = Placement {
            destination: "/content",
            owner: None,
            mode: None,
            sources: Count::One,
        };
        for source in &selection.sources {
            layout.place(source, &placement)?;
        }
        files::write(&layout, &folder)?;
        self._views.push(snapshot);
        Ok(folder.join("content"))
    }

    fn cache(&mut self, store: &Store, kind: &MountKind) -> Result<MountSource, StepFailure> {
        let MountKind::Cache {
            id,
            path,
            sharing,
            mode,
            uid,
            gid,
            access,
        } = kind
        else {
            return Ok(MountSource::Tmpfs { size_bytes: None });
        };
        let folder = store.root().join(MOUNTS);
        make_folders(store, &folder)?;
        let name = Digest::of(id.as_bytes()).hex();
        let mut place = folder.join(&name);
        // Whoever prunes leaves a cache alone that is in use, and never waits with this lock in hand.
        let in_use = open_lock(&place.with_extension(IN_USE))?;
        flock(&in_use, FlockOperation::LockShared, &place)?;
        self._locks.push(in_use);
        match sharing {
            Sharing::Shared => {}
            Sharing::Locked => {
                let lock = open_lock(&folder.join(format!("{name}.lock")))?;
                flock(&lock, FlockOperation::LockExclusive, &place)?;
                self._locks.push(lock);
            }
            Sharing::Private => {
                let lock = open_lock(&folder.join(format!("{name}.lock")))?;
                if flock(&lock, FlockOperation::NonBlockingLockExclusive, &place)? {
                    self._locks.push(lock);
                } else {
                    // Somebody has it: this step gets one of its own, which goes with it.
                    place = folder.join(unique::name());
                    self.temporary.push(place.clone());
                }
            }
        }
        make_cache(&place, *mode, *uid, *gid)?;
        let access = *access;
        if path == "/" {
            return Ok(MountSource::Host { path: place, access });
        }
        // A directory within the cache, which steps write: no link in it may lead out.
        let view = View::open(std::slice::from_ref(&place), Whiteouts::Plain)?;
        match view.resolve(path.as_bytes(), LastLink::Follow)? {
            Resolved::Found(found) => Ok(MountSource::Host {
                path: place.join(OsStr::from_bytes(&found.path)),
                access,
            }),
            Resolved::Missing { .. } | Resolved::Blocked => Err(SelectionFault::NotFound(path.clone()).into()),
        }
    }

    fn script(&mut self, store: &Store, script: &Script) -> Result<(), StepFailure> {
        let folder = store.root().join(TEMPORARY);
        make_folders(store, &folder)?;
        let place = folder.join(unique::name());
        self.temporary.push(place.clone());
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&place)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, script.text.as_bytes())?;
                // The umask must not take the right to run it.
                rustix::fs::fchmod(&file, Mode::from_raw_mode(0o755))?;
                Ok(())
            })
            .map_err(failed("write", &place))?;
        self.mounts.push(StepMount {
            target: script.path.clone(),
            source: MountSource::Host {
                path: place,
                access: MountAccess::ReadOnly,
            },
        });
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for place in &self.temporary {
            let removed = match place.is_dir() {
                true => std::fs::remove_dir_all(place),
                false => std::fs::remove_file(place),
            };
            if let Err(error) = removed {
                tracing::warn!(%error, path = %place.display(), "could not remove a step's file");
            }
        }
    }
}

fn select_one(view: Arc<View>, path: &[u8]) -> Result<Selection, StepFailure> {
    let origin = Origin {
        view,
        ignore: None,
        trust: Trust::Content,
    };
    Ok(select_path(&origin, path)?)
}

/// The cache's directory, with owner and mode when it is new.
fn make_cache(place: &Path, mode: u32, uid: u32, gid: u32) -> Result<(), StepFailure> {
    match DirBuilder::new().mode(0o700).create(place) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed("create", place)(error).into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let set = || -> Result<(), Errno> {
        let folder = rustix::fs::open(place, flags, Mode::empty())?;
        rustix::fs::fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))
    };
    set().map_err(|errno| failed("create", place)(errno.into()).into())
}

fn open_lock(path: &Path) -> Result<File, StepFailure> {
    Ok(File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed("open", path))?)
}

/// Whether the lock was taken; `false` only for a lock that does not wait.
fn flock(lock: &File, operation: FlockOperation, place: &Path) -> Result<bool, StepFailure> {
    loop {
        match rustix::fs::flock(lock, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("lock", place)(errno.into()).into()),
        }
    }
}
