//! Serves the Docker Engine API and BuildKit's protocol by calling `ferry-engine`.

mod convert;
mod error;
mod extract;
mod hijack;
mod router;
mod routes;
mod server;

pub use router::{API_VERSION, MIN_API_VERSION};
pub use server::{DaemonOptions, ServeError, serve};
