//! The tar format, read from strangers and written the same way each time.

pub(crate) mod read;
pub(crate) mod write;
