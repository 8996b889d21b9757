//! The one folder between the API's generated types and the engine's own.

pub(crate) mod container;
pub(crate) mod image;
pub(crate) mod moment;
pub(crate) mod stats;
pub(crate) mod time;
pub(crate) mod usage;
