//! A client that is attached to a process' streams.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    io::{Errno, read},
    net::{SendFlags, send},
};

use crate::{AttachOptions, log::Stream};

/// How output is written to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// As it is: there is one stream.
    Raw,
    /// Behind eight bytes: stream number, three zeros, big-endian length.
    /// Source: Docker Engine API ContainerAttach, "Stream format".
    Headers,
}

/// One attached client.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    options: AttachOptions,
    framing: Framing,
    /// What it has not taken yet.
    pending: Vec<u8>,
    input: InputSide,
    health: Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputSide {
    Open,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Present,
    Gone,
}

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    Nothing,
    /// It will write no more.
    End,
}

/// A client that has not taken this much stops the process' output.
const PENDING_MAX_BYTES: usize = 64 * 1024;

impl Client {
    /// `socket` is non-blocking.
    pub(super) fn new(socket: OwnedFd, options: AttachOptions, framing: Framing) -> Client {
        Client {
            socket,
            options,
            framing,
            pending: Vec::new(),
            input: if options.stdin {
                InputSide::Open
            } else {
                InputSide::Ended
            },
            health: Health::Present,
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.health == Health::Gone
    }

    /// Whether it may still write to the process.
    pub(super) fn may_write(&self) -> bool {
        self.input == InputSide::Open
    }

    /// Whether something waits for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether so much waits for it that the process has to wait as well.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX_BYTES
    }

    /// Passes output on, if the client wants that stream.
    pub(super) fn offer(&mut self, stream: Stream, bytes: &[u8]) {
        let (wanted, number) = match (self.framing, stream) {
            (Framing::Raw, _) => (self.options.stdout || self.options.stderr, 1),
            (Framing::Headers, Stream::Stdout) => (self.options.stdout, 1),
            (Framing::Headers, Stream::Stderr) => (self.options.stderr, 2),
        };
        if !wanted || self.is_gone() {
            return;
        }
        if self.framing == Framing::Headers {
            // Chunks are far below 4 GiB.
            let [a, b, c, d] = (bytes.len() as u32).to_be_bytes();
            self.pending.extend_from_slice(&[number, 0, 0, 0, a, b, c, d]);
            self.pending.extend_from_slice(bytes);
            self.flush();
            return;
        }
        let taken = if self.pending.is_empty() { self.write(bytes) } else { 0 };
        self.pending.extend_from_slice(&bytes[taken..]);
    }

    /// Passes on what it takes now.
    pub(super) fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let taken = self.write(&pending);
        self.pending = pending;
        self.pending.drain(..taken);
        if self.is_gone() {
            self.pending = Vec::new();
        }
    }

    /// Reads what it wrote.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        match read(&self.socket, buffer) {
            Ok(0) => {
                self.input = InputSide::Ended;
                Received::End
            }
            Ok(count) => Received::Bytes(count),
            Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Err(_) => {
                self.input = InputSide::Ended;
                self.health = Health::Gone;
                Received::End
            }
        }
    }

    /// It has closed its socket, and everything that it wrote was read.
    pub(super) fn hung_up(&mut self) {
        if self.input == InputSide::Ended {
            self.health = Health::Gone;
        }
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        self.pending.shrink_to_fit();
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            match send(&self.socket, &bytes[taken..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => taken += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.health = Health::Gone;
                    break;
                }
            }
        }
        taken
    }
}
