//! Loading a filter of system calls.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// One instruction of classic BPF. Source: `linux/filter.h`, struct sock_filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Filters the calling thread, and what it forks and executes, from now on. `EACCES` without
/// CAP_SYS_ADMIN unless no_new_privs is set, `EINVAL` for a program that the kernel does not accept.
/// `flags` are SECCOMP_FILTER_FLAG_*. Source: seccomp(2), SECCOMP_SET_MODE_FILTER.
pub fn install(program: &[Instruction], flags: u64) -> io::Result<()> {
    set(program, flags).map(drop)
}

/// As [`install`], and gives the descriptor by which calls that the filter reports are answered.
/// Source: seccomp_unotify(2), SECCOMP_FILTER_FLAG_NEW_LISTENER.
pub fn install_with_listener(program: &[Instruction], flags: u64) -> io::Result<OwnedFd> {
    let number = set(program, flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    let number = i32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: on success the kernel has made a new descriptor of which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn set(program: &[Instruction], flags: u64) -> io::Result<i64> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let fprog = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `fprog` points at `len` instructions of the kernel's own layout, which are only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const fprog,
        )
    };
    if result >= 0 {
        Ok(result)
    } else {
        Err(io::Error::last_os_error())
    }
}
