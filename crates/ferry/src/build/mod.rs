//! Builds by BuildKit's protocol: a session that offers files and credentials, a solve, and its progress.
//!
//! Source: BuildKit `api/services/control`, `session/`; moby's `/session` and `/grpc` endpoints.

mod channel;
mod context;
mod failure;
mod identity;
pub(crate) mod progress;
pub(crate) mod request;
mod session;
mod solve;

pub(crate) use session::Secret;
pub(crate) use solve::{Built, build};
