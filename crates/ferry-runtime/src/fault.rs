//! What can fail in a monitor or in the container's first process, told across processes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error number of the kernel, displayed in words.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errno(pub i32);

/// A file for a CPU that this host does not execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignMachine {
    /// `e_machine` of the ELF header. Source: elf(5).
    pub elf_machine: u16,
    /// The architecture in the field's words (`arm64`), if the table of CPUs knows it.
    #[serde(skip_deserializing)]
    pub architecture: Option<&'static str>,
}

/// Why the program could not be executed; `Display` is Docker's wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such file, or none of that name in `PATH`. Exit code 127.
    #[error("exec: {program:?}: {reason}")]
    NotFound {
        /// What was to be executed, as asked for.
        program: String,
        /// `executable file not found in $PATH` or `no such file or directory`.
        reason: String,
    },
    /// It exists and is not executable: a folder, no permission, no program. Exit code 126.
    #[error("exec: {program:?}: {reason}")]
    NotExecutable {
        /// What was to be executed, as asked for.
        program: String,
        /// `permission denied`, `is a directory`, `exec format error`.
        reason: String,
    },
    /// It is a program for another CPU. Exit code 126.
    #[error("exec: {program:?}: exec format error: the file is for ELF machine {} and not for this CPU", machine.elf_machine)]
    Foreign {
        /// What was to be executed, as asked for.
        program: String,
        /// For which CPU.
        machine: ForeignMachine,
    },
    /// Something else failed on the way to the program. Exit code 126 or 125, see [`Fault::exit_code`].
    #[error(transparent)]
    Failed(Fault),
}

/// A step of making a container that failed, with what it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A system call that hardly ever fails.
    #[error("{call}: {errno}")]
    System {
        /// Which.
        call: String,
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
        /// What was asked for.
        asked: u64,
        /// What the process has.
        given: u64,
    },
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}
