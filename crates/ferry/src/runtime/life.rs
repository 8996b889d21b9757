//! A container's life: create, start, run, state, kill, delete; and the config to begin with.

use std::path::PathBuf;

use ferry_runtime::bundle::{self, ContainerId, CreateOptions, Error, Home, Running, Whom};

use super::flags::{Create, Delete, Globals, Kill, Run, Spec};
use super::log::Log;
use super::{Failed, Outcome, print_json, refuse_systemd, watch};
use crate::failure::ExitStatus;

pub(super) fn create(globals: &Globals, home: &Home, create: Create, log: &Log) -> Outcome {
    make(globals, home, create, log)?;
    Ok(ExitStatus::SUCCESS)
}

fn make(globals: &Globals, home: &Home, create: Create, log: &Log) -> Result<(ContainerId, bundle::Created), Failed> {
    bundle::prepare()?;
    refuse_systemd(globals)?;
    refuse_pidfd_socket(create.pidfd_socket.as_ref())?;
    let id = ContainerId::parse(&create.id)?;
    let absolute = |path: PathBuf| std::path::absolute(&path).map_err(Failed::io(path.display().to_string()));
    let options = CreateOptions {
        bundle: create
            .bundle
            .canonicalize()
            .map_err(Failed::io(format!("bundle {}", create.bundle.display())))?,
        console_socket: create.console_socket.map(absolute).transpose()?,
        pid_file: create.pid_file.map(absolute).transpose()?,
        preserve_fds: create.preserve_fds,
    };
    let home = home.absolute().map_err(Failed::io("the current folder"))?;
    let created = bundle::create(&home, &id, &options)?;
    log.warn(&created.warnings);
    Ok((id, created))
}

pub(super) fn refuse_pidfd_socket(path: Option<&PathBuf>) -> Result<(), Failed> {
    match path {
        Some(_) => Err(Failed::Usage("--pidfd-socket is not supported".to_owned())),
        None => Ok(()),
    }
}

pub(super) fn run(globals: &Globals, home: &Home, run: Run, log: &Log) -> Outcome {
    let home = home.absolute().map_err(Failed::io("the current folder"))?;
    let (id, created) = make(globals, &home, run.create, log)?;
    let signals = watch::take_over_signals()?;
    match bundle::start(&home, &id) {
        Ok(warnings) => log.warn(&warnings),
        Err(error) => {
            // It never ran: nothing of it stays, and what is told is why.
            let _ = bundle::delete(&home, &id, Running::Killed);
            return Err(error.into());
        }
    }
    if run.detach {
        return Ok(ExitStatus::SUCCESS);
    }
    let status = watch::to_its_end(&created.child, &signals)?;
    if !run.keep {
        log.warn(&bundle::delete(&home, &id, Running::Killed)?);
    }
    Ok(status)
}

pub(super) fn start(home: &Home, id: &str, log: &Log) -> Outcome {
    log.warn(&bundle::start(home, &ContainerId::parse(id)?)?);
    Ok(ExitStatus::SUCCESS)
}

pub(super) fn state(home: &Home, id: &str) -> Outcome {
    print_json(&bundle::state(home, &ContainerId::parse(id)?)?)
}

pub(super) fn kill(home: &Home, kill: &Kill) -> Outcome {
    let whom = if kill.all { Whom::All } else { Whom::First };
    let signal = bundle::parse_signal(&kill.signal)?;
    bundle::kill(home, &ContainerId::parse(&kill.id)?, signal, whom)?;
    Ok(ExitStatus::SUCCESS)
}

pub(super) fn delete(home: &Home, delete: &Delete, log: &Log) -> Outcome {
    let running = if delete.force {
        Running::Killed
    } else {
        Running::Refused
    };
    let mut outcome = Ok(ExitStatus::SUCCESS);
    for id in &delete.id {
        let deleted = ContainerId::parse(id).and_then(|id| bundle::delete(home, &id, running));
        match deleted {
            Ok(warnings) => log.warn(&warnings),
            Err(error) => outcome = remember(outcome, error, log),
        }
    }
    outcome
}

/// The last error is the command's; those before are said now.
fn remember(outcome: Outcome, error: Error, log: &Log) -> Outcome {
    if let Err(before) = outcome {
        log.error(&before.to_string());
    }
    Err(error.into())
}

pub(super) fn spec(spec: &Spec) -> Outcome {
    use std::io::Write;
    let rootless = spec.rootless.then(|| {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        (uid.as_raw(), gid.as_raw())
    });
    let path = spec.bundle.join("config.json");
    let text = serde_json::to_string_pretty(&bundle::template(rootless)).unwrap_or_default();
    std::fs::File::create_new(&path)
        .and_then(|mut file| writeln!(file, "{text}"))
        .map_err(Failed::io(path.display().to_string()))?;
    Ok(ExitStatus::SUCCESS)
}
