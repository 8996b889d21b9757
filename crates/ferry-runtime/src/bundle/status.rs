//! What state a container is in, from what the kernel says.

use std::{fmt, os::fd::AsFd};

use oci_spec::runtime::{ContainerState, State, StateBuilder};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use super::{
    ContainerId, Error, Home, Record,
    record::{ProcessRecord, SOCKET},
};

/// A container's state. Source: OCI runtime-spec runtime.md#state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being made.
    Creating,
    /// Its process waits.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are stopped by `pause`.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl Status {
    /// The specification's word, or runc's.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl ProcessRecord {
    /// The process with this number, as it is now.
    pub(super) fn of(pid: i32) -> Option<ProcessRecord> {
        let (start_ticks, _) = look(pid)?;
        Some(ProcessRecord { pid, start_ticks })
    }

    /// Whether it lives: it is there, is the same, and is no zombie.
    pub(super) fn lives(self) -> bool {
        look(self.pid)
            .is_some_and(|(start_ticks, state)| start_ticks == self.start_ticks && !matches!(state, 'Z' | 'X' | 'x'))
    }
}

/// When a process began and what state it is in. Source: proc_pid_stat(5).
fn look(pid: i32) -> Option<(u64, char)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &str) -> Option<(u64, char)> {
    // The name may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some((start_ticks, state))
}

/// What state a container is in.
pub fn status(home: &Home, id: &ContainerId, record: &Record) -> Result<Status, Error> {
    let Some(process) = record.process else {
        // Whoever makes it may have been killed, and its process with it: `delete --force` is for that.
        return Ok(Status::Creating);
    };
    if !process.lives() {
        return Ok(Status::Stopped);
    }
    if somebody_waits(home, id) {
        return Ok(Status::Created);
    }
    if record
        .cgroup()?
        .is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false))
    {
        return Ok(Status::Paused);
    }
    Ok(Status::Running)
}

/// Whether the first process listens still: the kernel closes its socket when the program begins.
fn somebody_waits(home: &Home, id: &ContainerId) -> bool {
    connect_to_start(home, id).is_ok()
}

/// A connection to a container's waiting process.
pub(super) fn connect_to_start(home: &Home, id: &ContainerId) -> Result<std::os::fd::OwnedFd, rustix::io::Errno> {
    let folder = openat(
        CWD,
        home.folder(id),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let address = start_address(folder.as_fd())?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &address)?;
    Ok(socket)
}

/// The socket's name by a descriptor of its folder: a path may be longer than a name of a socket.
pub(super) fn start_address(folder: std::os::fd::BorrowedFd<'_>) -> Result<SocketAddrUnix, rustix::io::Errno> {
    use std::os::fd::AsRawFd;
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

/// A container's state as hooks and callers get it.
pub(super) fn state_of(record: &Record, status: Status) -> State {
    let mut state = StateBuilder::default()
        .version(record.oci_version.clone())
        .id(record.id.clone())
        .status(match status {
            Status::Creating => ContainerState::Creating,
            Status::Created => ContainerState::Created,
            Status::Running | Status::Paused => ContainerState::Running,
            Status::Stopped => ContainerState::Stopped,
        })
        .bundle(record.bundle.clone())
        .build()
        .unwrap_or_default();
    if let Some(process) = record.process
        && status != Status::Stopped
    {
        state.set_pid(Some(process.pid));
    }
    if !record.annotations.is_empty() {
        state.set_annotations(Some(record.annotations.clone()));
    }
    state
}

/// As hooks get it on their standard input.
pub(super) fn state_bytes(record: &Record, status: Status) -> Vec<u8> {
    // Of strings and numbers: it cannot fail.
    serde_json::to_vec(&state_of(record, status)).unwrap_or_default()
}

/// A container's state in JSON, with what runc adds to the specification's members.
pub fn state(home: &Home, id: &ContainerId) -> Result<serde_json::Value, Error> {
    let record = Record::load(home, id)?;
    let status = status(home, id, &record)?;
    Ok(serde_json::json!({
        "ociVersion": record.oci_version,
        "id": record.id,
        "pid": record.process.filter(|_| status != Status::Stopped).map_or(0, |process| process.pid),
        "status": status.word(),
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": record.created,
        "annotations": record.annotations,
        "owner": "",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) Z 1) S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_stat(stat), Some((12345, 'S')));
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_lives() {
        let own = ProcessRecord::of(std::process::id().cast_signed()).unwrap();
        assert!(own.lives());
        let other = ProcessRecord {
            start_ticks: own.start_ticks + 1,
            ..own
        };
        assert!(!other.lives());
    }
}
