//! Settings below `/proc/sys/net`, which shows each thread those of its own network namespace.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use rustix::io::Errno;

use crate::error::Error;
use crate::link_name::LinkName;

const ROOT: &str = "/proc/sys/net";

/// Whether a setting had to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It had the value already.
    None,
    /// It has been written.
    Written,
    /// The kernel has no such setting; for IPv6, because it has no IPv6.
    Unknown,
}

/// Turns IPv6 off on one interface, so that it has no link-local address either.
pub(crate) fn disable_ipv6(link: &LinkName) -> Result<Change, Error> {
    write(&format!("ipv6/conf/{link}/disable_ipv6"), "1")
}

/// Turns IPv6 on for one interface, whatever the namespace's default is.
pub(crate) fn enable_ipv6(link: &LinkName) -> Result<Change, Error> {
    write(&format!("ipv6/conf/{link}/disable_ipv6"), "0")
}

/// Makes one interface ignore router advertisements.
pub(crate) fn ignore_router_advertisements(link: &LinkName) -> Result<Change, Error> {
    write(&format!("ipv6/conf/{link}/accept_ra"), "0")
}

/// Writes `value` unless it is there already, so that read-only `/proc/sys` is no obstacle where nothing is to be done.
pub(crate) fn write(setting: &str, value: &'static str) -> Result<Change, Error> {
    let path = PathBuf::from(format!("{ROOT}/{setting}"));
    let failed = |error: std::io::Error| Error::Sysctl {
        path: path.clone(),
        value,
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    };
    let mut present = [0; 16];
    let length = match fs::File::open(&path).and_then(|mut file| file.read(&mut present)) {
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Change::Unknown),
        Err(error) => return Err(failed(error)),
    };
    if present
        .get(..length)
        .is_some_and(|bytes| bytes.trim_ascii() == value.as_bytes())
    {
        return Ok(Change::None);
    }
    fs::write(&path, value).map_err(failed)?;
    Ok(Change::Written)
}
