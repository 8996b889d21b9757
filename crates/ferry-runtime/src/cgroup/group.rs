//! One container's control group: enter, limit, stop, kill, measure, remove.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::{ChildName, Controller, Error, Parent, Version, file, parent::subdirectories};

/// A child of a [`Parent`] in every hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroup {
    parent: Parent,
    name: ChildName,
}

/// A group's directory in one hierarchy.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    index: usize,
    pub(super) version: Version,
    parent: BorrowedFd<'a>,
}

impl Cgroup {
    pub(super) fn new(parent: Parent, name: ChildName) -> Cgroup {
        Cgroup { parent, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChildName {
        &self.name
    }

    /// Its parent.
    #[must_use]
    pub fn parent(&self) -> &Parent {
        &self.parent
    }

    /// Path below the mount points, as `/proc/<pid>/cgroup` shows it.
    #[must_use]
    pub fn path(&self) -> String {
        match self.parent.path().as_str() {
            "" => format!("/{}", self.name.as_str()),
            parent => format!("/{parent}/{}", self.name.as_str()),
        }
    }

    /// Moves the calling thread, the only one of its process, into the group in every hierarchy.
    ///
    /// Version 1 takes "0" for the caller in `tasks`, which spares the lock that moving a whole
    /// process takes.
    pub fn join_self(&self) -> Result<(), Error> {
        self.each_place(|place| {
            let list = match place.version {
                Version::V1 => "tasks",
                Version::V2 => "cgroup.procs",
            };
            self.write(place, list, "0")
        })
    }

    /// Moves another process, all its threads, into the group.
    pub fn add(&self, pid: Pid) -> Result<(), Error> {
        let pid = pid.as_raw_nonzero().to_string();
        self.each_place(|place| self.write(place, "cgroup.procs", &pid))
    }

    /// The group's directory for `CLONE_INTO_CGROUP` on a version 2 host, `None` on version 1: a
    /// process born there needs no [`Self::join_self`]. `clone3(2)`.
    pub fn clone_into_fd(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(place) = self.unified() else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(place.parent, self.name.as_str(), flags, Mode::empty())
            .map(Some)
            .map_err(|errno| file::failed("open", &self.file_path(place, ""), errno))
    }

    /// Whether the group exists in any hierarchy.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.places().any(|place| {
            rustix::fs::accessat(
                place.parent,
                self.name.as_str(),
                rustix::fs::Access::EXISTS,
                rustix::fs::AtFlags::empty(),
            )
            .is_ok()
        })
    }

    /// Processes in the group and in groups below it, in the caller's pid namespace.
    ///
    /// A group that does not exist has none.
    pub fn procs(&self) -> Result<Vec<Pid>, Error> {
        let mut pids = Vec::new();
        if let Some(place) = self.census() {
            self.collect_procs(place, self.name.as_str(), &mut pids)?;
        }
        pids.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        pids.dedup();
        Ok(pids)
    }

    fn collect_procs(&self, place: Place<'_>, relative: &str, pids: &mut Vec<Pid>) -> Result<(), Error> {
        let list = format!("{relative}/cgroup.procs");
        match file::read_at(place.parent, &list) {
            Ok(text) => pids.extend(
                text.lines()
                    .filter_map(|line| line.parse().ok())
                    .filter_map(Pid::from_raw),
            ),
            // Gone meanwhile, or a threaded group, whose processes its domain lists.
            Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(self.failed("read", place, &list, errno)),
        }
        let below =
            subdirectories(place.parent, relative).map_err(|errno| self.failed("list", place, relative, errno))?;
        for name in below {
            self.collect_procs(place, &format!("{relative}/{name}"), pids)?;
        }
        Ok(())
    }

    /// The group in each hierarchy.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.parent.places().map(|(index, hierarchy, parent)| Place {
            index,
            version: hierarchy.version,
            parent,
        })
    }

    /// The group where a controller lives.
    pub(super) fn place_of(&self, controller: Controller) -> Option<Place<'_>> {
        self.parent.layout().find(controller).map(|index| self.place(index))
    }

    /// The group in the version 2 hierarchy.
    pub(super) fn unified(&self) -> Option<Place<'_>> {
        self.parent.layout().unified().map(|index| self.place(index))
    }

    /// The hierarchy that is asked who is in the group.
    pub(super) fn census(&self) -> Option<Place<'_>> {
        self.unified()
            .or_else(|| self.place_of(Controller::Freezer))
            .or_else(|| self.place_of(Controller::Pids))
            .or_else(|| self.places().next())
    }

    fn place(&self, index: usize) -> Place<'_> {
        Place {
            index,
            version: self.parent.layout().hierarchies()[index].version,
            parent: self.parent.directory(index),
        }
    }

    fn each_place(&self, action: impl Fn(Place<'_>) -> Result<(), Error>) -> Result<(), Error> {
        self.places().try_for_each(action)
    }

    pub(super) fn read(&self, place: Place<'_>, name: &str) -> Result<String, Errno> {
        file::read_at(place.parent, &self.relative(name))
    }

    pub(super) fn write(&self, place: Place<'_>, name: &str, value: &str) -> Result<(), Error> {
        self.try_write(place, name, value)
            .map_err(|errno| file::failed(&format!("write {value:?} to"), &self.file_path(place, name), errno))
    }

    pub(super) fn try_write(&self, place: Place<'_>, name: &str, value: &str) -> Result<(), Errno> {
        file::write_at(place.parent, &self.relative(name), value)
    }

    pub(super) fn open_for_writing(&self, place: Place<'_>, name: &str) -> Result<OwnedFd, Error> {
        file::open_for_writing(place.parent, &self.relative(name))
            .map_err(|errno| file::failed("open", &self.file_path(place, name), errno))
    }

    /// The parent's directory, to which [`Self::relative`] paths belong.
    pub(super) fn parent_directory<'a>(&self, place: Place<'a>) -> BorrowedFd<'a> {
        place.parent
    }

    pub(super) fn relative(&self, name: &str) -> String {
        format!("{}/{name}", self.name.as_str())
    }

    /// Absolute path of a file of the group, for errors.
    pub(super) fn file_path(&self, place: Place<'_>, name: &str) -> PathBuf {
        self.parent.child_path(place.index, &self.name).join(name)
    }

    fn failed(&self, operation: &str, place: Place<'_>, relative: &str, errno: Errno) -> Error {
        let group = self.parent.child_path(place.index, &self.name);
        file::failed(operation, &group.with_file_name(relative), errno)
    }
}
