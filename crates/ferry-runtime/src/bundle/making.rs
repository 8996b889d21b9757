//! A container in the making: whatever it has so far is gone unless it is kept.

use std::{fs, path::PathBuf};

use ferry_sys::process::Child;

use crate::{cgroup::Cgroup, container::arrival};

/// What was made so far. Dropped, it is unmade, the last thing first.
#[derive(Debug)]
pub(super) struct Making {
    folder: Option<PathBuf>,
    cgroup: Option<Cgroup>,
    child: Option<Child>,
    pid_file: Option<PathBuf>,
}

impl Making {
    /// A container with a folder.
    pub(super) fn new(folder: PathBuf) -> Making {
        Making {
            folder: Some(folder),
            cgroup: None,
            child: None,
            pid_file: None,
        }
    }

    pub(super) fn has_cgroup(&mut self, cgroup: Cgroup) {
        self.cgroup = Some(cgroup);
    }

    pub(super) fn has_child(&mut self, child: Child) {
        self.child = Some(child);
    }

    pub(super) fn has_pid_file(&mut self, path: PathBuf) {
        self.pid_file = Some(path);
    }

    /// It is made: everything stays.
    pub(super) fn keep(mut self) -> Option<Child> {
        self.folder = None;
        self.cgroup = None;
        self.pid_file = None;
        self.child.take()
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            arrival::end(child);
        }
        if let Some(path) = &self.pid_file {
            let _ = fs::remove_file(path);
        }
        if let Some(cgroup) = &self.cgroup
            && cgroup.remove().is_err()
        {
            // What hooks left in it. If it stays nevertheless, the error that brought us here is the one to tell.
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
