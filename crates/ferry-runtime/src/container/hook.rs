//! Hooks: programs of a spec that are told the container's state on their standard input.
//!
//! Source: OCI runtime-spec config.md#posix-platform-hooks.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::fd::AsFd,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
};

use oci_spec::runtime::Hook;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::{pwrite, retry_on_intr},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::Fault;

/// As much of what a hook said as is quoted.
const SAID_MAX_BYTES: u64 = 4096;

/// Runs hooks in their order, until one fails.
pub(crate) fn run_all(hooks: &[Hook], stage: &str, state: &[u8]) -> Result<(), Fault> {
    hooks.iter().try_for_each(|hook| run(hook, stage, state))
}

/// Runs one hook with the caller's rights and namespaces, to its end.
pub(crate) fn run(hook: &Hook, stage: &str, state: &[u8]) -> Result<(), Fault> {
    let fault = |reason: String| Fault::Hook {
        stage: stage.to_owned(),
        path: hook.path().clone(),
        reason,
    };
    let words = |error: std::io::Error| fault(crate::Errno::from(error).to_string());
    if !hook.path().is_absolute() {
        return Err(fault("the path is not absolute".to_owned()));
    }
    // Files, not pipes: nobody has to read or write meanwhile.
    let input = memory("hook-state").map_err(words)?;
    retry_on_intr(|| pwrite(&input, state, 0)).map_err(|errno| words(errno.into()))?;
    let mut said = memory("hook-output").map_err(words)?;
    let mut child = command(hook, input, &said).map_err(words)?.spawn().map_err(words)?;
    let status = wait(&mut child, hook.timeout()).map_err(words)?;
    let Some(status) = status else {
        // Its children may hold on; they do not hold us up.
        let _ = child.kill();
        let _ = child.wait();
        let seconds = hook.timeout().unwrap_or_default();
        return Err(fault(format!("took longer than its timeout of {seconds} s")));
    };
    if status.success() {
        return Ok(());
    }
    let mut words = String::new();
    if said.seek(SeekFrom::Start(0)).is_ok() {
        let mut bytes = Vec::new();
        let _ = said.take(SAID_MAX_BYTES).read_to_end(&mut bytes);
        words = String::from_utf8_lossy(&bytes).trim().to_owned();
    }
    let ending = describe(status);
    Err(fault(match words.as_str() {
        "" => ending,
        words => format!("{ending}: {words}"),
    }))
}

fn command(hook: &Hook, input: File, said: &File) -> std::io::Result<Command> {
    let mut command = Command::new(hook.path());
    let args = hook.args().as_deref().unwrap_or_default();
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    if let Some(env) = hook.env() {
        let pairs = env.iter().filter_map(|entry| entry.split_once('='));
        command.env_clear().envs(pairs);
    }
    command
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(said.try_clone()?))
        .stderr(Stdio::from(said.try_clone()?));
    Ok(command)
}

fn memory(name: &str) -> std::io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// `None` if it takes longer than `timeout` seconds.
fn wait(child: &mut Child, timeout: Option<i64>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = timeout.filter(|seconds| *seconds > 0) else {
        return child.wait().map(Some);
    };
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let limit = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let ended = retry_on_intr(|| {
        poll(
            &mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)],
            Some(&limit),
        )
    })?;
    if ended == 0 {
        return Ok(None);
    }
    child.wait().map(Some)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
