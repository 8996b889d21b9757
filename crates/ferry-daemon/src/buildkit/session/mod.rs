//! Sessions: a client's promise to answer calls about its files, and credentials while a build runs.

pub mod auth;
pub mod file_sync;

mod file_mode;
mod id;
mod metadata;
mod registry;

pub use id::{SessionId, SessionIdError};
pub use registry::{Announcement, Session, SessionError, Sessions};

#[cfg(test)]
mod tests;
