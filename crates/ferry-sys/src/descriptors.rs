//! The descriptor table as a whole: taking what was inherited, closing the rest.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// What [`close_from`] does with the descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// They are closed now.
    Now,
    /// They are closed by the next execve(2).
    OnExec,
}

/// Takes over a descriptor that the process was started with, once.
///
/// For the first thing in `main`: `None` if it is not open, or if this was called before for any
/// number in this process.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    use std::sync::atomic::{AtomicBool, Ordering};
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: fcntl(2) F_GETFD on any number touches no memory.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: the number is open, and given out only once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes all descriptors from `first` on that are not in `keep`. Source: close_range(2).
///
/// For processes that were just forked and for which the values that owned the descriptors are
/// lost: those values must never be used or dropped in this process, which ends by execve(2) or
/// [`crate::process::exit_now`].
pub fn close_from(first: RawFd, keep: &[RawFd], closing: Closing) -> io::Result<()> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter(|fd| **fd >= first)
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    keep.sort_unstable();
    let mut from = u32::try_from(first).unwrap_or(0);
    for kept in keep {
        if kept > from {
            close_range(from, kept - 1, closing)?;
        }
        from = kept + 1;
    }
    close_range(from, u32::MAX, closing)
}

fn close_range(first: u32, last: u32, closing: Closing) -> io::Result<()> {
    let flags = match closing {
        Closing::Now => 0,
        Closing::OnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: close_range(2) touches no memory; see the condition on `close_from`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
