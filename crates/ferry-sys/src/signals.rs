//! Signals: sending by descriptor, and the dispositions a program is to start with.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
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
///
/// The two that glibc keeps to itself too, which an engine may have been started with ignored.
pub fn reset() {
    for signal in 1..=SIGNAL_MAX {
        set(signal, libc::SIG_DFL);
    }
    let mut none = mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) initialises the set that it is given.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set is initialised; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
}

/// The end of a child.
pub const CHILD: i32 = libc::SIGCHLD;
/// Reading from a terminal that another group has.
pub const TERMINAL_INPUT: i32 = libc::SIGTTIN;
/// Writing to a terminal that another group has.
pub const TERMINAL_OUTPUT: i32 = libc::SIGTTOU;

/// What a process does to itself by a fault: to have these wait would hide it.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Has all signals wait but those of faults. Source: sigprocmask(2).
pub fn block() {
    let set = blockable();
    // SAFETY: the set is initialised; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) };
}

/// Waits for the next of the signals that [`block`] holds back. Source: sigwaitinfo(2).
pub fn next_blocked() -> io::Result<i32> {
    let set = blockable();
    // SAFETY: the set is initialised; no information about the signal is asked for.
    let signal = unsafe { libc::sigwaitinfo(&raw const set, ptr::null_mut()) };
    if signal > 0 {
        Ok(signal)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn blockable() -> libc::sigset_t {
    let mut set = mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset(3) initialises the set that it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: it was initialised just now.
    let mut set = unsafe { set.assume_init() };
    for fault in FAULTS {
        // SAFETY: the set is initialised, and the number is a signal's.
        unsafe { libc::sigdelset(&raw mut set, fault) };
    }
    set
}

/// Sends a signal by number to a child that was not waited for yet, real-time ones included. Source: kill(2).
pub fn send_to(child: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) touches no memory.
    let result = unsafe { libc::kill(child, signal) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets writes to closed pipes and sockets fail with EPIPE instead of killing the process.
pub fn ignore_broken_pipes() {
    set(libc::SIGPIPE, libc::SIG_IGN);
}

/// Undoes [`ignore_broken_pipes`].
pub fn die_of_broken_pipes() {
    set(libc::SIGPIPE, libc::SIG_DFL);
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

/// Blocks these signals and gives a descriptor from which [`next`] reads them. What is forked afterwards has them
/// blocked too, until [`reset`]. Source: signalfd(2).
pub fn take_over(numbers: &[i32]) -> io::Result<OwnedFd> {
    let mut set = mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: it was initialised just now.
    let mut set = unsafe { set.assume_init() };
    for number in numbers {
        // SAFETY: the set is initialised; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut set, *number) };
    }
    // SAFETY: the set is initialised; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    // SAFETY: the set is initialised and lives through the call.
    let number = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: on success the kernel has made a new descriptor of which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Waits for a signal at a descriptor of [`take_over`]. The number is the structure's first member.
pub fn next(descriptor: BorrowedFd<'_>) -> io::Result<i32> {
    let mut information = [0_u8; size_of::<libc::signalfd_siginfo>()];
    // SAFETY: the buffer is as long as is said.
    let bytes = unsafe {
        libc::read(
            descriptor.as_raw_fd(),
            information.as_mut_ptr().cast(),
            information.len(),
        )
    };
    if bytes < 0 {
        return Err(io::Error::last_os_error());
    }
    let [a, b, c, d, ..] = information;
    Ok(i32::from_ne_bytes([a, b, c, d]))
}

/// Sends a signal, real-time ones included. Source: pidfd_send_signal(2).
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; a null pointer asks for the usual information.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The kernel's own call, because glibc's does not let anybody near signals 32 and 33.
fn set(signal: libc::c_int, disposition: libc::sighandler_t) {
    // The beginning of the kernel's structure is the handler, on every architecture but MIPS; the
    // rest (flags, restorer, mask) is to be zero for dispositions that run no code.
    let mut action = [0_usize; KERNEL_SIGACTION_WORDS];
    action[0] = disposition;
    // SAFETY: the structure is large enough and lives through the call; no old one is asked for.
    // Neither default nor ignore runs code of ours. It fails for SIGKILL and SIGSTOP, whose
    // disposition is the default anyway. Source: rt_sigaction(2).
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            action.as_ptr(),
            ptr::null::<libc::c_void>(),
            SIGNAL_SET_BYTES,
        )
    };
}

const SIGNAL_MAX: libc::c_int = 64;
const SIGNAL_SET_BYTES: usize = 8;
/// Handler, flags, restorer, mask.
const KERNEL_SIGACTION_WORDS: usize = 4;
