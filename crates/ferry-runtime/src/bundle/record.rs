//! What is written down of a container for the operations to come.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::{ContainerId, Error, Home, config, home::write_atomically};
use crate::cgroup::{Cgroup, ChildName, Layout, Parent, ParentPath};

/// A container as its folder knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Of this shape.
    pub version: u32,
    /// The version of the specification that its config.json follows.
    pub oci_version: String,
    /// Its id.
    pub id: String,
    /// Its bundle's folder, absolute.
    pub bundle: PathBuf,
    /// Its root file system's folder.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// Its annotations.
    pub annotations: HashMap<String, String>,
    /// Its first process; none while it is made.
    pub process: Option<ProcessRecord>,
    /// Whether config.json has a process: without one there is nothing to start.
    pub has_program: bool,
    /// Its cgroup's parent.
    pub cgroup_parent: ParentPath,
    /// Its cgroup's name there.
    pub cgroup_name: ChildName,
    /// Whether all its processes end with the first.
    pub private_pids: bool,
    /// Which hooks there are still to run, so that config.json need not be read for none.
    pub hooks_after_start: bool,
    /// As `hooks_after_start`, after its end.
    pub hooks_after_stop: bool,
}

/// A process that can be told from a later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: i32,
    /// When it began, in clock ticks since the boot. Source: proc_pid_stat(5), starttime.
    pub start_ticks: u64,
}

const VERSION: u32 = 1;
const FILE: &str = "record.json";
/// config.json as it was when the container was created: later changes have no effect.
const CONFIG: &str = "config.json";
/// Where the first process waits.
pub(super) const SOCKET: &str = "start";

impl Record {
    /// The version of records that are written.
    pub(super) const VERSION: u32 = VERSION;

    /// Reads a container's record.
    pub fn load(home: &Home, id: &ContainerId) -> Result<Record, Error> {
        let path = home.folder(id).join(FILE);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound { id: id.to_string() },
            _ => Error::file("read", &path)(error),
        })?;
        let record: Record = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        if record.version > VERSION {
            return Err(Error::Config {
                member: "version",
                problem: format!("{} was written by a newer release", path.display()),
            });
        }
        Ok(record)
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        write_atomically(&path, &bytes)
    }

    /// Its cgroup; `None` if not even its parent is there any more.
    pub(super) fn cgroup(&self) -> Result<Option<Cgroup>, Error> {
        let parent = Parent::find(&Layout::detect()?, &self.cgroup_parent)?;
        Ok(parent.map(|parent| parent.child(&self.cgroup_name)))
    }

    /// The spec that it was created with.
    pub(super) fn spec(&self, home: &Home, id: &ContainerId) -> Result<Spec, Error> {
        config::load(&home.folder(id).join(CONFIG)).map(|(spec, _)| spec)
    }
}

/// Keeps the config that a container is created with.
pub(super) fn keep_config(folder: &Path, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(CONFIG);
    fs::write(&path, bytes).map_err(Error::file("write", path))
}
