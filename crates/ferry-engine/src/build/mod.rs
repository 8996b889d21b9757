//! Builds: the ports of `ferry-build`, on the engine's images and runtime.

mod cache;
pub mod context;
mod error;
mod files;
mod images;
pub(crate) mod leftover;
mod run;
mod runner;
mod step_output;
mod transfer;

pub use cache::{CacheKind, CachePruneFilter, CachePruneScope, CachePruned, CachedStep, Holder};
pub use error::Error;
pub(crate) use error::class_of_builder;
pub use files::BuiltFiles;
pub use run::{BuildOrder, Built};
