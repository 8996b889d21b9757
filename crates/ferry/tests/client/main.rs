//! The built command line against a fake engine that answers as each test says, where a failure must be injected.

mod failures;
mod fake;
mod help;
mod run;
mod show;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a command gave.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The built binary, with none of the environment's settings and an empty folder for Docker's.
fn ferry(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("DOCKER_CONFIG", folder.join("docker"))
        .stdin(Stdio::null());
    command
}

/// Runs the command against the fake engine, without stdin.
fn run(engine: &fake::Engine, arguments: &[&str]) -> Said {
    run_with(engine, arguments, None)
}

/// Runs the command against the fake engine, with stdin.
fn run_with(engine: &fake::Engine, arguments: &[&str], stdin: Option<&[u8]>) -> Said {
    let mut command = ferry(engine.folder(), arguments);
    command.env("DOCKER_HOST", engine.host());
    if stdin.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
        pipe.write_all(bytes).expect("the command reads");
    }
    child.wait_with_output().expect("the command ends").into()
}
