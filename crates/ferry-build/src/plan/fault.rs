//! What can be wrong with an instruction once its variables are expanded.

use ferry_oci::{PlatformError, ReferenceError};

use crate::ErrorClass;
use crate::dockerfile::Fault;
use crate::expand::ExpandError;

/// Why an instruction cannot be planned.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each variant's message says it
pub enum PlanFault {
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    Written(#[from] Fault),
    #[error("base name ({written}) should not be blank")]
    BlankBase { written: String },
    #[error("failed to parse stage name {name:?}: {source}")]
    Reference { name: String, source: ReferenceError },
    #[error("failed to parse platform {written:?}: {source}")]
    Platform { written: String, source: PlatformError },
    #[error("empty platform value from expression {written}")]
    BlankPlatform { written: String },
    #[error("invalid from flag value {from}: refers to stage {number}, which is not before this one")]
    LaterStage { from: String, number: usize },
    #[error("RUN needs a command")]
    EmptyCommand,
    #[error("invalid signal: {signal}")]
    BadSignal { signal: String },
    #[error("invalid chmod parameter: '{mode}', it should be octal between 0 and 07777, or symbolic")]
    BadMode { mode: String },
    #[error("ADD from {url} is not supported yet")]
    RemoteAdd { url: String },
    #[error("RUN --mount={mount}: {what} is not supported yet")]
    UnsupportedMount { mount: String, what: &'static str },
    #[error("ONBUILD {trigger} of the base: {fault}")]
    Trigger { trigger: String, fault: Fault },
    #[error("stages stand on one another more than {limit} deep")]
    TooDeep { limit: usize },
    /// Not an error: the plan waits for this image.
    #[error("a base image is not at hand yet")]
    ImageNeeded,
}

impl PlanFault {
    /// Its class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::RemoteAdd { .. } | Self::UnsupportedMount { .. } | Self::Written(Fault::UnsupportedFlag { .. }) => {
                ErrorClass::NotImplemented
            }
            _ => ErrorClass::Invalid,
        }
    }
}
