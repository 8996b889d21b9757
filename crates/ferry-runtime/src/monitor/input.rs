//! What a process reads: collected from attached clients, passed on as it takes it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, write};

use crate::Stdin;

/// The writing side of a process' stdin or terminal.
#[derive(Debug)]
pub(super) struct Input {
    sink: Option<OwnedFd>,
    pending: Vec<u8>,
    when_clients_end: WhenClientsEnd,
    closing: Closing,
}

/// What the end of a client's input means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenClientsEnd {
    Close,
    StayOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    OncePassedOn,
}

/// Clients are not read from while this waits for the process.
const PENDING_MAX_BYTES: usize = 64 * 1024;

impl Input {
    /// A process without input.
    pub(super) fn none() -> Input {
        Input::new(None, WhenClientsEnd::StayOpen)
    }

    /// A pipe; `sink` is non-blocking.
    pub(super) fn pipe(sink: OwnedFd, stdin: Stdin) -> Input {
        let when = match stdin {
            Stdin::Once => WhenClientsEnd::Close,
            Stdin::Open | Stdin::Closed => WhenClientsEnd::StayOpen,
        };
        Input::new(Some(sink), when)
    }

    /// A terminal, which ends by a character if at all; `sink` is non-blocking.
    pub(super) fn terminal(sink: OwnedFd) -> Input {
        Input::new(Some(sink), WhenClientsEnd::StayOpen)
    }

    fn new(sink: Option<OwnedFd>, when_clients_end: WhenClientsEnd) -> Input {
        Input {
            sink,
            pending: Vec::new(),
            when_clients_end,
            closing: Closing::No,
        }
    }

    /// Whether anything that clients write can reach the process.
    pub(super) fn is_open(&self) -> bool {
        self.sink.is_some() && self.closing == Closing::No
    }

    /// Whether more may be taken from clients now.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < PENDING_MAX_BYTES
    }

    /// The descriptor to wait for, if something waits for it.
    pub(super) fn waiting(&self) -> Option<BorrowedFd<'_>> {
        if self.pending.is_empty() {
            None
        } else {
            self.sink.as_ref().map(AsFd::as_fd)
        }
    }

    /// Takes bytes from a client.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.is_open() {
            self.pending.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// A client that could write has ended its input.
    pub(super) fn client_ended(&mut self) {
        if self.when_clients_end == WhenClientsEnd::Close {
            self.closing = Closing::OncePassedOn;
            self.flush();
        }
    }

    /// Passes on what the process takes.
    pub(super) fn flush(&mut self) {
        let Some(sink) = &self.sink else { return };
        let mut passed_on = 0;
        let mut broken = false;
        while passed_on < self.pending.len() {
            match write(sink, &self.pending[passed_on..]) {
                Ok(count) => passed_on += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        self.pending.drain(..passed_on);
        if broken || (self.closing == Closing::OncePassedOn && self.pending.is_empty()) {
            self.close();
        }
    }

    /// Ends the process' input at once.
    pub(super) fn close(&mut self) {
        self.sink = None;
        self.pending = Vec::new();
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        self.pending.shrink_to_fit();
    }
}
