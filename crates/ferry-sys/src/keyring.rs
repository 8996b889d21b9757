//! The session keyring of a process.

use std::{ffi::CStr, io};

/// Gives the process a session keyring of its own with this name. Source: keyctl(2),
/// KEYCTL_JOIN_SESSION_KEYRING.
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    if result >= 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
