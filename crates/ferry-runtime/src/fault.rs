//! What can fail in a monitor or in a container's first process, told across processes.

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

/// An error number of the kernel, displayed in words.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errno(pub i32);

/// Why the program could not be executed; `Display` is Docker's wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such file, or none of that name in `PATH`.
    #[error("exec: {program:?}: {reason}")]
    NotFound {
        /// What was to be executed, as asked for.
        program: String,
        /// `executable file not found in $PATH` or `stat …: no such file or directory`.
        reason: String,
    },
    /// It exists and cannot be executed.
    #[error("exec: {program:?}: {reason}")]
    NotExecutable {
        /// What was to be executed, as asked for.
        program: String,
        /// `permission denied`, `is a directory`, `exec format error` …
        reason: String,
    },
    /// It is a program for another CPU, which neither this host nor an emulator executes.
    #[error("exec {program}: exec format error (the file is for ELF machine {elf_machine})")]
    Foreign {
        /// What was to be executed, as asked for.
        program: String,
        /// `e_machine` of its ELF header; `ferry_oci::cpu` knows the names. Source: elf(5).
        elf_machine: u16,
    },
    /// Something else failed on the way to the program.
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// A step of making a container that failed, with what it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A system call that fails only when resources run out or the kernel lacks it.
    #[error("{call}: {errno}")]
    System {
        /// Which, and what it was for.
        call: String,
        /// Why.
        errno: Errno,
    },
    /// The state folder cannot be used.
    #[error("state folder {}: {errno}", path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The log file cannot be opened.
    #[error("log file {}: {errno}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The cgroup cannot be made, limited or entered.
    #[error("{reason}")]
    Cgroup {
        /// In [`crate::cgroup::Error`]'s words.
        reason: String,
    },
    /// A namespace cannot be made or joined.
    #[error("{kind} namespace{}: {errno}", path.as_ref().map(|p| format!(" {}", p.display())).unwrap_or_default())]
    Namespace {
        /// `network`, `pid` and so on.
        kind: String,
        /// The one to join, if not a new one.
        path: Option<PathBuf>,
        /// Why.
        errno: Errno,
    },
    /// The root file system cannot be mounted.
    #[error("root file system: {what}: {errno}")]
    Root {
        /// The option, folder or step.
        what: String,
        /// Why.
        errno: Errno,
    },
    /// A mount's source cannot be had.
    #[error("mount source {} for {}: {errno}", source_path.display(), destination.display())]
    MountSource {
        /// The path on the host.
        source_path: PathBuf,
        /// Where it was to appear.
        destination: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A mount cannot be made.
    #[error("mount {}: {step}: {errno}", destination.display())]
    Mount {
        /// Where it was to appear.
        destination: PathBuf,
        /// What failed of it.
        step: String,
        /// Why.
        errno: Errno,
    },
    /// A mount would cover a part of /proc, or /proc is not what it seems.
    #[error("mount {}: nothing may be mounted over /proc", destination.display())]
    MountOverProc {
        /// Where it was to appear.
        destination: PathBuf,
    },
    /// A path cannot be masked or made read-only.
    #[error("{} {}: {errno}", protection, path.display())]
    Protect {
        /// `mask` or `make read-only`.
        protection: String,
        /// The path inside.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A device node cannot be made.
    #[error("device {}: {errno}", path.display())]
    Device {
        /// The path inside.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A kernel parameter cannot be set.
    #[error("sysctl {name}={value}: {errno}")]
    Sysctl {
        /// Its name as given.
        name: String,
        /// The value as given.
        value: String,
        /// Why.
        errno: Errno,
    },
    /// A kernel parameter that is malformed, or would change more than the container.
    #[error("{reason}")]
    SysctlNotAllowed {
        /// In [`crate::profile::SysctlError`]'s words.
        reason: String,
    },
    /// The user or a group cannot be resolved.
    #[error(transparent)]
    User(#[from] UserFault),
    /// The working directory cannot be made or entered.
    #[error("chdir to cwd ({:?}) set in config.json failed: {errno}", path.display())]
    WorkingDir {
        /// The path inside.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A resource limit cannot be set.
    #[error("{name}: {errno}")]
    Rlimit {
        /// `RLIMIT_NOFILE` and so on.
        name: String,
        /// Why.
        errno: Errno,
    },
    /// Capabilities or ids cannot be given up.
    #[error("{reason}")]
    Privileges {
        /// What failed and why.
        reason: String,
    },
    /// The filter of system calls was not accepted.
    #[error("{reason}")]
    Seccomp {
        /// In [`crate::seccomp::LoadError`]'s words.
        reason: String,
    },
    /// There is no such program, as is seen before anything runs.
    #[error("{reason}")]
    Program {
        /// In [`StartError`]'s words.
        reason: String,
    },
    /// A hook of the spec failed.
    #[error("{stage} hook {}: {reason}", path.display())]
    Hook {
        /// `createRuntime`, `startContainer` and so on.
        stage: String,
        /// Its program.
        path: PathBuf,
        /// How it ended, and what it said.
        reason: String,
    },
    /// There can be no terminal.
    #[error("terminal: {step}: {errno}")]
    Terminal {
        /// What failed.
        step: String,
        /// Why.
        errno: Errno,
    },
    /// The namespace for emulated programs cannot be made or entered.
    #[error("{reason}")]
    Emulation {
        /// In [`crate::emulation::CreateError`]'s words.
        reason: String,
    },
    /// Something that this runtime does not do.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// A member of the spec that cannot be right.
    #[error("{member}: {problem}")]
    Spec {
        /// Its place, such as `process.args`.
        member: String,
        /// What is wrong.
        problem: String,
    },
    /// The first process ended in the middle, as by a signal from outside.
    #[error("the container's first process ended while it was being made")]
    Died,
}

/// A user or group that cannot be resolved inside a root; `Display` is Docker's wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum UserFault {
    /// No user of that name.
    #[error("unable to find user {name}: no matching entries in passwd file")]
    NoUser {
        /// The name.
        name: String,
    },
    /// No group of that name.
    #[error("unable to find group {name}: no matching entries in group file")]
    NoGroup {
        /// The name.
        name: String,
    },
    /// A number that is no id.
    #[error("uids and gids must be in range 0-2147483647")]
    Range,
    /// A file of names that is not a plain file.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// Its path inside.
        path: PathBuf,
    },
    /// A file of names above 1 MiB.
    #[error("{} is larger than 1 MiB", path.display())]
    TooLarge {
        /// Its path inside.
        path: PathBuf,
    },
    /// A file of names that cannot be read.
    #[error("{}: {errno}", path.display())]
    Read {
        /// Its path inside.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
}

/// Something that was asked for and given only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Warning {
    /// A limit above what the engine itself may have, which it lacks the right to raise.
    RlimitClamped {
        /// `RLIMIT_NOFILE` and so on.
        name: String,
        /// The hard limit asked for.
        asked: u64,
        /// The hard limit that the process has.
        given: u64,
    },
    /// A limit that this host cannot put in force.
    LimitIgnored {
        /// Which and why, in [`crate::cgroup::Ignored`]'s words.
        what: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &u64| match *value {
            u64::MAX => "unlimited".to_owned(),
            value => value.to_string(),
        };
        match self {
            Self::RlimitClamped { name, asked, given } => write!(
                f,
                "{name} {} is more than the engine may give; {} is given instead",
                value(asked),
                value(given)
            ),
            Self::LimitIgnored { what } => f.write_str(what),
        }
    }
}

impl StartError {
    /// The exit code that stands for it, as in Docker: 127 not found, 126 not executable, else 125.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::NotFound { .. } => 127,
            StartError::NotExecutable { .. } | StartError::Foreign { .. } => 126,
            StartError::Failed(Fault::WorkingDir { errno, .. }) if errno.0 == NOT_FOUND => 127,
            StartError::Failed(Fault::WorkingDir { .. }) => 126,
            StartError::Failed(_) => 125,
        }
    }
}

const NOT_FOUND: i32 = rustix::io::Errno::NOENT.raw_os_error();

impl Fault {
    /// For `map_err`: this call failed.
    pub(crate) fn system<E: Into<Errno>>(call: &str) -> impl FnOnce(E) -> Fault + '_ {
        move |errno| Fault::System {
            call: call.to_owned(),
            errno: errno.into(),
        }
    }

    /// For `map_err`: this part of the root failed.
    pub(crate) fn root<E: Into<Errno>>(what: impl Into<String>) -> impl FnOnce(E) -> Fault {
        move |errno| Fault::Root {
            what: what.into(),
            errno: errno.into(),
        }
    }
}

impl From<crate::cgroup::Error> for Fault {
    fn from(error: crate::cgroup::Error) -> Fault {
        Fault::Cgroup {
            reason: error.to_string(),
        }
    }
}

impl From<crate::emulation::CreateError> for Fault {
    fn from(error: crate::emulation::CreateError) -> Fault {
        Fault::Emulation {
            reason: error.to_string(),
        }
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Errno {
        Errno(errno.raw_os_error())
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error()))
    }
}

impl fmt::Display for Errno {
    /// The kernel's words in lower case, as C and Go have them, without Rust's number behind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        let words = text.split(" (os error").next().unwrap_or(&text);
        let mut rest = words.chars();
        match rest.next() {
            Some(first) if rest.clone().next().is_some_and(char::is_lowercase) => {
                write!(f, "{}{}", first.to_lowercase(), rest.as_str())
            }
            _ => f.write_str(words),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_read_as_in_other_engines() {
        assert_eq!(Errno(2).to_string(), "no such file or directory");
        assert_eq!(Errno(13).to_string(), "permission denied");
        assert_eq!(Errno(8).to_string(), "exec format error");
    }

    #[test]
    fn exit_codes_follow_docker() {
        let program = "x".to_owned();
        let reason = String::new();
        let not_found = StartError::NotFound {
            program: program.clone(),
            reason: reason.clone(),
        };
        assert_eq!(not_found.exit_code(), 127);
        let denied = StartError::NotExecutable { program, reason };
        assert_eq!(denied.exit_code(), 126);
        assert_eq!(StartError::Failed(Fault::Died).exit_code(), 125);
    }
}
