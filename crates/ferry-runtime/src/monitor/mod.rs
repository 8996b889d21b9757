//! A monitor: the process that makes one container, or one exec, and watches it to its end.
//!
//! Forked from the zygote without exec, it shares that process' memory and costs some tens of
//! kilobytes. One thread, one poll loop. It outlives the engine and the zygote; its own death takes
//! its process along.

mod belongings;
mod birth;
mod client;
mod ending;
mod input;
mod output;
mod place;
mod prepare;
mod request;
mod streams;
mod supervisor;

use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
};

use ferry_sys::{SingleThreaded, process::exit_now};

use crate::{
    cgroup,
    protocol::{self, Answer, Call, Refusal, Request, VERSION},
};

pub(crate) use place::{NOTES, Notes, SOCKET, address, lock};

/// What the zygote prepared for all its monitors.
#[derive(Debug)]
pub(crate) struct Inheritance {
    pub(crate) proof: SingleThreaded,
    /// The cgroup of all containers, or why it cannot be had.
    pub(crate) cgroups: Result<cgroup::Parent, String>,
}

const NAME: &CStr = c"ferry-monitor";

/// The life of a freshly forked process: it takes its one order from the connection and fulfils it.
pub(crate) fn run(inheritance: &Inheritance, connection: OwnedFd) -> ! {
    // Only a name for people.
    let _ = rustix::thread::set_name(NAME);
    ferry_sys::signals::on_child_exit(ferry_sys::signals::Children::Waited);
    let Ok(Some(frame)) = protocol::receive(connection.as_fd()) else {
        exit_now(0)
    };
    let request = serde_json::from_slice::<Request>(&frame.body);
    drop(frame.body);
    let call = match request {
        Ok(request) if request.version <= VERSION => request.call,
        _ => refuse(&connection, Refusal::Unknown { version: VERSION }),
    };
    let born = match call {
        Call::Launch { launch, emulation } => {
            birth::launch(inheritance, &connection, *launch, emulation, frame.descriptors)
        }
        Call::Exec { exec, container } => birth::exec(inheritance, *exec, &container, frame.descriptors),
        Call::PrepareEmulation { interpreters } => {
            prepare::emulation(&connection, &interpreters).map(|never| match never {})
        }
        _ => refuse(&connection, Refusal::Unknown { version: VERSION }),
    };
    match born {
        Ok(supervisor) => supervisor.run(connection),
        Err(fault) => refuse(&connection, Refusal::Launch(fault)),
    }
}

fn refuse(connection: &OwnedFd, refusal: Refusal) -> ! {
    answer(connection, &Answer::Refused(refusal), &[]);
    exit_now(1)
}

/// Sends an answer; a peer that does not take it does not get it.
fn answer(connection: &OwnedFd, answer: &Answer, descriptors: &[std::os::fd::BorrowedFd<'_>]) {
    if let Ok(body) = serde_json::to_vec(answer) {
        // The socket was empty before a request came, so that it is full only if the peer sends
        // without reading; and a peer that is gone needs no answer.
        let _ = protocol::try_send(connection.as_fd(), &body, descriptors);
    }
}
