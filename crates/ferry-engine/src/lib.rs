//! ferry-engine

pub mod build;
