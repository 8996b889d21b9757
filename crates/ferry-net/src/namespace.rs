//! Doing something inside another network namespace without ever leaving the calling thread there.

use std::os::fd::BorrowedFd;
use std::thread;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Operation};

/// Enough for a netlink request; a small stack is cheap to map.
const STACK_LEN_BYTES: usize = 128 * 1024;

/// Runs `work` on a short-lived thread that has entered the network namespace. `setns(2)`
pub(crate) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("ferry-netns".to_owned())
            .stack_size(STACK_LEN_BYTES)
            .spawn_scoped(scope, || {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
                    .map_err(|errno| Error::kernel(Operation::EnterNamespace, "of the container", errno))?;
                work()
            })
            .map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::AGAIN);
                Error::kernel(Operation::StartThread, "for the container's network namespace", errno)
            })?;
        // A panic in there is one of ours and goes on in the caller.
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
