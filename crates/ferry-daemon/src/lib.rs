//! Serves the Docker Engine API and BuildKit's protocol by calling `ferry-engine`.

mod blocking_body;
mod buildkit;
mod convert;
mod error;
mod extract;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hijack;
mod json_stream;
mod registry_auth;
mod router;
mod routes;
mod server;

pub use blocking_body::{BodyReader, BodyWriter};
pub use router::{API_VERSION, MIN_API_VERSION};
pub use server::{DaemonOptions, PID_FILE, ServeError, serve};
