//! Builds: the ports of `ferry-build`, on the engine's images and runtime.

pub mod context;
mod error;

pub use error::Error;
