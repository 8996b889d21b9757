//! `ferry container`: one file a verb.

pub(super) mod attach;
pub(super) mod commit;
pub(super) mod cp;
pub(super) mod create;
pub(super) mod diff;
pub(super) mod exec;
pub(super) mod export;
mod foreground;
pub(super) mod inspect;
pub(super) mod kill;
pub(super) mod logs;
mod options;
pub(super) mod pause;
pub(super) mod prune;
pub(super) mod ps;
pub(super) mod rename;
pub(super) mod restart;
pub(super) mod rm;
pub(super) mod run;
pub(super) mod start;
pub(super) mod stats;
pub(super) mod stop;
pub(super) mod top;
pub(super) mod unpause;
pub(super) mod update;
pub(super) mod wait;

use serde::Deserialize;

use crate::engine::{Engine, in_path};
use crate::failure::{ExitStatus, Failure};
use crate::invocation::Invocation;
use crate::stream::DetachKeys;

/// What attaching needs to know of a container.
#[derive(Debug, Deserialize)]
struct Facts {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Config")]
    config: FactsOfConfig,
    #[serde(rename = "State")]
    state: FactsOfState,
    #[serde(rename = "HostConfig", default)]
    host: FactsOfHost,
}

#[derive(Debug, Deserialize)]
struct FactsOfConfig {
    #[serde(rename = "Tty", default)]
    tty: bool,
    #[serde(rename = "OpenStdin", default)]
    open_stdin: bool,
}

#[derive(Debug, Deserialize)]
struct FactsOfState {
    #[serde(rename = "Running", default)]
    running: bool,
    #[serde(rename = "Paused", default)]
    paused: bool,
}

#[derive(Debug, Default, Deserialize)]
struct FactsOfHost {
    #[serde(rename = "AutoRemove", default)]
    auto_remove: bool,
}

impl Facts {
    async fn of(engine: &Engine, name: &str) -> Result<Self, Failure> {
        Ok(engine.get(path(name, "json")).json().await?)
    }
}

/// `/containers/NAME/VERB`.
fn path(name: &str, verb: &str) -> String {
    format!("/containers/{}/{verb}", in_path(name))
}

/// The keys that detach: the flag's, config.json's, or the usual.
fn detach_keys(flag: Option<&str>, invocation: &Invocation) -> Result<DetachKeys, Failure> {
    let chosen = match flag.filter(|keys| !keys.is_empty()) {
        Some(keys) => Some(keys),
        None => invocation.config()?.text("detachKeys"),
    };
    match chosen {
        None => Ok(DetachKeys::default()),
        Some(keys) => keys
            .parse()
            .map_err(|error: <DetachKeys as std::str::FromStr>::Err| Failure::new(error.to_string())),
    }
}

/// The exit status for a process that could not be started, which Docker's clients tell by the words.
fn status_of_start(message: &str) -> ExitStatus {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file",
    ]) {
        ExitStatus::NOT_FOUND
    } else if has(&["permission denied", "is a directory", "exec format error"]) {
        ExitStatus::NOT_EXECUTABLE
    } else {
        ExitStatus::ENGINE
    }
}

/// A start that failed, with the exit status that goes with its reason.
fn start_failure(error: crate::engine::Error) -> Failure {
    let failure = Failure::from(error);
    let status = status_of_start(failure.message());
    failure.exit(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failed_start_give_its_exit_status() {
        for (words, code) in [
            (r#"exec: "foo": executable file not found in $PATH"#, 127),
            ("exec /x: permission denied", 126),
            ("exec /x: is a directory", 126),
            ("port is in use", 125),
        ] {
            assert_eq!(status_of_start(words).code(), code, "{words}");
        }
    }
}
