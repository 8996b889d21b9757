//! What a person sees when a command fails: what failed, on what, why, and a hint; and the exit status that scripts see.

use std::fmt;

use crate::engine;

/// The exit status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExitStatus(u8);

impl ExitStatus {
    /// All went well.
    pub(crate) const SUCCESS: Self = Self(0);
    /// The command failed.
    pub(crate) const FAILURE: Self = Self(1);
    /// The command line is wrong, or the engine could not make or start the container.
    pub(crate) const ENGINE: Self = Self(125);
    /// The container's command exists and cannot be executed.
    pub(crate) const NOT_EXECUTABLE: Self = Self(126);
    /// The container's command does not exist.
    pub(crate) const NOT_FOUND: Self = Self(127);

    /// A status that the OCI runtime command line has of its own.
    pub(crate) const fn of_runtime(code: u8) -> Self {
        Self(code)
    }

    /// The status of a container's process as the engine reports it; what does not fit in eight bits keeps its low byte, as at exit(2).
    pub(crate) fn of_container(code: i64) -> Self {
        Self(code.to_le_bytes()[0])
    }

    /// The status of a process that a signal ended.
    pub(crate) fn of_signal(signal: u8) -> Self {
        Self(128u8.saturating_add(signal))
    }

    /// The number that exit(2) takes.
    pub(crate) fn code(self) -> u8 {
        self.0
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<ExitStatus, Failure>;

/// A command's failure in words for a person.
#[derive(Debug)]
pub(crate) struct Failure {
    status: ExitStatus,
    /// Empty when everything was said before.
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with exit status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            status: ExitStatus::FAILURE,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure that was already reported, one argument at a time.
    pub(crate) fn reported() -> Self {
        Self::new("")
    }

    /// The same failure with a remedy.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with another exit status.
    pub(crate) fn exit(mut self, status: ExitStatus) -> Self {
        self.status = status;
        self
    }

    /// The same failure, said to have happened while doing `what`.
    pub(crate) fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The exit status that goes with it.
    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    /// What failed, without the hint.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Writes it to stderr.
    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            crate::terminal::note(&self.to_string());
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ferry: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let hint = error.hint();
        // The engine sends its own hint on a line of its own.
        let text = describe(&error);
        let (message, own) = match text.split_once("\nhint: ") {
            Some((message, own)) => (message.to_owned(), Some(own.to_owned())),
            None => (text, None),
        };
        Self {
            status: ExitStatus::FAILURE,
            message,
            hint: own.or(hint),
        }
    }
}

/// Says what was being done when something failed below.
pub(crate) trait Explain<T> {
    /// Turns the error into a failure that begins with `what`.
    fn explain<W: fmt::Display>(self, what: impl FnOnce() -> W) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> Explain<T> for Result<T, E> {
    fn explain<W: fmt::Display>(self, what: impl FnOnce() -> W) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{}: {}", what(), describe(&error))))
    }
}

/// An error and its causes in one line; a cause that its parent already quotes is not repeated.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_status_keeps_its_low_byte() {
        assert_eq!(ExitStatus::of_container(3).code(), 3);
        assert_eq!(ExitStatus::of_container(256 + 7).code(), 7);
        assert_eq!(ExitStatus::of_signal(9).code(), 137);
    }

    #[test]
    fn a_failure_is_one_message_and_a_hint() {
        let failure = Failure::new("no such image: a")
            .hint("pull it")
            .while_doing("cannot run");
        assert_eq!(
            failure.to_string(),
            "ferry: cannot run: no such image: a\nhint: pull it"
        );
    }
}
