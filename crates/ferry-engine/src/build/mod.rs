//! Builds: the ports of `ferry-build`, on the engine's images and runtime.

mod error;

pub use error::Error;
