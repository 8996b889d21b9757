//! What a monitor makes outside of itself, and takes away again.

use std::{os::fd::OwnedFd, path::Path};

use super::place::{Notes, Place};
use crate::{
    Fault, Launch, Warning,
    cgroup::{Cgroup, Parent, ParentPath},
};

/// A folder with a socket and notes, and a container's cgroup. Dropped, they are gone.
#[derive(Debug)]
pub(super) struct Belongings {
    place: Option<Place>,
    cgroup: Option<Cgroup>,
}

impl Belongings {
    /// Those of an exec.
    pub(super) fn of_exec(id: &str, state_dir: &Path) -> Result<Belongings, Fault> {
        let notes = Notes {
            version: Notes::VERSION,
            id: id.to_owned(),
            cgroup: None,
            cgroup_parent: None,
        };
        let place = Place::claim(state_dir, &notes)?;
        Ok(Belongings {
            place: Some(place),
            cgroup: None,
        })
    }

    /// Those of a container, with its cgroup limited as the spec says. The notes come first, so
    /// that nothing is made of which nobody knows.
    pub(super) fn of_launch(launch: &Launch, parent: &Parent) -> Result<(Belongings, Cgroup, Vec<Warning>), Fault> {
        let notes = Notes {
            version: Notes::VERSION,
            id: launch.id.clone(),
            cgroup: Some(launch.cgroup.clone()),
            cgroup_parent: parent_in(launch)?,
        };
        let mut belongings = Belongings {
            place: Some(Place::claim(&launch.state_dir, &notes)?),
            cgroup: None,
        };
        let cgroup = parent.create(&launch.cgroup)?;
        belongings.cgroup = Some(cgroup.clone());
        let resources = launch
            .spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.resources().as_ref());
        let ignored = resources.map_or(Ok(Vec::new()), |resources| cgroup.set(resources))?;
        let warnings = ignored.iter().map(|what| Warning::LimitIgnored {
            what: format!("{}: {}", what.field, what.reason),
        });
        Ok((belongings, cgroup, warnings.collect()))
    }

    /// Where new connections come in.
    pub(super) fn listener(&self) -> Option<&OwnedFd> {
        self.place.as_ref().map(|place| &place.listener)
    }
}

/// The parent that the spec names for the container's cgroup; `None` for the usual one.
/// Source: OCI runtime-spec config-linux.md#cgroups-path.
pub(super) fn parent_in(launch: &Launch) -> Result<Option<ParentPath>, Fault> {
    let linux = launch.spec.linux().as_ref();
    let path = linux
        .and_then(|linux| linux.cgroups_path().as_ref())
        .and_then(|path| path.to_str());
    let parent = path
        .and_then(|path| path.strip_suffix(launch.cgroup.as_str()))
        .and_then(|path| path.strip_suffix('/'));
    Ok(parent.map(ParentPath::parse).transpose()?)
}

impl Drop for Belongings {
    fn drop(&mut self) {
        if let Some(cgroup) = self.cgroup.take()
            && cgroup.remove().is_err()
        {
            // What is left then is found by the engine, which knows the name.
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
        if let Some(place) = self.place.take() {
            place.release();
        }
    }
}
