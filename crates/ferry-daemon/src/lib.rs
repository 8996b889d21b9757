//! ferry-daemon

pub mod buildkit;
