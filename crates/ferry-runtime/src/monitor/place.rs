//! A monitor's folder: its lock, its socket and its notes.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, openat, unlinkat},
    io::{Errno, write},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
};
use serde::{Deserialize, Serialize};

use crate::{
    Fault,
    cgroup::{ChildName, ParentPath},
};

/// Name of the socket in the folder.
pub(crate) const SOCKET: &str = "monitor.sock";
/// Name of the notes in the folder.
pub(crate) const NOTES: &str = "monitor.json";

/// What whoever cleans up after a monitor that was killed has to know. Versioned, one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    pub(crate) version: u32,
    pub(crate) id: String,
    /// The cgroup that the monitor makes and removes; `None` for an exec.
    pub(crate) cgroup: Option<ChildName>,
    /// Where that lies, if not below the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup_parent: Option<ParentPath>,
}

impl Notes {
    pub(crate) const VERSION: u32 = 1;
}

/// The folder while it is this monitor's; a lock, which ends with the process, says that it is.
#[derive(Debug)]
pub(super) struct Place {
    folder: OwnedFd,
    pub(super) listener: OwnedFd,
}

/// How long a monitor that has told its end may take to tidy up.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const BACKLOG: i32 = 64;

impl Place {
    /// Takes the folder, waiting for a former monitor of it to finish, writes the notes and listens.
    pub(super) fn claim(path: &Path, notes: &Notes) -> Result<Place, Fault> {
        let fault = |errno: crate::Errno| Fault::StateDir {
            path: path.to_owned(),
            errno,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(|e| fault(e.into()))?;
        lock(&folder).map_err(|e| fault(e.into()))?;
        write_notes(&folder, notes).map_err(|e| fault(e.into()))?;
        let listener = open_socket(&folder).map_err(|e| fault(e.into()))?;
        Ok(Place { folder, listener })
    }

    /// Leaves nothing in the folder and gives it up.
    pub(super) fn release(self) {
        for name in [SOCKET, NOTES] {
            // What is not there needs no removal; nobody could be told about anything else.
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
        let _ = flock(&self.folder, FlockOperation::Unlock);
    }
}

/// Takes a state folder from a monitor that may be about to end; `EBUSY` if it does not.
pub(crate) fn lock(folder: &OwnedFd) -> Result<(), Errno> {
    let mut waited = Duration::ZERO;
    loop {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if waited < PATIENCE => {
                std::thread::sleep(LOOK_AGAIN);
                waited += LOOK_AGAIN;
            }
            Err(Errno::WOULDBLOCK) => return Err(Errno::BUSY),
            other => return other,
        }
    }
}

fn write_notes(folder: &OwnedFd, notes: &Notes) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(folder, NOTES, flags, Mode::from_raw_mode(0o600))?;
    let body = serde_json::to_vec(notes).map_err(|_| Errno::INVAL)?;
    write(&file, &body).map(drop)
}

/// A path through the descriptor, for which the folder's own path may be as long as it likes.
fn open_socket(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    match unlinkat(folder, SOCKET, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &address(folder)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// The socket's address for a process that holds the folder open.
pub(crate) fn address(folder: &OwnedFd) -> Result<SocketAddrUnix, Errno> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET);
    SocketAddrUnix::new(path)
}
