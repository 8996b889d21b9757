//! `delete`: takes away what `create` made.

use std::{fs, os::fd::AsFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};

use super::{
    ContainerId, Error, Home, Record, Status, Warnings,
    record::ProcessRecord,
    signal::open_living,
    status::{state_bytes, status},
};
use crate::container::hook;

/// What becomes of a container that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// It is no container to delete.
    Refused,
    /// It is killed.
    Killed,
}

/// How long a killed process may take to be gone.
const END_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Deletes a container that has ended; with [`Running::Killed`] any, and one that is not there
/// is no error then.
pub fn delete(home: &Home, id: &ContainerId, running: Running) -> Result<Warnings, Error> {
    let folder = home.folder(id);
    let record = match Record::load(home, id) {
        Err(Error::NotFound { .. }) if running == Running::Killed => {
            // Nothing, or what a `create` that was killed at once left.
            return match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", folder)(error)),
                _ => Ok(Vec::new()),
            };
        }
        record => record?,
    };
    let status = status(home, id, &record)?;
    match (status, running) {
        (Status::Stopped, _) | (_, Running::Killed) => {}
        (status, Running::Refused) => {
            return Err(Error::Status {
                operation: "delete",
                id: id.to_string(),
                status,
            });
        }
    }
    let cgroup = record.cgroup()?;
    if status != Status::Stopped {
        if let Some(cgroup) = &cgroup {
            cgroup.kill_all()?;
        }
        end(id, record.process)?;
    }
    // Others of it live on where the host's pid namespace was theirs.
    if let Some(cgroup) = &cgroup
        && cgroup.remove().is_err()
    {
        cgroup.kill_all()?;
        cgroup.remove()?;
    }
    let hooks = match record.hooks_after_stop {
        true => record
            .spec(home, id)?
            .hooks()
            .as_ref()
            .and_then(|hooks| hooks.poststop().clone()),
        false => None,
    };
    fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
    let state = state_bytes(&record, Status::Stopped);
    let failed = |hook| hook::run(hook, "poststop", &state).err().map(|fault| fault.to_string());
    Ok(hooks.iter().flatten().filter_map(failed).collect())
}

/// Kills a process, wherever it is, and waits for its end.
pub(super) fn end(id: &ContainerId, process: Option<ProcessRecord>) -> Result<(), Error> {
    let Some((process, pidfd)) = process.and_then(|process| Some((process, open_living(process)?))) else {
        return Ok(());
    };
    // It may have left its cgroup, or be dead by now.
    let _ = ferry_sys::signals::send(pidfd.as_fd(), crate::Signal::KILL.number());
    let ended = retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&END_MAX)));
    if ended == Ok(0) {
        return Err(Error::DoesNotEnd {
            id: id.to_string(),
            pid: process.pid,
        });
    }
    Ok(())
}
