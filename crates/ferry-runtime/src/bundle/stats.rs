//! Operations on a container's cgroup: pause, resume, limits, processes, figures.

use oci_spec::runtime::LinuxResources;

use super::{ContainerId, Error, Home, Record, Status, Warnings, status::status};
use crate::cgroup::{Cgroup, Stats};

fn cgroup_of(
    home: &Home,
    id: &ContainerId,
    operation: &'static str,
    fits: impl Fn(Status) -> bool,
) -> Result<Cgroup, Error> {
    let record = Record::load(home, id)?;
    let status = status(home, id, &record)?;
    if !fits(status) {
        return Err(Error::Status {
            operation,
            id: id.to_string(),
            status,
        });
    }
    record.cgroup()?.ok_or_else(|| Error::NotRunning { id: id.to_string() })
}

/// Stops every process of a container.
pub fn pause(home: &Home, id: &ContainerId) -> Result<(), Error> {
    let fits = |status| matches!(status, Status::Running | Status::Created);
    Ok(cgroup_of(home, id, "pause", fits)?.freeze()?)
}

/// Lets them go on.
pub fn resume(home: &Home, id: &ContainerId) -> Result<(), Error> {
    Ok(cgroup_of(home, id, "resume", |status| status == Status::Paused)?.thaw()?)
}

/// The numbers of a container's processes.
pub fn processes(home: &Home, id: &ContainerId) -> Result<Vec<i32>, Error> {
    let pids = cgroup_of(home, id, "list the processes of", |_| true)?.procs()?;
    Ok(pids.iter().map(|pid| pid.as_raw_nonzero().get()).collect())
}

/// What a container uses.
pub fn stats(home: &Home, id: &ContainerId) -> Result<Stats, Error> {
    let fits = |status| status != Status::Stopped && status != Status::Creating;
    Ok(cgroup_of(home, id, "measure", fits)?.stats()?)
}

/// Changes a container's limits; what is absent stays.
pub fn update(home: &Home, id: &ContainerId, resources: &LinuxResources) -> Result<Warnings, Error> {
    let fits = |status| status != Status::Stopped && status != Status::Creating;
    let ignored = cgroup_of(home, id, "update", fits)?.set(resources)?;
    Ok(ignored
        .iter()
        .map(|what| format!("{}: {}", what.field, what.reason))
        .collect())
}
