//! Sessions: a client's promise to answer calls about its files, and credentials while a build runs.

pub(crate) mod auth;
pub(crate) mod directory_send;
pub(crate) mod file_send;
pub(crate) mod file_sync;

mod file_mode;
mod id;
mod metadata;
mod registry;
pub(crate) mod secrets;
pub(crate) mod upload;

pub(crate) use id::{SessionId, SessionIdError};
pub(crate) use registry::{Announcement, Session, SessionError, Sessions};

#[cfg(test)]
mod tests;
