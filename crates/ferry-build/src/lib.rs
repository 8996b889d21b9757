//! ferry-build
