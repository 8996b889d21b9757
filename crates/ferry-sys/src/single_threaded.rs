//! The proof that a process has one thread, which forking needs.

use std::{io, marker::PhantomData};

/// Says that the calling process has one thread, so that what it forks has no lock held by a thread
/// that does not exist there.
///
/// Neither `Send` nor `Sync`; whoever holds it must not start threads.
#[derive(Debug, Clone, Copy)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Counts the process' threads. `Unsupported` if there is more than one. Source: proc_pid_task(5).
    pub fn prove() -> io::Result<SingleThreaded> {
        let threads = std::fs::read_dir("/proc/self/task")?.take(2).count();
        if threads == 1 {
            Ok(SingleThreaded(PhantomData))
        } else {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the process has more than one thread",
            ))
        }
    }
}
