//! Containers, images, builds and networks: the one place where the floors below meet.
//!
//! Knows no HTTP, gRPC, command line or environment: `ferry-daemon` serves it, the binary sets it up.
//! One folder a noun, one file a verb; each verb is a method of [`Engine`].

pub mod build;
pub mod container;
mod engine;
mod error;
pub mod event;
mod folder;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod image;
mod instance;
mod label;
mod launch;
pub mod network;
mod platform;
pub mod system;

pub use engine::{Engine, EngineOptions, Host};
pub use error::{Class, Error};
pub use ferry_runtime::profile::CgroupVersion;
pub use ferry_runtime::{FirstProcess, WindowSize, cgroup};
pub use instance::{DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT, Instance};
pub use platform::{PlatformReport, PlatformState};
