//! The one folder between the API's generated types and the engine's own.

pub(crate) mod container;
pub(crate) mod health;
pub(crate) mod image;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod moment;
pub(crate) mod path_stat;
mod restart;
mod security;
pub(crate) mod stats;
pub(crate) mod time;
mod tmpfs;
pub(crate) mod usage;
