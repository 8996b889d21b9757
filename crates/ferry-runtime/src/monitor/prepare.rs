//! Making the namespace for emulators: an order that makes no monitor.

use std::os::fd::OwnedFd;

use ferry_sys::process::exit_now;

use super::answer;
use crate::{
    Fault,
    emulation::{Interpreter, Namespace},
    protocol::Answer,
};

/// Makes the namespace and hands its two descriptors over; the process ends then.
pub(super) fn emulation(connection: &OwnedFd, interpreters: &[Interpreter]) -> Result<std::convert::Infallible, Fault> {
    let namespace = Namespace::create(interpreters)?;
    let descriptors = [namespace.user_namespace(), namespace.binfmt_mount()];
    answer(connection, &Answer::Done, &descriptors);
    exit_now(0)
}
