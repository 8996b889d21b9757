//! Why a build failed.

use ferry_oci::{Platform, Reference};

use crate::dockerfile::{Fault, SyntaxError};
use crate::files::{LayoutFault, OwnerFault, SelectionFault, ViewError, WriteFault};
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
    #[error(transparent)]
    Instruction(#[from] Box<InstructionError>),
    /// A base image cannot be had.
    #[error(transparent)]
    Base(#[from] Box<BaseError>),
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
    #[error(transparent)]
    Vertex(#[from] Box<VertexError>),
    /// An ignore file has a malformed pattern.
    #[error("failed to read {name}: {source}")]
    BadIgnore {
        /// The file's name.
        name: String,
        /// What is wrong.
        source: crate::ignore::PatternError,
    },
    /// The result could not be written.
    #[error(transparent)]
    Export(#[from] ExportFault),
    /// A port failed outside any instruction.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
}

/// An instruction that cannot be done.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", instruction.place())]
pub struct InstructionError {
    /// The instruction.
    pub instruction: Source,
    /// Why.
    #[source]
    pub fault: PlanFault,
}

/// An image that an instruction names and that cannot be had. In BuildKit's words.
#[derive(Debug, thiserror::Error)]
#[error("{}: failed to resolve source metadata for {reference}: {failure}", reference.familiar())]
pub struct BaseError {
    /// The instruction, the first that names it.
    pub instruction: Source,
    /// The image.
    pub reference: Reference,
    /// Why.
    #[source]
    pub failure: PortError,
}

/// A vertex that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{failure}", platform_prefix(platform.as_ref()))]
pub struct VertexError {
    /// The vertex's name, `[linux/arm64 2/5] RUN make`.
    pub vertex: String,
    /// The platform, when the build is for several.
    pub platform: Option<Platform>,
    /// The instruction.
    pub instruction: Source,
    /// Why.
    #[source]
    pub failure: StepFailure,
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
    /// The client has no such secret, or one that cannot be a variable.
    #[error("secret {id}: {reason}")]
    Secret {
        /// What the Dockerfile calls it.
        id: String,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// The process could not be started, or a base image not be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
    /// Files could not be chosen, placed or written.
    #[error(transparent)]
    Files(#[from] FilesFault),
}

/// Why the files of a COPY, an ADD or a WORKDIR could not be chosen, placed or written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FilesFault(#[from] FilesFaultKind);

/// The kinds, which are the crate's own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesFaultKind {
    #[error("failed to compute cache key: {0}")]
    Selection(#[from] SelectionFault),
    #[error(transparent)]
    Layout(#[from] LayoutFault),
    #[error(transparent)]
    Owner(#[from] OwnerFault),
    #[error(transparent)]
    Write(#[from] WriteFault),
    #[error(transparent)]
    View(#[from] ViewError),
}

impl FilesFault {
    fn class(&self) -> ErrorClass {
        match &self.0 {
            FilesFaultKind::Selection(SelectionFault::NotFound(_)) => ErrorClass::NotFound,
            FilesFaultKind::Selection(_) | FilesFaultKind::Layout(_) | FilesFaultKind::Owner(_) => ErrorClass::Invalid,
            FilesFaultKind::Write(_) | FilesFaultKind::View(_) => ErrorClass::Internal,
        }
    }
}

/// Faults of files become failures of their step.
macro_rules! step_failure_from {
    ($($fault:ty),+) => {
        $(impl From<$fault> for StepFailure {
            fn from(fault: $fault) -> Self {
                Self::Files(FilesFault(fault.into()))
            }
        })+
    };
}

step_failure_from!(SelectionFault, LayoutFault, OwnerFault, WriteFault, ViewError);

/// Why the result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// A document lacks something that its specification wants.
    #[error("make an image document: {0}")]
    Document(ferry_oci::oci_spec::OciSpecError),
    /// A document cannot be said in JSON.
    #[error("write an image document: {0}")]
    Json(serde_json::Error),
}

impl BuildError {
    /// The lines of the Dockerfile that are to blame.
    pub fn source_lines(&self) -> Option<&Source> {
        match self {
            Self::Syntax(error) => Some(&error.source_lines),
            Self::Instruction(error) => Some(&error.instruction),
            Self::Base(error) => Some(&error.instruction),
            Self::Vertex(error) => Some(&error.instruction),
            _ => None,
        }
    }

    /// Its class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoDockerfile { .. } | Self::BadEpoch { .. } | Self::BadIgnore { .. } => ErrorClass::Invalid,
            Self::Syntax(error) => match error.fault {
                Fault::UnsupportedFlag { .. } => ErrorClass::NotImplemented,
                _ => ErrorClass::Invalid,
            },
            Self::Instruction(error) => error.fault.class(),
            Self::NoSuchTarget { .. } => ErrorClass::NotFound,
            Self::Base(error) => error.failure.class(),
            Self::Vertex(error) => error.failure.class(),
            Self::Port(error) => error.class(),
            Self::Store(_) | Self::Export(_) => ErrorClass::Internal,
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
            Self::Exit { .. } | Self::Secret { .. } => ErrorClass::Invalid,
            Self::Port(error) => error.class(),
            Self::Files(fault) => fault.class(),
            Self::Store(_) => ErrorClass::Internal,
        }
    }
}

fn platform_prefix(platform: Option<&Platform>) -> String {
    platform.map_or_else(String::new, |platform| format!("{platform}: "))
}
