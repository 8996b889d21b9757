//! Builds: the ports of `ferry-build`, on the engine's images and runtime.

pub mod context;
mod error;
mod images;
mod run;
mod runner;
mod step_output;
mod transfer;

pub use error::Error;
pub use run::BuildOrder;
