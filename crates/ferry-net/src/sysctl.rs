//! Settings below `/proc/sys/net`, which shows each thread those of its own network namespace.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
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
pub(crate) fn disable_ipv6(link: &LinkName) -> Result<(), Error> {
    write(&format!("ipv6/conf/{link}/disable_ipv6"), "1")
}

/// Makes IPv6 usable on one interface as soon as it is up, whatever the namespace's defaults are: router advertisements
/// are ignored, and no time is spent on duplicate address detection (without a link-local address, the kernel does not
/// even ask for neighbours), since nobody but the engine gives out addresses there.
pub(crate) fn prepare_ipv6(link: &LinkName) -> Result<(), Error> {
    write(&format!("ipv6/conf/{link}/accept_ra"), "0")?;
    write(&format!("ipv6/conf/{link}/accept_dad"), "0")?;
    write(&format!("ipv6/conf/{link}/disable_ipv6"), "0")
}

/// Writes a value unless it is there already.
pub(crate) fn ensure(setting: &str, value: &'static str) -> Result<Change, Error> {
    match present(setting) {
        Present::Value(present) if present == value => Ok(Change::None),
        Present::Value(_) | Present::Unreadable => write(setting, value).map(|()| Change::Written),
        Present::Unknown => Ok(Change::Unknown),
    }
}

/// Writes a value. A setting that the kernel does not have, and one that cannot be written but has the value already
/// (in a container whose `/proc/sys` is read-only), are left alone.
fn write(setting: &str, value: &'static str) -> Result<(), Error> {
    let path = path(setting);
    let written = OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    let Err(error) = written else { return Ok(()) };
    match present(setting) {
        Present::Unknown => Ok(()),
        Present::Value(present) if present == value => Ok(()),
        _ => Err(Error::Sysctl {
            path,
            value,
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        }),
    }
}

enum Present {
    Value(String),
    Unknown,
    Unreadable,
}

fn present(setting: &str) -> Present {
    match fs::read_to_string(path(setting)) {
        Ok(text) => Present::Value(text.trim_ascii().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Present::Unknown,
        Err(_) => Present::Unreadable,
    }
}

fn path(setting: &str) -> PathBuf {
    PathBuf::from(format!("{ROOT}/{setting}"))
}
