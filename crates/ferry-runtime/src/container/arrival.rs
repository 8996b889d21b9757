//! Waiting for a process to arrive at the point where it could execute its program.

use std::os::fd::{AsFd, OwnedFd};

use ferry_sys::process::Child;
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
};

use crate::{
    Fault, Signal,
    protocol::{self, Event},
};

/// A process that waits, and the controlling side of its terminal if it made one.
pub(crate) type Arrived = (Child, Option<OwnedFd>);

/// What its maker does when a container waits with its root not yet entered: gives the state that it goes on with.
pub(crate) type Prepared<'a> = &'a mut dyn FnMut(&Child) -> Result<Vec<u8>, Fault>;

/// For processes that do not stop there.
pub(crate) fn never(_: &Child) -> Result<Vec<u8>, Fault> {
    Err(Fault::Died)
}

/// A socket between a monitor and its process: the monitor's end first.
pub(crate) fn channel() -> Result<(OwnedFd, OwnedFd), Fault> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(Fault::system("socketpair"))
}

/// Waits until the child has made itself ready; if it fails, nothing of it is left.
pub(crate) fn of_child(child: Child, channel: &OwnedFd, prepared: Prepared<'_>) -> Result<Arrived, Fault> {
    match hear(&child, channel, prepared) {
        Ok(terminal) => Ok((child, terminal)),
        Err(fault) => {
            end(&child);
            Err(fault)
        }
    }
}

fn hear(child: &Child, channel: &OwnedFd, prepared: Prepared<'_>) -> Result<Option<OwnedFd>, Fault> {
    loop {
        match next_event(channel)? {
            (Event::Ready, terminal) => return Ok(terminal),
            (Event::Prepared, _) => go_on(child, channel, prepared)?,
            (Event::Failed(fault), _) => return Err(fault),
            (Event::Forked { .. } | Event::NotStarted(_), _) => return Err(Fault::Died),
        }
    }
}

fn go_on(child: &Child, channel: &OwnedFd, prepared: Prepared<'_>) -> Result<(), Fault> {
    let state = prepared(child)?;
    protocol::send(channel.as_fd(), &state, &[]).map_err(Fault::system("sendmsg"))
}

/// As [`of_child`] for a child that makes the real one as its sibling, and ends. What the two say
/// may come in any order.
pub(crate) fn of_launched(launcher: Child, channel: &OwnedFd, prepared: Prepared<'_>) -> Result<Arrived, Fault> {
    let mut child = None;
    let mut ready = None;
    let outcome = hear_both(channel, &mut child, &mut ready, prepared);
    end(&launcher);
    match (outcome, child, ready) {
        (Ok(()), Some(child), Some(terminal)) => Ok((child, terminal)),
        (outcome, child, _) => {
            child.iter().for_each(end);
            Err(outcome.err().unwrap_or(Fault::Died))
        }
    }
}

fn hear_both(
    channel: &OwnedFd,
    child: &mut Option<Child>,
    ready: &mut Option<Option<OwnedFd>>,
    prepared: Prepared<'_>,
) -> Result<(), Fault> {
    let mut waits = false;
    while child.is_none() || ready.is_none() {
        if let (true, Some(child)) = (waits, &child) {
            go_on(child, channel, &mut *prepared)?;
            waits = false;
        }
        match next_event(channel)? {
            (Event::Prepared, _) => waits = true,
            (Event::Forked { pid }, _) => *child = Some(adopt(pid)?),
            (Event::Ready, terminal) => *ready = Some(terminal),
            (Event::Failed(fault), _) => return Err(fault),
            (Event::NotStarted(_), _) => return Err(Fault::Died),
        }
    }
    Ok(())
}

/// A descriptor of a process that became this one's child by being cloned with CLONE_PARENT: until
/// it is waited for its id cannot be another's.
fn adopt(pid: i32) -> Result<Child, Fault> {
    let number = Pid::from_raw(pid).ok_or(Fault::Died)?;
    let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(Fault::system("pidfd_open"))?;
    Ok(Child { pid, pidfd })
}

fn next_event(channel: &OwnedFd) -> Result<(Event, Option<OwnedFd>), Fault> {
    let frame = protocol::receive(channel.as_fd())
        .map_err(Fault::system("recvmsg"))?
        .ok_or(Fault::Died)?;
    let event = serde_json::from_slice(&frame.body).map_err(|_| Fault::Died)?;
    Ok((event, frame.descriptors.into_iter().next()))
}

/// Kills a child and waits for its end.
pub(crate) fn end(child: &Child) {
    // It may be dead already; that is what is wanted.
    let _ = ferry_sys::signals::send(child.pidfd.as_fd(), Signal::KILL.number());
    let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
}
