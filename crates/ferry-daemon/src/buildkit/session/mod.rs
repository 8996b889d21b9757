//! Sessions: a client's promise to answer calls about its files, credentials and secrets while a build runs.

mod id;
mod registry;

pub use id::{SessionId, SessionIdError};
pub use registry::{Announcement, Session, SessionError, Sessions};
