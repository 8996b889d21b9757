//! What is said: requests of the engine, answers of monitors, events of first processes.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    AttachOptions, Exec, Fault, Launch, Signal, StartError, State, Warning, WindowSize, cgroup, emulation::Interpreter,
};

/// The version that this release speaks.
pub(crate) const VERSION: u32 = 1;

/// From the engine to a monitor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What the monitor must understand at least.
    pub(crate) version: u32,
    pub(crate) call: Call,
}

/// As [`Request`], borrowed.
#[derive(Debug, Serialize)]
pub(crate) struct RequestRef<'a> {
    pub(crate) version: u32,
    pub(crate) call: &'a Call,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// The first request to a fresh monitor. A frame follows with the root's mount as its
    /// descriptor, or without one: then the monitor mounts it.
    Launch {
        launch: Box<Launch>,
        emulation: Option<EmulationPlace>,
    },
    /// The first request to a fresh monitor of an exec. Descriptor: the container's process.
    Exec {
        exec: Box<Exec>,
        container: Container,
    },
    /// The first request to a fresh process that becomes no monitor: make the namespace for
    /// emulators. Answered with [`Answer::Done`] and its two descriptors.
    PrepareEmulation {
        interpreters: Vec<Interpreter>,
    },
    State,
    /// Answered with a descriptor.
    NetworkNamespace,
    /// Answered with a descriptor.
    Pidfd,
    /// What an exec needs to know; answered with [`Answer::Container`] and the process' descriptor.
    Container,
    Start,
    Signal(Signal),
    Resize(WindowSize),
    /// Answered with a descriptor.
    Attach(AttachOptions),
    /// Answered with a descriptor.
    Watch,
}

/// A running container as an exec sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) cgroup: cgroup::ChildName,
    /// Where that lies; monitors of the first release do not say, and mean the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup_parent: Option<cgroup::ParentPath>,
    /// Whether it lives in a user namespace other than the engine's.
    pub(crate) user_namespace: bool,
}

/// Which namespace for emulators a container lives in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EmulationPlace {
    /// The engine's, which comes as descriptors: user namespace and binfmt_misc mount.
    Shared,
    /// One of its own, for it could do harm to the engine's.
    Own(Vec<Interpreter>),
}

/// From a monitor to the engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Created {
        pid: i32,
        warnings: Vec<Warning>,
    },
    Started {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    State(State),
    Container(Container),
    /// Done; what was asked for is among the descriptors.
    Done,
    Refused(Refusal),
}

/// Why a request was not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    Launch(Fault),
    Start(StartError),
    NotRunning,
    AlreadyStarted,
    NoTerminal,
    TooManyClients,
    /// The call or the version is not known to this monitor, which speaks this version.
    Unknown {
        version: u32,
    },
    System {
        call: String,
        errno: crate::Errno,
    },
}

/// From a container's first process to its monitor. After [`Event::Ready`] the process waits for one
/// frame, whatever is in it, and then executes its program; the socket closes by that.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The process that was cloned has made the real one, with this id, and ends.
    Forked { pid: i32 },
    /// All is there but its root is not yet entered: it waits for the container's state, then goes on.
    Prepared,
    /// It is ready to execute. Descriptor: the terminal's controlling side, if there is one.
    Ready,
    /// Making it failed.
    Failed(Fault),
    /// It could not execute its program.
    NotStarted(StartError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Errno, Exit, Phase};

    /// The promise to monitors of this release: they say and understand these words for ever.
    #[test]
    fn version_1_stays_as_it_is() {
        let size = WindowSize { rows: 24, columns: 80 };
        let calls = [
            (Call::State, r#""state""#),
            (Call::NetworkNamespace, r#""network_namespace""#),
            (Call::Pidfd, r#""pidfd""#),
            (Call::Container, r#""container""#),
            (Call::Start, r#""start""#),
            (Call::Signal(Signal::KILL), r#"{"signal":9}"#),
            (Call::Resize(size), r#"{"resize":{"rows":24,"columns":80}}"#),
            (Call::Watch, r#""watch""#),
            (
                Call::Attach(AttachOptions {
                    stdin: true,
                    stdout: true,
                    stderr: false,
                }),
                r#"{"attach":{"stdin":true,"stdout":true,"stderr":false}}"#,
            ),
        ];
        for (call, words) in calls {
            let request = serde_json::to_string(&Request { version: VERSION, call }).unwrap();
            assert_eq!(request, format!(r#"{{"version":1,"call":{words}}}"#));
            serde_json::from_str::<Request>(&request).unwrap();
        }
        let time = OffsetDateTime::UNIX_EPOCH;
        let exit = Exit {
            version: 1,
            code: 137,
            signal: Some(9),
            oom_killed: true,
            started_at: Some(time),
            finished_at: time,
        };
        let exit_words = r#"{"version":1,"code":137,"signal":9,"oom_killed":true,"started_at":"1970-01-01T00:00:00Z","finished_at":"1970-01-01T00:00:00Z"}"#;
        let state = |phase| {
            Answer::State(State {
                pid: 5,
                phase,
                log_failed: None,
            })
        };
        let container = Container {
            cgroup: cgroup::ChildName::parse("c1").unwrap(),
            cgroup_parent: None,
            user_namespace: false,
        };
        let system = Refusal::System {
            call: "dup".to_owned(),
            errno: Errno(24),
        };
        let answers = [
            (Answer::Done, r#""done""#.to_owned()),
            (
                Answer::Created {
                    pid: 5,
                    warnings: Vec::new(),
                },
                r#"{"created":{"pid":5,"warnings":[]}}"#.to_owned(),
            ),
            (
                Answer::Started { at: time },
                r#"{"started":{"at":"1970-01-01T00:00:00Z"}}"#.to_owned(),
            ),
            (
                state(Phase::Created),
                r#"{"state":{"pid":5,"phase":"Created","log_failed":null}}"#.to_owned(),
            ),
            (
                state(Phase::Running { started_at: time }),
                r#"{"state":{"pid":5,"phase":{"Running":{"started_at":"1970-01-01T00:00:00Z"}},"log_failed":null}}"#
                    .to_owned(),
            ),
            (
                state(Phase::Exited(exit)),
                format!(r#"{{"state":{{"pid":5,"phase":{{"Exited":{exit_words}}},"log_failed":null}}}}"#),
            ),
            (
                Answer::Container(container),
                r#"{"container":{"cgroup":"c1","user_namespace":false}}"#.to_owned(),
            ),
            (
                Answer::Refused(Refusal::NotRunning),
                r#"{"refused":"not_running"}"#.to_owned(),
            ),
            (
                Answer::Refused(Refusal::Unknown { version: 1 }),
                r#"{"refused":{"unknown":{"version":1}}}"#.to_owned(),
            ),
            (
                Answer::Refused(system),
                r#"{"refused":{"system":{"call":"dup","errno":24}}}"#.to_owned(),
            ),
        ];
        for (answer, words) in answers {
            assert_eq!(serde_json::to_string(&answer).unwrap(), words);
            serde_json::from_str::<Answer>(&words).unwrap();
        }
    }
}
