//! Files into and out of a container, as tar archives, whether or not it runs.
//!
//! A path is resolved in the container's root by descriptor, and whatever its processes rename or link meanwhile,
//! nothing outside is read or written. Source: Docker Engine API `ContainerArchive`, moby `daemon/archive_unix.go`.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ferry_runtime::{View, ViewedRoot};
use ferry_store::archive::{self, Archived, Extraction, Owner, Replacing};
use ferry_store::{Lease, Limits};
use oci_spec::runtime::Mount;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, StatVfsMountFlags};
use rustix::io::Errno;
use time::OffsetDateTime;

use super::path::{ContainerPath, link_target};
use super::{Container, Error, Phase, spec};
use crate::Engine;

/// What is at a path of a container. Source: Docker Engine API, `X-Docker-Container-Path-Stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Type and permissions. Source: inode(7).
    pub mode: u32,
    /// When its content changed.
    pub modified_at: OffsetDateTime,
    /// Where a link leads in the end, from the container's root; empty for anything else.
    pub link_target: String,
}

/// What is at a path of a container, ready to be written as an archive.
#[derive(Debug)]
pub struct PathArchive {
    /// What is there.
    pub stat: PathStat,
    found: Found,
    path: ContainerPath,
    view: View,
    _lease: Lease,
}

/// How an archive is put into a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractOptions {
    /// Who owns what is made.
    pub owner: ExtractedOwner,
    /// What may make room for it.
    pub replacing: Replacing,
}

/// Who owns what an archive brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExtractedOwner {
    /// Those whom the archive names.
    #[default]
    Archived,
    /// The user that the container's process runs as.
    ContainerUser,
}

/// Something in a container, held open.
#[derive(Debug)]
struct Found {
    file: OwnedFd,
    stat: Stat,
}

impl Engine {
    /// What is at `path`. Docker Engine API `ContainerArchiveInfo`.
    pub async fn stat_container_path(&self, wanted: &str, path: &str) -> Result<PathStat, Error> {
        Ok(self.look_at(wanted, path).await?.stat)
    }

    /// Opens what is at `path`. Docker Engine API `ContainerArchive`.
    pub async fn container_archive(&self, wanted: &str, path: &str) -> Result<PathArchive, Error> {
        let archive = self.look_at(wanted, path).await?;
        let container = self.containers.find(wanted)?;
        let attributes = container.attributes();
        self.events
            .send("container", "archive-path", container.id.as_str(), attributes);
        Ok(archive)
    }

    async fn look_at(&self, wanted: &str, path: &str) -> Result<PathArchive, Error> {
        let container = self.containers.find(wanted)?;
        let lease = self.store.lease();
        let view = self.view_to_read(&container).await?;
        let (path, wanted) = (ContainerPath::parse(path)?, wanted.to_owned());
        let look = move || {
            let found = find(view.root(), &path, LastLink::Keep).map_err(|errno| failed(&wanted, &path, errno))?;
            Ok(PathArchive {
                stat: path_stat(view.root(), &path, &found.stat),
                found,
                path,
                view,
                _lease: lease,
            })
        };
        tokio::task::spawn_blocking(look).await?
    }

    /// Unpacks `tar`, which may be compressed, into the directory at `path`. Docker Engine API
    /// `PutContainerArchive`. Goes on until `tar` ends if the caller goes away.
    pub async fn extract_into_container(
        &self,
        wanted: &str,
        path: &str,
        options: ExtractOptions,
        tar: impl Read + Send + 'static,
    ) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let request = Extract {
            path: ContainerPath::parse(path)?,
            wanted: wanted.to_owned(),
            user: match options.owner {
                ExtractedOwner::Archived => None,
                ExtractedOwner::ContainerUser => Some(container.config.user.clone()).filter(|user| !user.is_empty()),
            },
            replacing: options.replacing,
        };
        let (engine, into) = (self.clone(), container.clone());
        tokio::spawn(async move { engine.extract_found(into, request, tar).await }).await??;
        let attributes = container.attributes();
        self.events
            .send("container", "extract-to-dir", container.id.as_str(), attributes);
        Ok(())
    }

    async fn extract_found(
        &self,
        container: Arc<Container>,
        request: Extract,
        tar: impl Read + Send + 'static,
    ) -> Result<(), Error> {
        loop {
            if let Some(view) = self.running_view(&container).await? {
                return tokio::task::spawn_blocking(move || request.run(view.root(), tar)).await?;
            }
            // Held to the end: two mounts of one upper directory would not see each other's files.
            let _lifecycle = container.lifecycle.lock().await;
            match container.state().phase {
                Phase::Running | Phase::Paused => continue,
                Phase::Removed => return Err(Error::BeingRemoved(container.id.to_string())),
                Phase::Created | Phase::Restarting | Phase::Exited => {}
            }
            let (engine, idle) = (self.clone(), container.clone());
            let write = move || {
                let root = ViewedRoot::Overlay(engine.root_of(&idle)?);
                let view = View::assemble(&root, &idle_mounts(&engine, &idle))?;
                request.run(view.root(), tar)
            };
            return tokio::task::spawn_blocking(write).await?;
        }
    }

    /// The container's file system for reading, which holds up nobody.
    async fn view_to_read(&self, container: &Arc<Container>) -> Result<View, Error> {
        loop {
            if let Some(view) = self.running_view(container).await? {
                return Ok(view);
            }
            let (engine, idle) = (self.clone(), container.clone());
            let read = move || engine.idle_view(&idle);
            match tokio::task::spawn_blocking(read).await? {
                Err(Error::Runtime(error)) if View::lacks_mount_point(&error) => {}
                viewed => return viewed,
            }
            // As its first start would: then the places of its mounts are there.
            let _lifecycle = container.lifecycle.lock().await;
            if container.state().has_process() {
                continue;
            }
            let (engine, idle) = (self.clone(), container.clone());
            let make = move || {
                let mut root = engine.root_of(&idle)?;
                root.read_only = false;
                drop(View::assemble(
                    &ViewedRoot::Overlay(root),
                    &idle_mounts(&engine, &idle),
                )?);
                engine.idle_view(&idle)
            };
            return tokio::task::spawn_blocking(make).await?;
        }
    }

    /// Blocking.
    fn idle_view(&self, container: &Container) -> Result<View, Error> {
        let snapshot = self.store.snapshots().get(&container.snapshot_id()?)?;
        let root = self.overlay_of(container, snapshot)?;
        let root = ViewedRoot::Layers {
            lower: root.lower,
            upper: root.upper,
        };
        Ok(View::assemble(&root, &idle_mounts(self, container))?)
    }

    /// The file system of a container's process; `None` without one.
    async fn running_view(&self, container: &Arc<Container>) -> Result<Option<View>, Error> {
        let Ok(launched) = container.monitor() else {
            return Ok(None);
        };
        let open = move || -> Result<View, ferry_runtime::Error> {
            let process = launched.monitor().pidfd()?;
            View::of_process(process.as_fd())
        };
        match tokio::task::spawn_blocking(open).await? {
            Ok(view) => Ok(Some(view)),
            Err(error) => {
                // It may have ended just now, of which the engine hears in a moment.
                let mut state = container.state.subscribe();
                let ended = state.wait_for(|state| !state.has_process());
                match tokio::time::timeout(ENDING_LIMIT, ended).await {
                    Ok(_) => Ok(None),
                    Err(_) => Err(error.into()),
                }
            }
        }
    }
}

/// How long the engine takes at most to hear of a process' end.
const ENDING_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

/// What is mounted in a container as long as it does not run.
fn idle_mounts(engine: &Engine, container: &Container) -> Vec<Mount> {
    spec::idle_mounts(&container.dir(&engine.instance), &container.config.options.host.binds)
}

impl PathArchive {
    /// Writes the archive. Blocking. After an error, what was written is to be thrown away.
    pub fn write(&self, out: impl Write) -> Result<(), Error> {
        let name = self.path.name();
        if self.found.is_directory() {
            let top = Archived::Folder(self.found.file.as_fd());
            return Ok(archive::write_files(top, name.as_bytes(), out)?);
        }
        let folder = find(self.view.root(), &self.path.parent(), LastLink::Follow).map_err(|errno| Error::File {
            path: self.path.shown().into(),
            source: errno.into(),
        })?;
        let file = Archived::Named(folder.file.as_fd(), name.as_bytes());
        Ok(archive::write_files(file, name.as_bytes(), out)?)
    }
}

/// An archive that is to be unpacked.
struct Extract {
    path: ContainerPath,
    /// The container as it was named.
    wanted: String,
    user: Option<String>,
    replacing: Replacing,
}

impl Extract {
    /// Blocking.
    fn run(&self, root: BorrowedFd<'_>, tar: impl Read + 'static) -> Result<(), Error> {
        let fail = |errno| failed(&self.wanted, &self.path, errno);
        let folder = find(root, &self.path, LastLink::Follow).map_err(fail)?;
        if !folder.is_directory() {
            return Err(Error::ExtractionPoint);
        }
        check_writable(root, folder.file.as_fd()).map_err(fail)??;
        let owner = match &self.user {
            None => Owner::Archived,
            Some(user) => {
                let (uid, gid) = ferry_runtime::resolve_user(root, user)?;
                Owner::Fixed { uid, gid }
            }
        };
        let extraction = Extraction {
            folder: self.path.relative().into_bytes(),
            replacing: self.replacing,
            owner,
            rename: None,
        };
        let tar = ferry_build::open_tar(tar).map_err(Error::Extract)?;
        let top = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(fail)?;
        archive::extract(tar, top, &extraction, &Limits::default()).map_err(Error::Extract)
    }
}

/// Whether what is mounted there can be written, in Docker's words.
fn check_writable(root: BorrowedFd<'_>, folder: BorrowedFd<'_>) -> Result<Result<(), Error>, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, fstatvfs, statx};
    if !fstatvfs(folder)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(Ok(()));
    }
    let mount = |of| statx(of, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|status| status.stx_mnt_id);
    Ok(Err(if mount(root)? == mount(folder)? {
        Error::ReadOnlyRoot
    } else {
        Error::ReadOnlyVolume
    }))
}

/// What becomes of a link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastLink {
    Keep,
    Follow,
}

fn find(root: BorrowedFd<'_>, path: &ContainerPath, last: LastLink) -> Result<Found, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if last == LastLink::Keep {
        flags |= OFlags::NOFOLLOW;
    }
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(root, path.to_open(), flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&file)?;
    Ok(Found { file, stat })
}

impl Found {
    fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode).is_dir()
    }
}

fn path_stat(root: BorrowedFd<'_>, path: &ContainerPath, stat: &Stat) -> PathStat {
    let is_link = FileType::from_raw_mode(stat.st_mode).is_symlink();
    let seconds = OffsetDateTime::from_unix_timestamp(stat.st_mtime).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    PathStat {
        name: path.name(),
        size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        mode: stat.st_mode,
        modified_at: seconds + time::Duration::nanoseconds(nanoseconds),
        link_target: if is_link {
            link_target(root, path)
        } else {
            String::new()
        },
    }
}

fn failed(wanted: &str, path: &ContainerPath, errno: Errno) -> Error {
    match errno {
        Errno::NOENT => Error::NoSuchPath {
            path: path.shown(),
            container: wanted.to_owned(),
        },
        errno => Error::Path {
            path: path.shown(),
            source: errno.into(),
        },
    }
}
