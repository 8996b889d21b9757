//! A process' streams as its monitor holds them, and their other ends.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
};

use super::{input::Input, output::Output};
use crate::{
    Fault, Stdin, Stdio,
    container::{Streams, open_null},
    log::Stream,
};

/// The monitor's ends.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) outputs: Vec<Output>,
    pub(super) input: Input,
    /// The controlling side of the terminal, if there is one.
    pub(super) terminal: Option<OwnedFd>,
}

/// Room for a burst, so that a busy process and its monitor take fewer turns.
const PIPE_BYTES: usize = 256 * 1024;

/// Opens both sides; a terminal is made later, inside the container.
pub(super) fn open(stdio: &Stdio) -> Result<(Streams, Ends), Fault> {
    if let Some(size) = stdio.tty {
        let ends = Ends {
            outputs: Vec::new(),
            input: Input::none(),
            terminal: None,
        };
        return Ok((Streams::Terminal(size), ends));
    }
    let (stdin, input) = match stdio.stdin {
        Stdin::Closed => (open_null()?, Input::none()),
        stdin @ (Stdin::Open | Stdin::Once) => {
            let (reader, writer) = pipe()?;
            set_nonblocking(&writer)?;
            (reader, Input::pipe(writer, stdin))
        }
    };
    let (stdout, stdout_end) = output(Stream::Stdout)?;
    let (stderr, stderr_end) = output(Stream::Stderr)?;
    let ends = Ends {
        outputs: vec![stdout_end, stderr_end],
        input,
        terminal: None,
    };
    Ok((Streams::Pipes { stdin, stdout, stderr }, ends))
}

impl Ends {
    /// With the terminal that was made inside the container, if there is one.
    pub(super) fn with_terminal(mut self, terminal: Option<OwnedFd>) -> Result<Ends, Fault> {
        if let Some(controller) = &terminal {
            set_nonblocking(controller)?;
            let copy = || controller.try_clone().map_err(Fault::system("dup"));
            self.outputs.push(Output::new(Stream::Stdout, copy()?));
            self.input = Input::terminal(copy()?);
        }
        self.terminal = terminal;
        Ok(self)
    }
}

fn output(stream: Stream) -> Result<(OwnedFd, Output), Fault> {
    let (reader, writer) = pipe()?;
    set_nonblocking(&reader)?;
    // Where the user's pipes are used up it stays as small as it is.
    let _ = fcntl_setpipe_size(&reader, PIPE_BYTES);
    Ok((writer, Output::new(stream, reader)))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    pipe_with(PipeFlags::CLOEXEC).map_err(Fault::system("pipe2"))
}

fn set_nonblocking(descriptor: &OwnedFd) -> Result<(), Fault> {
    let flags = fcntl_getfl(descriptor).map_err(Fault::system("fcntl"))?;
    fcntl_setfl(descriptor, flags | OFlags::NONBLOCK).map_err(Fault::system("fcntl"))
}
