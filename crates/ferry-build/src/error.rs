//! Why a build failed.

use std::path::PathBuf;

use ferry_oci::Platform;

use crate::dockerfile::{Fault, SyntaxError};
use crate::plan::PlanFault;
use crate::{PortError, Source};

/// What kind of failure something is, as clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request, the Dockerfile or the context is wrong.
    Invalid,
    /// Something that was named does not exist.
    NotFound,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Something needed is not there at present: a registry, an emulator.
    Unavailable,
    /// Ferry cannot do this yet.
    NotImplemented,
    /// Ferry or the host is at fault.
    Internal,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile is not there.
    #[error("failed to read dockerfile: open {name}: no such file or directory")]
    NoDockerfile {
        /// Its name as the user gave it.
        name: String,
    },
    /// A line of the Dockerfile cannot be understood.
    #[error("dockerfile parse error: {0}")]
    Syntax(#[from] SyntaxError),
    /// An instruction cannot be done, as is seen before anything runs.
    #[error("{}: {fault}", instruction.place())]
    Instruction {
        /// The instruction.
        instruction: Source,
        /// Why.
        #[source]
        fault: PlanFault,
    },
    /// SOURCE_DATE_EPOCH is no number of seconds.
    #[error("invalid SOURCE_DATE_EPOCH {value:?}: expected the seconds since 1970-01-01")]
    BadEpoch {
        /// What was given.
        value: String,
    },
    /// `--target` names no stage.
    #[error("target stage {target:?} could not be found")]
    NoSuchTarget {
        /// What was asked for.
        target: String,
        /// The stages there are.
        stages: Vec<String>,
    },
    /// A vertex failed.
    #[error("{}{failure}", platform_prefix(platform.as_ref()))]
    Vertex {
        /// The vertex's name, `[linux/arm64 2/5] RUN make`.
        vertex: String,
        /// The platform, when the build is for several.
        platform: Option<Platform>,
        /// The instruction.
        instruction: Source,
        /// Why.
        #[source]
        failure: StepFailure,
    },
    /// A port failed outside any instruction.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
}

/// Why a vertex failed.
#[derive(Debug, thiserror::Error)]
pub enum StepFailure {
    /// The process ended with another code than 0.
    #[error("process \"{command}\" did not complete successfully: exit code: {exit_code}")]
    Exit {
        /// The command, words joined by spaces.
        command: String,
        /// Its exit code.
        exit_code: i32,
    },
    /// The process could not be started, or a base image not be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
    /// A file of the host could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl BuildError {
    /// The lines of the Dockerfile that are to blame.
    pub fn source_lines(&self) -> Option<&Source> {
        match self {
            Self::Syntax(error) => Some(&error.source_lines),
            Self::Instruction { instruction, .. } | Self::Vertex { instruction, .. } => {
                Some(instruction)
            }
            _ => None,
        }
    }

    /// Its class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoDockerfile { .. } | Self::BadEpoch { .. } => ErrorClass::Invalid,
            Self::Syntax(error) => match error.fault {
                Fault::UnsupportedFlag { .. } => ErrorClass::NotImplemented,
                _ => ErrorClass::Invalid,
            },
            Self::Instruction { fault, .. } => fault.class(),
            Self::NoSuchTarget { .. } => ErrorClass::NotFound,
            Self::Vertex { failure, .. } => failure.class(),
            Self::Port(error) => error.class(),
            Self::Store(_) => ErrorClass::Internal,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchTarget { stages, .. } if !stages.is_empty() => {
                Some(format!("the Dockerfile's stages are {}", stages.join(", ")))
            }
            _ => None,
        }
    }
}

impl StepFailure {
    /// Its class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Exit { .. } => ErrorClass::Invalid,
            Self::Port(error) => error.class(),
            Self::Store(_) | Self::Io { .. } => ErrorClass::Internal,
        }
    }
}

fn platform_prefix(platform: Option<&Platform>) -> String {
    platform.map_or_else(String::new, |platform| format!("{platform}: "))
}
