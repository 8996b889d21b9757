//! Handing a terminal to whoever listens on the console socket.

use std::{
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};

use super::Error;
use crate::WindowSize;

/// What terminals are called by name on the other side, as runc calls them.
const NAME: &[u8] = b"/dev/ptmx";

/// Connects to a socket on the host, by a path that may be long.
pub(super) fn connect_to(path: &Path, what: &'static str) -> Result<OwnedFd, Error> {
    let fault = |errno: rustix::io::Errno| Error::File {
        operation: what,
        path: path.to_owned(),
        errno: errno.into(),
    };
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(fault)?;
    let address = SocketAddrUnix::new(path).map_err(fault)?;
    connect(&socket, &address).map_err(fault)?;
    Ok(socket)
}

/// Sends the controlling side.
pub(super) fn hand_over(socket: &OwnedFd, path: &Path, terminal: &OwnedFd) -> Result<(), Error> {
    let descriptors = [terminal.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(NAME)], &mut control, SendFlags::NOSIGNAL).map_err(|errno| Error::File {
        operation: "send the terminal to",
        path: path.to_owned(),
        errno: errno.into(),
    })?;
    Ok(())
}

/// The size that a spec asks for; zeroes are the kernel's own beginning.
pub(super) fn size(process: &oci_spec::runtime::Process) -> WindowSize {
    let fits = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    process
        .console_size()
        .map_or(WindowSize { rows: 0, columns: 0 }, |size| WindowSize {
            rows: fits(size.height()),
            columns: fits(size.width()),
        })
}
