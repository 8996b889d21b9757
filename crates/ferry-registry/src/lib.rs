//! The OCI distribution specification's client: resolve, pull, push and log in, over `ferry-store`.
//!
//! Async and stateless on disk: what it fetches goes into the caller's [`ferry_store::Store`], what
//! it knows between operations (connections, tokens) lives in the [`Client`]. It reads no
//! environment and prints nothing. Content is verified (size, digest, DiffID) before it is visible,
//! and bytes that were pulled are never serialised again.

mod access;
mod auth;
mod blob;
mod client;
mod config;
mod credential;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod login;
mod manifest;
mod progress;
mod pull;
mod push;
mod registry_error;
mod retry;
mod selection;
mod session;
mod transport;

/// Hops that a request follows at most.
pub const MAX_REDIRECTS: usize = 5;

pub use access::Access;
pub use client::{Client, LoginStatus, Manifest, PartialIndex, Push};
pub use config::{Config, Proxies, Retry, Timeouts};
pub use credential::{Anonymous, Credential, Credentials, ForOneRegistry};
pub use error::{Class, CredentialUse, Error, RedirectProblem, RequestLine, TransportError};
pub use progress::{LayerProgress, Progress, Silent};
pub use selection::Selection;
