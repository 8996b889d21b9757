//! The zygote process: small, single-threaded, forks a monitor for each request.
//!
//! It reads nothing of what is asked for: a message on its socket is a connection, which it hands to
//! a fresh copy of itself, so that it stays as small as it began.

use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
};

use ferry_sys::{
    SingleThreaded, descriptors,
    process::{CloneOptions, Forked, ParentOfNew, clone, exit_now},
    signals::{self, Children},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
    io::write,
    process::{DumpableBehavior, chdir, set_dumpable_behavior, setsid, umask},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    cgroup::{Layout, Parent, ParentPath},
    monitor::{self, Inheritance},
    protocol,
};

/// `argv[1]` of the zygote process: the binary's main must call [`main`] when it sees this, before
/// it starts any thread or reads anything.
pub const ARGV1: &str = "ferry-zygote";

/// The socket's number in the zygote.
pub(crate) const SOCKET: i32 = 3;

const NAME: &CStr = c"ferry-zygote";

/// Entry of the zygote process; the socket to the engine is descriptor 3, `argv[2]` the
/// `oom_score_adj`, `argv[3]` the cgroup parent.
///
/// Ends with the process when the engine closes its side. Call it first thing in `main`.
pub fn main() -> ! {
    let Some(socket) = descriptors::inherited(SOCKET) else {
        exit_now(64)
    };
    let mut arguments = std::env::args().skip(2);
    let oom_score_adj = arguments.next().unwrap_or_default();
    let cgroup_parent = arguments.next().unwrap_or_default();
    if settle(&oom_score_adj).is_err() {
        exit_now(71)
    }
    let Ok(proof) = SingleThreaded::prove() else {
        exit_now(70)
    };
    let inheritance = Inheritance {
        proof,
        cgroups: open_cgroups(&cgroup_parent),
    };
    serve(&inheritance, socket)
}

/// Makes the process one of its own: nothing of the engine's surroundings reaches containers.
fn settle(oom_score_adj: &str) -> rustix::io::Result<()> {
    // Fails only for the leader of a process group, which is as good.
    let _ = setsid();
    let _ = rustix::thread::set_name(NAME);
    let _ = descriptors::close_from(SOCKET + 1, &[], descriptors::Closing::Now);
    let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    chdir("/")?;
    // Modes are given in full wherever something is made.
    umask(Mode::empty());
    signals::reset();
    signals::ignore_broken_pipes();
    signals::on_child_exit(Children::Reaped);
    // Its copies are in containers before they execute: not to be looked into from there.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    ferry_sys::memory::stay_small();
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = openat(CWD, "/proc/self/oom_score_adj", flags, Mode::empty()) {
        // Without CAP_SYS_RESOURCE it cannot be lowered: then engine and containers are equals.
        let _ = write(&file, oom_score_adj.as_bytes());
    }
    Ok(())
}

fn open_cgroups(parent: &str) -> Result<Parent, String> {
    let open = || Parent::open(&Layout::detect()?, &ParentPath::parse(parent)?);
    open().map_err(|error: crate::cgroup::Error| error.to_string())
}

/// How long nobody may ask for anything before memory is given back.
const REST_AFTER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Waits for a request; if it is long in coming, lets go of what is not needed for waiting.
fn rest_if_idle(socket: &OwnedFd) {
    let mut set = [PollFd::new(socket, PollFlags::IN)];
    if poll(&mut set, Some(&REST_AFTER)) == Ok(0) {
        ferry_sys::memory::rest();
    }
}

fn serve(inheritance: &Inheritance, socket: OwnedFd) -> ! {
    let options = CloneOptions {
        namespaces: Default::default(),
        parent: ParentOfNew::Caller,
        cgroup: None,
    };
    loop {
        rest_if_idle(&socket);
        let frame = match protocol::receive(socket.as_fd()) {
            Ok(Some(frame)) => frame,
            Ok(None) => exit_now(0),
            Err(_) => continue,
        };
        let Some(connection) = frame.descriptors.into_iter().next() else {
            continue;
        };
        // If the fork fails the connection closes, which tells the engine.
        if let Ok(Forked::Child) = clone(inheritance.proof, &options) {
            drop(socket);
            monitor::run(inheritance, connection)
        }
    }
}
