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
pub(super) type Arrived = (Child, Option<OwnedFd>);

/// A socket between a monitor and its process: the monitor's end first.
pub(super) fn channel() -> Result<(OwnedFd, OwnedFd), Fault> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(Fault::system("socketpair"))
}

/// Waits until the child has made itself ready; if it fails, nothing of it is left.
pub(super) fn of_child(child: Child, channel: &OwnedFd) -> Result<Arrived, Fault> {
    let fault = match next_event(channel) {
        Ok((Event::Ready, terminal)) => return Ok((child, terminal)),
        Ok((Event::Failed(fault), _)) | Err(fault) => fault,
        Ok((Event::Forked { .. } | Event::NotStarted(_), _)) => Fault::Died,
    };
    end(&child);
    Err(fault)
}

/// As [`of_child`] for a child that makes the real one as its sibling, and ends. What the two say
/// may come in any order.
pub(super) fn of_launched(launcher: Child, channel: &OwnedFd) -> Result<Arrived, Fault> {
    let mut child = None;
    let mut ready = None;
    let outcome = hear_both(channel, &mut child, &mut ready);
    end(&launcher);
    match (outcome, child, ready) {
        (Ok(()), Some(child), Some(terminal)) => Ok((child, terminal)),
        (outcome, child, _) => {
            child.iter().for_each(end);
            Err(outcome.err().unwrap_or(Fault::Died))
        }
    }
}

fn hear_both(channel: &OwnedFd, child: &mut Option<Child>, ready: &mut Option<Option<OwnedFd>>) -> Result<(), Fault> {
    while child.is_none() || ready.is_none() {
        match next_event(channel)? {
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
pub(super) fn end(child: &Child) {
    // It may be dead already; that is what is wanted.
    let _ = ferry_sys::signals::send(child.pidfd.as_fd(), Signal::KILL.number());
    let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
}
