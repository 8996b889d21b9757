//! The testkit of the end-to-end tests: hosts with a network of their own, engines, registries, and command lines as people type them.
//!
//! A test begins with a [`Host`], which moves its thread into a new network namespace: whatever the test
//! starts from then on lives there, so that no bridge, address or port of a test meets the machine's own or another test's.
//! An [`Engine`] is a `ferry daemon` with folders of its own; when it goes out of scope, it is stopped, and
//! what it left in the kernel or on disk fails the test.

mod docker;
mod engine;
mod events;
mod host;
mod image;
mod patience;
mod process;
mod registry;
mod shell;
mod skip;
mod steps;
mod traces;

pub use docker::{docker_client, docker_engine};
pub use engine::{Emulators, Engine, Setup};
pub use events::Events;
pub use host::Host;
pub use image::{PLATFORMS, Platform, host_platform};
pub use patience::eventually;
pub use process::Process;
pub use registry::{Access, Registry, Transport};
pub use shell::{Finished, Running, Shell};
pub use skip::{has_program, skip};
pub use steps::{Step, Tracer};
