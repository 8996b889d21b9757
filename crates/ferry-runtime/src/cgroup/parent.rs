//! The one delegated parent group of an engine, opened once in every hierarchy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Cgroup, ChildName, Controller, Error, Hierarchy, Layout, ParentPath, Version, file};

/// The parent of an engine's containers in all hierarchies; cheap to clone, survives `fork(2)`.
#[derive(Debug, Clone)]
pub struct Parent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    path: ParentPath,
    /// The parent's directory in each hierarchy, in the layout's order.
    directories: Vec<OwnedFd>,
}

impl Parent {
    /// Makes the parent where it is missing, lets its children have every controller the host
    /// offers, and opens it. Idempotent.
    pub fn open(layout: &Layout, path: &ParentPath) -> Result<Parent, Error> {
        let directories = layout
            .hierarchies()
            .iter()
            .map(|hierarchy| open_in(hierarchy, path))
            .collect::<Result<_, _>>()?;
        Ok(Parent {
            inner: Arc::new(Inner {
                layout: layout.clone(),
                path: path.clone(),
                directories,
            }),
        })
    }

    /// Opens the parent where it exists and changes nothing: its layout has the hierarchies that it exists in. `None`
    /// if it exists in none.
    pub fn find(layout: &Layout, path: &ParentPath) -> Result<Option<Parent>, Error> {
        let mut hierarchies = Vec::new();
        let mut directories = Vec::new();
        for hierarchy in layout.hierarchies() {
            let at = hierarchy.mount_point.join(path.as_str());
            match open_directory(CWD, &at) {
                Ok(directory) => {
                    hierarchies.push(hierarchy.clone());
                    directories.push(directory);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(file::failed("open", &at, errno)),
            }
        }
        if directories.is_empty() {
            return Ok(None);
        }
        Ok(Some(Parent {
            inner: Arc::new(Inner {
                layout: Layout::new(hierarchies)?,
                path: path.clone(),
                directories,
            }),
        }))
    }

    /// What is mounted.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// Its path below the mount points.
    #[must_use]
    pub fn path(&self) -> &ParentPath {
        &self.inner.path
    }

    /// Whether groups here have a controller's file such as `memory.swappiness`.
    #[must_use]
    pub fn has_file(&self, controller: Controller, name: &str) -> bool {
        self.layout().find(controller).is_some_and(|place| {
            rustix::fs::accessat(self.directory(place), name, Access::EXISTS, AtFlags::empty()).is_ok()
        })
    }

    /// What a controller's file holds, if there is one.
    #[must_use]
    pub fn read_file(&self, controller: Controller, name: &str) -> Option<String> {
        let place = self.layout().find(controller)?;
        file::read_at(self.directory(place), name).ok()
    }

    /// Makes a child in every hierarchy; one that exists is taken as it is. Undone on failure.
    pub fn create(&self, name: &ChildName) -> Result<Cgroup, Error> {
        let mut made = Vec::new();
        for (place, directory) in self.inner.directories.iter().enumerate() {
            match rustix::fs::mkdirat(directory, name.as_str(), DIRECTORY_MODE) {
                Ok(()) => made.push(place),
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    for place in made {
                        let _ = rustix::fs::unlinkat(&self.inner.directories[place], name.as_str(), AtFlags::REMOVEDIR);
                    }
                    return Err(file::failed("make", &self.child_path(place, name), errno));
                }
            }
        }
        Ok(self.child(name))
    }

    /// As [`Self::create`], for a parent that others made and use: on version 1 the child gets CPUs and memory
    /// nodes, without which nobody could enter it.
    pub fn create_among_others(&self, name: &ChildName) -> Result<Cgroup, Error> {
        let child = self.create(name)?;
        for (place, hierarchy, directory) in self.places() {
            if hierarchy.version == Version::V1 && hierarchy.controllers.contains(&Controller::Cpuset) {
                let initialise = || initialise_cpuset(directory, open_directory(directory, name.as_str())?.as_fd());
                let path = self.child_path(place, name);
                initialise().map_err(|errno| file::failed("initialise the cpuset of", &path, errno))?;
            }
        }
        Ok(child)
    }

    /// A handle on a child, whether or not it exists.
    #[must_use]
    pub fn child(&self, name: &ChildName) -> Cgroup {
        Cgroup::new(self.clone(), name.clone())
    }

    /// Names of the children that exist in any hierarchy, sorted.
    pub fn children(&self) -> Result<Vec<ChildName>, Error> {
        let mut names = Vec::new();
        for (place, directory) in self.inner.directories.iter().enumerate() {
            let listed = subdirectories(directory.as_fd(), ".")
                .map_err(|errno| file::failed("list", &self.path_in(place), errno))?;
            names.extend(listed.iter().filter_map(|name| ChildName::parse(name).ok()));
        }
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Ok(names)
    }

    /// Removes the parent itself, which must have no children left; gone already is success.
    pub fn remove(&self) -> Result<(), Error> {
        for (place, hierarchy) in self.layout().hierarchies().iter().enumerate() {
            match rustix::fs::unlinkat(
                CWD,
                hierarchy.mount_point.join(self.path().as_str()),
                AtFlags::REMOVEDIR,
            ) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(file::failed("remove", &self.path_in(place), errno)),
            }
        }
        Ok(())
    }

    /// The directory in the hierarchy at `place`.
    pub(super) fn directory(&self, place: usize) -> BorrowedFd<'_> {
        self.inner.directories[place].as_fd()
    }

    /// Each hierarchy with the parent's directory in it.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, &Hierarchy, BorrowedFd<'_>)> {
        let directories = self.inner.directories.iter().map(AsFd::as_fd);
        self.layout()
            .hierarchies()
            .iter()
            .zip(directories)
            .enumerate()
            .map(|(place, (hierarchy, directory))| (place, hierarchy, directory))
    }

    /// Absolute path of a child in one hierarchy, for errors.
    pub(super) fn child_path(&self, place: usize, name: &ChildName) -> PathBuf {
        self.path_in(place).join(name.as_str())
    }

    fn path_in(&self, place: usize) -> PathBuf {
        self.layout().hierarchies()[place]
            .mount_point
            .join(self.path().as_str())
    }
}

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Walks down from the mount point, making each level and handing the controllers on.
fn open_in(hierarchy: &Hierarchy, path: &ParentPath) -> Result<OwnedFd, Error> {
    let mut at = hierarchy.mount_point.clone();
    let mut directory = open_directory(CWD, &at).map_err(|errno| file::failed("open", &at, errno))?;
    for component in path.components() {
        hand_down(hierarchy, directory.as_fd()).map_err(|errno| not_handed_down(&at, errno))?;
        at.push(component);
        match rustix::fs::mkdirat(&directory, component, DIRECTORY_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(file::failed("make", &at, errno)),
        }
        let child = open_directory(directory.as_fd(), component).map_err(|errno| file::failed("open", &at, errno))?;
        if hierarchy.version == Version::V1 && hierarchy.controllers.contains(&Controller::Cpuset) {
            initialise_cpuset(directory.as_fd(), child.as_fd())
                .map_err(|errno| file::failed("initialise the cpuset of", &at, errno))?;
        }
        directory = child;
    }
    hand_down(hierarchy, directory.as_fd()).map_err(|errno| not_handed_down(&at, errno))?;
    Ok(directory)
}

fn not_handed_down(path: &Path, errno: Errno) -> Error {
    match errno {
        Errno::BUSY => Error::HoldsProcesses {
            path: path.to_path_buf(),
        },
        errno => file::failed("enable controllers in", path, errno),
    }
}

/// Version 2: lets the children of a group have every controller that the group has.
///
/// One by one, as a single unavailable controller would fail the whole write. `cgroup-v2.rst`,
/// "Enabling and Disabling".
fn hand_down(hierarchy: &Hierarchy, directory: BorrowedFd<'_>) -> Result<(), Errno> {
    if hierarchy.version == Version::V1 {
        return Ok(());
    }
    let offered = file::read_at(directory, "cgroup.controllers")?;
    let enabled = file::read_at(directory, "cgroup.subtree_control")?;
    for name in offered.split_whitespace() {
        let wanted = Controller::named(name).is_some();
        if wanted && !enabled.split_whitespace().any(|enabled| enabled == name) {
            match file::write_at(directory, "cgroup.subtree_control", &format!("+{name}")) {
                // ENODEV, EOPNOTSUPP: this kernel cannot delegate the controller here; a limit that
                // needs it is refused by name when it is asked for.
                Ok(()) | Err(Errno::NODEV | Errno::OPNOTSUPP | Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Version 1: a cpuset admits nobody until it has CPUs and memory nodes; children copy the parent's.
///
/// `cgroup-v1/cpusets.rst`, `cgroup.clone_children`.
fn initialise_cpuset(parent: BorrowedFd<'_>, child: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if file::read_at(child, name)?.trim().is_empty() {
            file::write_at(child, name, file::read_at(parent, name)?.trim())?;
        }
    }
    file::write_at(child, "cgroup.clone_children", "1")
}

fn open_directory<P: rustix::path::Arg>(directory: BorrowedFd<'_>, path: P) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        directory,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )
}

/// Names of the groups directly below `path`; none when it does not exist.
pub(super) fn subdirectories(directory: BorrowedFd<'_>, path: &str) -> Result<Vec<String>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = match rustix::fs::openat(directory, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut names = Vec::new();
    for entry in Dir::new(opened)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && entry.file_type() == FileType::Directory
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
