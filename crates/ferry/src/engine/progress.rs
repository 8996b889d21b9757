//! The messages of a progress stream: pull, push, import and load (Docker Engine API, `CreateImageInfo`).

use serde::Deserialize;
use serde_json::Value;

/// One message of a progress stream. Everything is optional in this protocol.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// Layer or reference that the message is about.
    pub(crate) id: Option<String>,
    /// What is happening: `Downloading`.
    pub(crate) status: Option<String>,
    /// Text to print as it is.
    pub(crate) stream: Option<String>,
    /// How far.
    #[serde(rename = "progressDetail")]
    pub(crate) detail: Option<ProgressDetail>,
    /// Old form of `error_detail`.
    pub(crate) error: Option<String>,
    /// Why it failed; the last message.
    #[serde(rename = "errorDetail")]
    pub(crate) error_detail: Option<ErrorDetail>,
    /// Results for programs: the digest of a push, the ID of an image.
    pub(crate) aux: Option<Value>,
}

/// How far a layer's transfer is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressDetail {
    /// Done (bytes).
    pub(crate) current: Option<u64>,
    /// Of how much (bytes); unknown when missing.
    pub(crate) total: Option<u64>,
}

/// Why an operation failed after its answer had begun.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorDetail {
    /// The engine's words.
    pub(crate) message: Option<String>,
}

impl Progress {
    /// The failure it reports, if it does.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.error_detail
            .as_ref()
            .and_then(|detail| detail.message.as_deref())
            .or(self.error.as_deref())
    }
}
