//! Signals: sending by descriptor, and the dispositions a program is to start with.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// What a process does with the end of its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// They become zombies until waited for.
    Waited,
    /// The kernel reaps them. Source: sigaction(2), SA_NOCLDWAIT and SIG_IGN.
    Reaped,
}

/// Sets every signal to its default and unblocks all, as an executed program expects to find them.
pub fn reset() {
    for signal in 1..=64 {
        set(signal, libc::SIG_DFL);
    }
    let mut none = mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) initialises the set that it is given.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set is initialised; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
}

/// Lets writes to closed pipes and sockets fail with EPIPE instead of killing the process.
pub fn ignore_broken_pipes() {
    set(libc::SIGPIPE, libc::SIG_IGN);
}

/// Chooses what becomes of ended children.
pub fn on_child_exit(children: Children) {
    set(
        libc::SIGCHLD,
        match children {
            Children::Waited => libc::SIG_DFL,
            Children::Reaped => libc::SIG_IGN,
        },
    );
}

/// Sends a signal, real-time ones included. Source: pidfd_send_signal(2).
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; a null pointer asks for the usual information.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            info,
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set(signal: libc::c_int, disposition: libc::sighandler_t) {
    // SAFETY: neither default nor ignore runs code of ours. Failure means that the signal's
    // disposition cannot be changed (SIGKILL, SIGSTOP, glibc's own), which is as good as default.
    unsafe { libc::signal(signal, disposition) };
}
