//! What a process writes: read, kept, and passed on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, read};

use crate::log::Stream;

/// The reading side of a process' stdout, stderr or terminal.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stream: Stream,
    source: OwnedFd,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    Bytes(usize),
    Nothing,
    End,
}

/// The most that is read at once.
pub(super) const CHUNK_BYTES: usize = 128 * 1024;

impl Output {
    /// `source` is non-blocking.
    pub(super) fn new(stream: Stream, source: OwnedFd) -> Output {
        Output { stream, source }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// Reads what is there. A terminal without a process' side reads as EIO. Source: pty(7).
    pub(super) fn read(&self, buffer: &mut [u8]) -> Got {
        match read(&self.source, buffer) {
            Ok(0) => Got::End,
            Ok(count) => Got::Bytes(count),
            Err(Errno::AGAIN | Errno::INTR) => Got::Nothing,
            Err(_) => Got::End,
        }
    }
}
