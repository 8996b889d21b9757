//! The init that a container may ask for: process 1, that starts the program, passes signals on to it,
//! reaps what others left, and ends as the program does.
//!
//! It is this binary, executed anew from the zygote's sealed memfd: nothing of the engine's is in its
//! memory, and nobody inside can write what it executes.

use std::ffi::OsString;

use ferry_sys::{
    SingleThreaded, memory,
    process::{Fork, exit_now, fork},
    signals,
};
use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, getpid, set_child_subreaper, setpgid, wait},
    stdio::stdin,
    termios::tcsetpgrp,
};

use crate::{StartError, container::become_program};

/// What it calls itself: Docker's name for a container's init. A process whose first argument this is
/// must call [`main`] before it starts any thread.
pub const ARGV0: &str = "/sbin/docker-init";

/// What comes before the program's own arguments.
pub(crate) const SEPARATOR: &str = "--";

const SIGNAL_BASE: i32 = 128;
const OS_ERROR: i32 = 71;

/// Entry of the init; the program and its arguments follow [`ARGV0`] and `--`.
pub fn main() -> ! {
    let _ = rustix::thread::set_name(c"docker-init");
    let arguments: Vec<String> = text(std::env::args_os().skip(2));
    let environment: Vec<String> = text(std::env::vars_os().map(|(name, value)| {
        let mut variable = name;
        variable.push("=");
        variable.push(value);
        variable
    }));
    // From here on they wait until they are asked for.
    signals::block();
    if getpid() != Pid::INIT {
        // In a pid namespace of others it reaps what is below it all the same.
        let _ = set_child_subreaper(Some(getpid()));
    }
    match SingleThreaded::prove().and_then(fork) {
        Ok(Fork::Parent { child }) => {
            drop((arguments, environment));
            memory::rest();
            exit_now(attend(child))
        }
        Ok(Fork::Child) => exit_now(run(&arguments, &environment)),
        Err(error) => {
            eprintln!("{ARGV0}: fork: {error}");
            exit_now(OS_ERROR)
        }
    }
}

/// All that the engine passes on is UTF-8.
fn text(words: impl Iterator<Item = OsString>) -> Vec<String> {
    words.filter_map(|word| word.into_string().ok()).collect()
}

/// Becomes the program, in a process group of its own that has the terminal. Gives the exit code for
/// what went wrong.
fn run(arguments: &[String], environment: &[String]) -> i32 {
    if setpgid(None, None).is_ok() {
        // Without a terminal there is none to have.
        let _ = tcsetpgrp(stdin(), getpid());
    }
    signals::reset();
    let error: StartError = become_program(arguments, environment);
    eprintln!("{ARGV0}: {error}");
    error.exit_code().into()
}

/// Passes signals on and reaps until the program has ended; gives its exit code.
fn attend(program: i32) -> i32 {
    loop {
        match signals::next_blocked() {
            Ok(signals::CHILD) => {
                if let Some(code) = reap(program) {
                    return code;
                }
            }
            // These ask whoever has no terminal to stand still, which is not for the program.
            Ok(signals::TERMINAL_INPUT | signals::TERMINAL_OUTPUT) => {}
            // One that has just ended hears nothing.
            Ok(signal) => {
                let _ = signals::send_to(program, signal);
            }
            Err(_) => {}
        }
    }
}

/// Reaps all that have ended; gives the program's exit code if it is among them.
fn reap(program: i32) -> Option<i32> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_pid() == program => {
                let signal = status.terminating_signal().map(|signal| SIGNAL_BASE + signal);
                code = signal.or(status.exit_status());
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}
