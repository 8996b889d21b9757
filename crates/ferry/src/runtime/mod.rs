//! `ferry runtime`: the OCI runtime command line, with runc's flags, for engines that execute a runtime.
//!
//! It stands beside the rest of the command line: no executor, no engine, nothing read but what it is told. It runs
//! also when the binary is called by a name of [`NAMES`], with the words that follow as runc takes them.

mod events;
mod exec;
mod flags;
mod life;
mod limits;
mod list;
mod log;
mod watch;

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use ferry_runtime::bundle::{self, Error, Home};

use crate::failure::ExitStatus;
use flags::{Globals, Runtime, Verb};
use log::Log;

/// What the binary may be called to be a runtime alone.
const NAMES: &[&str] = &["ferry-runtime", "runc"];

/// What people and engines see as the program's name.
const NAME: &str = "ferry-runtime";

/// runc's status where it failed itself, so that an exec's own can be told from it.
const EXEC_FAILED: ExitStatus = ExitStatus::of_runtime(255);

/// A verb's failure.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Bundle(#[from] Error),
    #[error("{0}")]
    Usage(String),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl Failed {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failed {
        let what = what.into();
        move |source| Failed::Io { what, source }
    }
}

type Outcome = Result<ExitStatus, Failed>;

/// The arguments after the program's name, if this process is to be a runtime: by its name, or by its first word.
fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = arguments.next()?;
    let name = Path::new(&program).file_name()?.to_str()?.to_owned();
    let rest: Vec<OsString> = arguments.collect();
    if NAMES.contains(&name.as_str()) {
        return Some(rest);
    }
    let (first, rest) = rest.split_first()?;
    (first == "runtime").then(|| rest.to_vec())
}

/// Is a runtime, and never returns, when called as one.
///
/// For the first thing in `main`: it forks, so that there must be no thread.
pub(crate) fn run_if_asked() {
    if let Some(arguments) = asked(std::env::args_os()) {
        std::process::exit(i32::from(main(arguments).code()));
    }
}

/// Does what one command line says.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitStatus {
    let program = OsString::from(NAME);
    let runtime = match Runtime::try_parse_from(std::iter::once(program).chain(arguments)) {
        Ok(runtime) => runtime,
        Err(error) => {
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody is there to hear of it if that fails.
            let _ = error.print();
            return if is_help {
                ExitStatus::SUCCESS
            } else {
                ExitStatus::FAILURE
            };
        }
    };
    let log = Log::open(&runtime.globals);
    let failed_status = match runtime.verb {
        Verb::Exec(_) => EXEC_FAILED,
        _ => ExitStatus::FAILURE,
    };
    match dispatch(runtime, &log) {
        Ok(status) => status,
        Err(failed) => {
            log.error(&failed.to_string());
            failed_status
        }
    }
}

fn dispatch(runtime: Runtime, log: &Log) -> Outcome {
    let Runtime { globals, verb } = runtime;
    let home = Home::new(globals.root.clone());
    match verb {
        Verb::Create(create) => life::create(&globals, &home, create, log),
        Verb::Run(run) => life::run(&globals, &home, run, log),
        Verb::Start(one) => life::start(&home, &one.id, log),
        Verb::State(one) => life::state(&home, &one.id),
        Verb::Kill(kill) => life::kill(&home, &kill),
        Verb::Delete(delete) => life::delete(&home, &delete, log),
        Verb::Exec(exec) => exec::exec(&home, exec, log),
        Verb::List(list) => list::list(&home, &list),
        Verb::Ps(ps) => list::ps(&home, &ps),
        Verb::Events(events) => events::events(&home, &events),
        Verb::Update(update) => limits::update(&home, &update, log),
        Verb::Pause(one) => limits::pause(&home, &one.id),
        Verb::Resume(one) => limits::resume(&home, &one.id),
        Verb::Features => print_json(&bundle::features()),
        Verb::Spec(spec) => life::spec(&spec),
        Verb::Checkpoint(_) | Verb::Restore(_) => Err(Failed::Usage(
            "checkpoints are not supported: they need CRIU, which this runtime does not call".to_owned(),
        )),
    }
}

/// Cgroups are made in their file system, which is what the flag asks us not to do.
fn refuse_systemd(globals: &Globals) -> Result<(), Failed> {
    if globals.systemd_cgroup {
        return Err(Failed::Usage(
            "--systemd-cgroup is not supported: set the engine's cgroup driver to cgroupfs \
             (Docker: native.cgroupdriver=cgroupfs; Podman: cgroup_manager=\"cgroupfs\"; containerd: SystemdCgroup=false)"
                .to_owned(),
        ));
    }
    Ok(())
}

fn print_json(value: &serde_json::Value) -> Outcome {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Outcome {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Failed::io("write to stdout"))?;
    Ok(ExitStatus::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let asked = asked(line.split(' ').map(OsString::from))?;
        Some(asked.iter().map(|word| word.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_runtime_is_called_by_name_or_by_word() {
        let want = Some(vec!["state".to_owned(), "x".to_owned()]);
        assert_eq!(words("/usr/bin/ferry runtime state x"), want);
        assert_eq!(words("/usr/bin/ferry-runtime state x"), want);
        assert_eq!(words("runc state x"), want);
        assert_eq!(words("ferry run runtime"), None);
        assert_eq!(words("ferry"), None);
    }

    #[test]
    fn runcs_command_lines_are_understood() {
        for line in [
            "--root /r --log /l --log-format json --systemd-cgroup=false create --bundle /b --pid-file /p id",
            "--debug --root=/r create -b /b --console-socket /s --no-pivot --no-new-keyring --preserve-fds 2 id",
            "start id",
            "state id",
            "kill id",
            "kill --all id 9",
            "kill -a id SIGKILL",
            "delete --force id",
            "delete id",
            "exec --process /p --detach --pid-file /p --console-socket /s id",
            "exec -t -e A=b --user 1:2 --cwd / --cap CAP_KILL id sh -c true",
            "ps --format json id",
            "ps id -ef",
            "events --stats id",
            "update --resources - id",
            "list -q",
            "list --format json",
            "features",
            "spec --bundle /b --rootless",
            "pause id",
            "resume id",
            "run --detach --keep --bundle /b id",
        ] {
            let parsed = Runtime::try_parse_from(format!("runc {line}").split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
