//! Putting a device program in force for a version 2 group, and seeing that it is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ferry_sys::bpf;
use rustix::io::Errno;

use super::{Error, Rule, program};

/// The verifier says more than anybody reads.
const LOG_BYTES: usize = 16 << 10;

/// Puts rules in force for a version 2 group, in place of those that were before.
///
/// The new program is attached first and the old ones taken off then: in between both must agree,
/// so that no access slips through. `cgroup` is the group's directory.
pub fn enforce(cgroup: impl AsFd, rules: &[Rule]) -> Result<(), Error> {
    let cgroup = cgroup.as_fd();
    let program = load(rules)?;
    let before = attached(cgroup)?;
    bpf::attach_device_program(cgroup, program.as_fd()).map_err(attach)?;
    for id in before {
        match bpf::program_by_id(id) {
            Ok(old) => bpf::detach_device_program(cgroup, old.as_fd()).map_err(attach)?,
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
            Err(error) => return Err(attach(error)),
        }
    }
    let id = bpf::program_id(program.as_fd()).map_err(attach)?;
    if attached(cgroup)? == [id] {
        Ok(())
    } else {
        Err(Error::NotAttached)
    }
}

fn load(rules: &[Rule]) -> Result<std::os::fd::OwnedFd, Error> {
    let program = program(rules);
    bpf::load_device_program(&program, &mut []).or_else(|_| {
        // Once more, for the reason.
        let mut log = vec![0; LOG_BYTES];
        bpf::load_device_program(&program, &mut log).map_err(|error| Error::Load {
            errno: errno(&error),
            log: String::from_utf8_lossy(&log).trim_end_matches('\0').trim().to_owned(),
        })
    })
}

fn attached(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>, Error> {
    bpf::attached_device_programs(cgroup).map_err(attach)
}

fn attach(error: io::Error) -> Error {
    Error::Attach { errno: errno(&error) }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
