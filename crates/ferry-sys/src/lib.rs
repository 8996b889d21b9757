//! Safe, typed wrappers over what Linux offers and rustix lacks; decides nothing.
//!
//! Each wrapper is one system call or one step; the only crate of the workspace with `unsafe`.

pub mod bpf;
pub mod descriptors;
pub mod keyring;
pub mod memory;
pub mod mount;
pub mod network;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signals;
mod single_threaded;

pub use single_threaded::SingleThreaded;
