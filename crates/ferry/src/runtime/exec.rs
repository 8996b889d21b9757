//! `exec`: a further process, as a file or as a command line says it.

use std::path::Path;

use ferry_runtime::bundle::{self, ContainerId, ExecOptions, ExecProcess, Home};
use oci_spec::runtime::Process;

use super::flags::Exec;
use super::life::refuse_pidfd_socket;
use super::log::Log;
use super::{Failed, Outcome, watch};
use crate::failure::ExitStatus;

pub(super) fn exec(home: &Home, exec: Exec, log: &Log) -> Outcome {
    bundle::prepare()?;
    refuse_pidfd_socket(exec.pidfd_socket.as_ref())?;
    if !exec.cgroup.is_empty() {
        return Err(Failed::Usage("exec --cgroup is not supported".to_owned()));
    }
    let id = ContainerId::parse(&exec.id)?;
    let process = match &exec.process {
        Some(path) => read_process(path)?,
        None if exec.command.is_empty() => {
            return Err(Failed::Usage("exec needs --process or a command".to_owned()));
        }
        None => bundle::process_of(home, &id, &asked(&exec))?,
    };
    let options = ExecOptions {
        console_socket: exec.console_socket,
        pid_file: exec.pid_file,
        preserve_fds: exec.preserve_fds,
        detach: exec.detach,
    };
    let executed = bundle::exec(home, &id, &process, &options)?;
    log.warn(&executed.warnings);
    if exec.detach {
        return Ok(ExitStatus::SUCCESS);
    }
    let signals = watch::take_over_signals()?;
    watch::to_its_end(&executed.child, &signals)
}

fn asked(exec: &Exec) -> ExecProcess {
    ExecProcess {
        args: exec.command.clone(),
        cwd: exec.cwd.clone(),
        env: exec.env.clone(),
        user: exec.user.clone(),
        additional_gids: exec.additional_gids.clone(),
        capabilities: exec.cap.clone(),
        tty: exec.tty,
        no_new_privs: exec.no_new_privs,
        apparmor: exec.apparmor.clone(),
        process_label: exec.process_label.clone(),
    }
}

fn read_process(path: &Path) -> Result<Process, Failed> {
    let bytes = std::fs::read(path).map_err(Failed::io(path.display().to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| Failed::Usage(format!("{}: {error}", path.display())))
}
